"""
What only a simulation knows of a run: every message, and what each server held.

The lines are those of `simulation.jsonl`. They may come from a run of somebody else, so nothing in
them is trusted: what cannot be understood is counted, and the page says the number.

A message that says the same as the one before it on its link, has the same fate, and changes
nothing where it arrives, is a *repeat*: heartbeats of a quiet cluster. Repeats are told from the
lines alone, so no name of a message is known here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import replace

from dissever.harness.trace import LINES_MAX
from dissever.harness.values import printable, shorten

LINE_BYTES_MAX: Final = 65_536
NODES_MAX: Final = 32
NODE_CHARACTERS_MAX: Final = 40
WORD_CHARACTERS_MAX: Final = 40
TEXT_CHARACTERS_MAX: Final = 300
LOG_ENTRIES_MAX: Final = 12
NUMBER_MAX: Final = 2**53
"""The greatest number that JavaScript keeps exactly."""

CACHED_MAX: Final = 20_000

ROLES: Final = ("leader", "candidate", "follower", "none")


_Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Time = Annotated[int, msgspec.Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]


class _Line(msgspec.Struct, frozen=True, gc=False):
    """Any line; what a kind does not have keeps its default."""

    time: _Time
    kind: str
    id: int | str | None = None
    source: str | None = msgspec.field(default=None, name="from")
    to: str | int | None = None
    what: str = ""
    term: _Number = 0
    text: str = ""
    why: str = ""
    node: str | None = None
    role: str = ""
    vote: str | None = None
    leader: str | None = None
    first: _Number = 0
    last: _Number = 0
    stored: _Number = 0
    commit: _Number = 0
    applied: _Number = 0
    snapshot: _Number = 0
    lost: _Number = 0
    kept: _Number = 0
    index: _Number | None = None
    how: str = ""
    name: str = ""
    nodes: list[str] = []
    logs: dict[str, list[Any]] = {}


class Message(msgspec.Struct, frozen=True, gc=False):
    """
    One copy of a message on its way; the first copy, or the one that a network made of it.

    `end_ns` is when it arrived or was lost, None if neither was seen. `why` says what lost it.
    """

    start_ns: int
    end_ns: int | None
    source: str
    target: str
    what: str
    term: int
    text: str
    why: str = ""
    is_copy: bool = False
    is_repeat: bool = False


class State(msgspec.Struct, frozen=True, gc=False):
    """What a server held from a moment on; `role` is one of ROLES, indices are of its log."""

    time_ns: int
    node: str
    role: str
    term: int
    vote: str
    leader: str
    first: int
    last: int
    stored: int
    commit: int
    applied: int
    snapshot: int


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What happened at a server at once; `kind` is synced, unsynced, snapshot, installed, note."""

    time_ns: int
    node: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a server's log, as the simulation wrote it."""

    index: int
    term: int
    text: str


@dataclass(frozen=True, slots=True)
class Violation:
    """
    An invariant that broke; `time_ns` is negative if it broke before the run began.

    `index` is the place in the log that it is about, if it is about one. `logs` are entries near
    it, of the servers that contradict each other; empty when the simulation did not tell.
    """

    time_ns: int
    node: str
    name: str
    text: str
    index: int | None
    logs: Mapping[str, tuple[LogEntry, ...]]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything by time. `notes` say what could not be read, one sentence each."""

    nodes: tuple[str, ...]
    messages: tuple[Message, ...]
    states: tuple[State, ...]
    moments: tuple[Moment, ...]
    violations: tuple[Violation, ...]
    notes: tuple[str, ...] = ()

    def states_at(self, time_ns: int) -> Mapping[str, State]:
        """What each server held at a moment; a server that nothing was said of by then lacks."""
        until = bisect_right(self.states, time_ns, key=lambda each: each.time_ns)
        return {each.node: each for each in self.states[:until]}


def read_simulation(lines: Iterable[bytes]) -> Simulation:
    """
    Read the lines of `simulation.jsonl`, at most LINES_MAX of them and every violation.

    What happened before the run has a negative time. What still counts of it stands at 0: what each
    server held, and the messages that were on their way.

    It never raises for what the lines hold: what is no line of a simulation is counted in `notes`.
    """
    decoder = msgspec.json.Decoder(_Line)
    understood: list[_Line] = []
    unread = 0
    is_cut = False
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        if number >= LINES_MAX and b"violation" not in line:
            is_cut = True
            continue
        try:
            each = decoder.decode(line) if len(line) <= LINE_BYTES_MAX else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            each = None
        if each is None or not _is_sound(each):
            unread += 1
        else:
            understood.append(each)
    understood.sort(key=lambda each: each.time)  # Stable: lines of one moment keep their order.
    messages, strays = _messages(understood)
    nodes = _nodes(understood)
    states = [_state(each) for each in understood if each.kind == "server" and each.node]
    before = {each.node: replace(each, time_ns=0) for each in states if each.time_ns <= 0}
    states = [*before.values(), *(each for each in states if each.time_ns > 0)]
    moments = [
        moment for each in understood if each.time >= 0 and (moment := _moment(each)) is not None
    ]
    violations = [_violation(each) for each in understood if each.kind == "violation"]
    known = {*nodes, ""}
    notes = []
    if is_cut:
        notes.append(f"It has more than {LINES_MAX:,} lines; the later ones were not read.")
    if unread:
        notes.append(f"{unread:,} of its lines could not be understood.")
    if strays:
        notes.append(f"{strays:,} of its lines speak of messages that were never sent.")
    if len(nodes) == NODES_MAX:
        notes.append(f"At most {NODES_MAX} servers are shown.")
    return Simulation(
        nodes,
        tuple(
            each if each.start_ns >= 0 else replace(each, start_ns=0)
            for each in messages
            if each.source in known and each.target in known and not _is_over(each)
        ),
        tuple(each for each in states if each.node in known),
        tuple(each for each in moments if each.node in known),
        tuple(violations),
        tuple(notes),
    )


def _is_sound(line: _Line) -> bool:
    """Whether a line has what its kind needs; lines of unknown kinds are not sound."""
    if line.kind == "send":
        is_to_somebody = isinstance(line.to, str) and bool(line.to)
        return line.id is not None and bool(line.source) and is_to_somebody
    if line.kind in ("receive", "lost"):
        return line.id is not None
    if line.kind == "server":
        return bool(line.node) and line.role in ROLES
    if line.kind == "snapshot":
        return bool(line.node)
    if line.kind in ("synced", "unsynced"):
        return bool(line.node) and not isinstance(line.to, str)
    return line.kind in ("note", "violation", "end")


def _nodes(lines: Iterable[_Line]) -> tuple[str, ...]:
    """Every server that a line speaks of, by name: n2 stands before n10."""
    seen: set[str] = set()
    for line in lines:
        if line.node:
            seen.add(line.node)
        elif line.kind == "send":
            seen.update((line.source or "", str(line.to)))
    return tuple(sorted({_name(each) for each in seen if each}, key=_natural)[:NODES_MAX])


def _natural(name: str) -> tuple[str, int, str]:
    digits = len(name) - len(name.rstrip("0123456789"))
    number = name[len(name) - digits :]
    is_number = number.isascii() and 0 < digits < 16
    return (name[: len(name) - digits], int(number) if is_number else -1, name)


def _messages(lines: Sequence[_Line]) -> tuple[list[Message], int]:
    """Messages by their sending, and how many lines speak of one that was never sent."""
    sent: list[_Line] = []
    ends: list[tuple[int, str] | None] = []
    copies: list[tuple[int, int, str]] = []
    place: dict[str, int] = {}
    strays = 0
    for line in lines:
        if line.kind == "send":
            place[str(line.id)] = len(sent)
            sent.append(line)
            ends.append(None)
        elif line.kind in ("receive", "lost"):
            at = place.get(str(line.id))
            why = "" if line.kind == "receive" else _word(line.why or "lost")
            if at is None:
                strays += 1
            elif ends[at] is None:
                ends[at] = (line.time, why)
            else:
                copies.append((at, line.time, why))
    quiet = _repeats(sent, ends, lines)
    messages = [
        _message(line, end, is_repeat=is_repeat)
        for line, end, is_repeat in zip(sent, ends, quiet, strict=True)
    ]
    messages += [_message(sent[at], (time_ns, why), is_copy=True) for at, time_ns, why in copies]
    return sorted(messages, key=lambda each: each.start_ns), strays


def _repeats(
    sent: Sequence[_Line], ends: Sequence[tuple[int, str] | None], lines: Iterable[_Line]
) -> Iterator[bool]:
    """Whether each message only repeats the one before it on its link."""
    changed = {
        (each.time, each.node) for each in lines if each.kind in ("server", "snapshot", "violation")
    }
    before: dict[tuple[str | None, str | int | None, str], tuple[int, str, str]] = {}
    for line, end in zip(sent, ends, strict=True):
        if end is None:
            yield False
            continue
        time_ns, why = end
        link, said = (line.source, line.to, line.what), (line.term, line.text, why)
        yield before.get(link) == said and (bool(why) or (time_ns, line.to) not in changed)
        before[link] = said


def _message(
    line: _Line, end: tuple[int, str] | None, *, is_copy: bool = False, is_repeat: bool = False
) -> Message:
    end_ns, why = end or (None, "")
    return Message(
        line.time, end_ns, _name(line.source or ""), _name(str(line.to)), _word(line.what),
        line.term, _text(line.text), why, is_copy, is_repeat,
    )  # fmt: skip


def _is_over(message: Message) -> bool:
    """Whether a message came to its end before the run began."""
    return message.end_ns is not None and message.end_ns < 0


def _state(line: _Line) -> State:
    return State(
        line.time, _name(line.node or ""), line.role, line.term, _name(line.vote or ""),
        _name(line.leader or ""), line.first, line.last, line.stored, line.commit, line.applied,
        line.snapshot,
    )  # fmt: skip


def _moment(line: _Line) -> Moment | None:
    kind, text = line.kind, ""
    if line.kind == "synced":
        text = f"the log is on the disk up to {line.to}" if line.to else "the disk has what it has"
    elif line.kind == "unsynced":
        why = {"kill": "the kill", "power-failure": "the power failure"}.get(line.why, line.why)
        text = f"{_word(why or 'a crash')} lost {line.lost:,} unsynced writes, {line.kept:,} stayed"
    elif line.kind == "snapshot":
        kind = "installed" if line.how == "installed" else "snapshot"
        verb = "installed" if kind == "installed" else "took"
        text = f"{verb} a snapshot up to {line.index or 0}"
    elif line.kind == "note":
        text = _text(line.text)
    else:
        return None
    return Moment(line.time, _name(line.node or ""), kind, text)


def _violation(line: _Line) -> Violation:
    nodes = list(dict.fromkeys((*line.nodes, *line.logs)))[:NODES_MAX]
    logs = {_name(node): tuple(_entries(line.logs.get(node, []))) for node in nodes}
    return Violation(
        line.time, _name(line.node or ""), _word(line.name or "unnamed"), _text(line.text),
        line.index, logs,
    )  # fmt: skip


def _entries(entries: Iterable[Any]) -> Iterable[LogEntry]:
    """Entries are triples [index, term, text]; others are passed over."""
    for entry in list(entries)[:LOG_ENTRIES_MAX]:
        if isinstance(entry, list) and len(entry) == 3:
            index, term, text = entry
            if isinstance(index, int) and isinstance(term, int):
                yield LogEntry(index, term, _text(str(text)))


@lru_cache(CACHED_MAX)
def _name(text: str) -> str:
    return shorten(printable(text), NODE_CHARACTERS_MAX)


@lru_cache(CACHED_MAX)
def _word(text: str) -> str:
    return shorten(printable(text), WORD_CHARACTERS_MAX)


@lru_cache(CACHED_MAX)
def _text(text: str) -> str:
    return shorten(printable(text), TEXT_CHARACTERS_MAX)


def count_of(simulation: Simulation) -> Mapping[str, int]:
    """How many messages arrived, were lost (by reason), came twice, and repeat others."""
    counts: Counter[str] = Counter()
    for each in simulation.messages:
        counts["copies" if each.is_copy else "sent"] += 1
        if each.why:
            counts[f"lost ({each.why})"] += 1
        if each.is_repeat:
            counts["repeats"] += 1
    return counts
