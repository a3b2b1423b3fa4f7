"""
What of the nodes' logs goes into the page: all of small ones, and of large ones the telling parts.

A large log is never read whole into memory. One pass finds the lines with words of trouble; the
lines around a moment are found by halving the file, because its times grow. What is left out is
counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from dissever.harness import store
from dissever.harness.history import History
from dissever.harness.log_file import LogFile, text_of
from dissever.harness.plan import Plan
from dissever.harness.results import Results
from dissever.reports.details import unasked_ends
from dissever.reports.log_times import Stamp, stamp_of
from dissever.reports.nearby import nearby
from dissever.reports.node_logs import QUARTER_NS, Life, LogsRead, NodeLogText, Piece, year_of
from dissever.reports.node_states import NodeStates, read_states

__all__ = ["moments_of", "read_logs", "read_node_states"]

TEXT_BYTES_MAX: Final = 4_000_000
"""Of all logs together, before they are compressed."""

STATES_BYTES_MAX: Final = 16 << 20
LINE_BYTES_MAX: Final = 4096
"""Of a line in the page; the rest of it is counted."""

FOUND_MAX: Final = 20_000
"""Of lines with words of trouble in one log; later ones are not looked for."""

AROUND_BYTES: Final = 8192
"""What is read around a moment, and a quarter of it around a word of trouble."""

MOMENTS_MAX: Final = 40
PROBE_BYTES: Final = 2048
PROBES_MAX: Final = 60

TROUBLE: Final = (
    *("ERROR", "Error", "error", "FATAL", "Fatal", "fatal", "PANIC", "panic", "CRITICAL", "[ERR]"),
    *("WARN ", "WARNING", "[WARN", '"warn', "=warn", "[WRN]", "[FTL]", "Assertion", "Aborted"),
    *("Traceback", "Sanitizer", "Segmentation", "signal", "conflict", "corrupt"),
)
"""None is shorter than five letters: the search jumps by the shortest."""

_OF_PROCESS: Final = re.compile(r"(stdout|stderr)-(\d+)\.log")
_START_LIMIT_S: Final = 900
"""A cluster that takes longer to start gives up."""


def read_node_states(run: Path) -> NodeStates:
    """What the nodes were; nothing without the file, as in runs of earlier versions."""
    try:
        log = LogFile(run / store.NODE_STATES)
        return read_states(log.read(0, STATES_BYTES_MAX).splitlines())
    except OSError:
        return NodeStates()


def read_logs(
    run: Path, plan: Plan, history: History, results: Results, states: NodeStates
) -> LogsRead:
    """
    Read what the page shows of the logs of a run. A log that cannot be read is named in the notes.

    Args:
        states: What the nodes were, which also says when the run began.
    """
    notes: list[str] = []
    found = list(_found(run, plan.options.nodes, notes))
    began_ns = states.began_unix_ns
    is_exact = began_ns is not None
    if began_ns is None:
        began_ns = _began_unix_ns(run, plan, history)
    moments = moments_of(history, results)
    shares = _shares([log.size_bytes for *_, log in found], TEXT_BYTES_MAX)
    texts: list[NodeLogText] = []
    for (node, stream, number, log), share in zip(found, shares, strict=True):
        try:
            pieces = tuple(_pieces(log, share, moments, began_ns))
            name = str(log.path.relative_to(run))
            texts.append(NodeLogText(node, name, number, stream, pieces, len(log), log.size_bytes))
        except OSError as error:
            notes.append(f"{log.path.relative_to(run)} cannot be read: {error.strerror}")
    others = tuple(
        (str(path.relative_to(run)), path.stat().st_size)
        for path in sorted((run / store.NODES).rglob("*.log"))
        if path.is_file() and not path.is_symlink() and not _OF_PROCESS.fullmatch(path.name)
    )
    return LogsRead(
        tuple(texts),
        began_ns,
        is_exact,
        _lives(run, plan.options.nodes),
        tuple(each for each in others if each[1]),
        tuple(notes),
    )


def moments_of(history: History, results: Results) -> tuple[int, ...]:
    """Around which times logs tell most: ends that nobody asked for, anomalies, then faults."""
    ends = [end.time_ns for end in unasked_ends(results) if end.time_ns is not None]
    named = {
        index
        for result in results.results
        for anomaly in result.anomalies
        for index in anomaly.indices[-1:]
    }
    guilty = [
        (operation.completion or operation.invocation).time
        for operation in nearby(history, results).operations
        if not named.isdisjoint(operation.indices)
    ]
    faults = [operation.invocation.time for operation in history.faults]
    return tuple(dict.fromkeys((*ends, *guilty, *faults)))[:MOMENTS_MAX]


def _found(
    run: Path, nodes: Sequence[str], notes: list[str]
) -> Iterator[tuple[str, str, int, LogFile]]:
    """The logs of the nodes' processes: node, stream, number of the process, file."""
    for node in nodes:
        of_node = []
        for path in store.node_directory(run, node).glob("*.log"):
            if (match := _OF_PROCESS.fullmatch(path.name)) is not None:
                of_node.append((int(match[2]), match[1], path))
        for number, stream, path in sorted(of_node):
            try:
                yield node, stream, number, LogFile(path)
            except OSError as error:
                notes.append(f"{path.relative_to(run)} cannot be read: {error.strerror}")


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many bytes of each file are read: small ones whole, and the rest in equal shares."""
    shares = [0] * len(sizes)
    left, open_places = total, sorted(range(len(sizes)), key=lambda place: sizes[place])
    for done, place in enumerate(open_places):
        shares[place] = min(sizes[place], left // (len(sizes) - done))
        left -= shares[place]
    return shares


def _pieces(
    log: LogFile, share: int, moments_ns: Sequence[int], began_ns: int | None
) -> Iterator[Piece]:
    """The parts of a log that are shown, in order, of about `share` bytes."""
    if share >= log.size_bytes:
        spans = [(0, log.size_bytes)]
    else:
        spans = _merged(_telling(log, share, moments_ns, began_ns), log.size_bytes)
    for begin, end in spans:
        block = log.read(begin, end - begin)
        if begin > 0 and log.read(begin - 1, 1) != b"\n":
            cut = block.find(b"\n") + 1
            if not cut:
                continue  # The inside of a line that is too long.
            begin, block = begin + cut, block[cut:]
        if end < log.size_bytes and not block.endswith(b"\n") and b"\n" in block:
            block = block[: block.rfind(b"\n") + 1]
        if block:
            lines = block.removesuffix(b"\n").split(b"\n")
            yield Piece(log.number_at(begin), tuple(map(_shown, lines)))


def _shown(line: bytes) -> str:
    if len(line) <= LINE_BYTES_MAX:
        return text_of(line)
    return f"{text_of(line[:LINE_BYTES_MAX])}… and {len(line) - LINE_BYTES_MAX:,} bytes more"


def _telling(
    log: LogFile, share: int, moments_ns: Sequence[int], began_ns: int | None
) -> Iterator[tuple[int, int]]:
    """Spans of bytes: both ends, around moments, around words of trouble, and a sample."""
    size, part = log.size_bytes, max(AROUND_BYTES, share // 5)
    yield 0, part
    yield size - part, size
    if began_ns is not None:
        around = min(AROUND_BYTES, part // max(1, len(moments_ns)))
        year = year_of(began_ns)
        zone_ns = _zone_ns(log, began_ns, year)
        for moment in moments_ns:
            place = _place_of(log, began_ns + zone_ns + moment, year)
            yield place - around // 4, place + PROBE_BYTES + around // 2
    places = [found.place for found in islice(log.find(TROUBLE), FOUND_MAX)]
    around = AROUND_BYTES // 4
    for place in _evenly(places, part // around):
        yield place - around // 2, place + around // 2
    count = max(1, part // AROUND_BYTES)
    for number in range(count):
        place = size * (number + 1) // (count + 1)
        yield place, place + AROUND_BYTES


def _evenly(places: Sequence[int], count: int) -> Iterable[int]:
    """At most `count` of them: some of the first and of the last, the others in between."""
    if len(places) <= count:
        return places
    edge = count // 4
    middle = places[edge : len(places) - edge]
    step = -(-len(middle) // max(1, count - 2 * edge))
    return [*places[:edge], *middle[::step], *places[len(places) - edge :]]


def _merged(spans: Iterable[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted((max(0, begin), min(size, end)) for begin, end in spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif begin < end:
            merged.append((begin, end))
    return merged


def _place_of(log: LogFile, unix_ns: int, year: int) -> int:
    """The place at which a log reaches a time, by halving; about there, if its times jump."""
    low, high = 0, log.size_bytes
    for _ in range(PROBES_MAX):
        if high - low <= PROBE_BYTES:
            break
        middle = (low + high) // 2
        stamp = _first_stamp(log.read(middle, PROBE_BYTES), year)
        if stamp is None or stamp.unix_ns >= unix_ns:
            high = middle
        else:
            low = middle
    return low


def _first_stamp(block: bytes, year: int) -> Stamp | None:
    """Of the lines that begin in a block."""
    stamps = (stamp_of(text_of(line), year=year) for line in block.split(b"\n")[1:])
    return next((stamp for stamp in stamps if stamp is not None), None)


def _zone_ns(log: LogFile, began_ns: int, year: int) -> int:
    """How far the times of a log are ahead of UTC, by its first one."""
    stamp = _first_stamp(b"\n" + log.read(0, PROBE_BYTES), year)
    if stamp is None or not stamp.is_local:
        return 0
    return round((stamp.unix_ns - began_ns) / QUARTER_NS) * QUARTER_NS


def _lives(run: Path, nodes: Sequence[str]) -> Mapping[tuple[str, int], Life]:
    """When each process of each node ran, by the ends that the harness heard of."""
    lives: dict[tuple[str, int], Life] = {}
    for node in nodes:
        with suppress(store.BrokenFile):
            begin = None
            for end in sorted(store.read_exits(run, node), key=lambda each: each.incarnation):
                lives[node, end.incarnation] = Life(begin, end.time_ns, not end.is_asked)
                begin = end.time_ns if end.next_ns is None else end.next_ns
                lives[node, end.incarnation + 1] = Life(begin)
    return lives


def _began_unix_ns(run: Path, plan: Plan, history: History) -> int | None:
    """
    About when a run began that does not say so: its last event was written when the file was.

    A copy of a run may have lost that; then the time of its plan counts, which is a little earlier.
    """
    try:
        started_ns = round(datetime.fromisoformat(plan.started).timestamp() * 1e9)
    except ValueError:
        return None
    with suppress(OSError):
        began_ns = (run / store.HISTORY).stat().st_mtime_ns - history.duration_ns
        if 0 <= began_ns - started_ns <= _START_LIMIT_S * 1e9:
            return began_ns
    return started_ns
