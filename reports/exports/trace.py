"""
A run in the Trace Event Format, which Perfetto and chrome://tracing open.

A process is a node, and a thread is a client of it. An operation is a complete event. Two of them
on one thread may not overlap, so one that does gets a thread of its own. A fault may overlap with
others of its name, so it is an async event: once among the faults, and once on each node that it
struck. What happened to the process of a node is an instant event, an anomaly is a flow from
operation to operation. Times are in µs since the run began, and have three decimals.
Source: Trace Event Format (Google, 2016).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.harness.episodes import Episode, Episodes, Mark, Step, episodes_of, evidence, targets
from dissever.harness.history import Operation, Type
from dissever.harness.results import Anomaly, Results
from dissever.reports.details import UnaskedEnd, unasked_ends
from dissever.reports.exports.record import Record, joined, json_text
from dissever.reports.labels import NS_PER_S, answered, asked, end_of, error_text, label
from dissever.reports.subject import Subject

RUN: Final = 1
FAULTS: Final = 2
CLIENTS: Final = 3
"""The processes that are no nodes: CLIENTS has the operations of which no node is known."""

FIRST_NODE: Final = 10

FLOW_OPERATIONS_MAX: Final = 100
"""Of one anomaly. A flow through more of them shows nothing."""

IN_FLIGHT: Final = "operations in flight"
PER_SECOND: Final = "operations that ended per second"


def write_trace(records: Sequence[Record]) -> Iterator[bytes]:
    """The trace of one record."""
    (record,) = records
    return joined(_document(record))


def _document(record: Record) -> Iterator[str]:
    other = json_text(_other_data(record.subject, record.results))
    yield f'{{"displayTimeUnit":"ms","otherData":{other},"traceEvents":[\n'
    for number, event in enumerate(trace_events(record)):
        yield event if number == 0 else f",\n{event}"
    yield "\n]}\n"


def trace_events(record: Record) -> Iterator[str]:
    """Each event as JSON. Operations come by invocation, and what refers to them afterwards."""
    subject, history = record.subject, record.history
    found = episodes_of(history, subject.actions)
    tracks = _Tracks(workers=subject.concurrency)
    yield from _name("process_name", RUN, name="the run", sort=0)
    yield from _name("process_name", FAULTS, name="faults", sort=1)
    for node in subject.nodes:
        yield from tracks.node(node)
    yield from _faults(found, tracks)
    if record.results is not None:
        for end in unasked_ends(record.results):
            yield from _end(end, tracks)
    anomalies = _anomalies(record.results)
    awaited = {index for anomaly in anomalies for index in anomaly.indices}
    placed: dict[int, _Place] = {}
    pace = _Pace()
    end_ns = history.duration_ns
    for operation in history.stream_operations():
        start_ns, finish_ns = operation.invocation.time, end_of(operation, end_ns=end_ns)
        yield from tracks.seat(operation, finish_ns)
        pid, tid = tracks.last
        yield _complete(operation, pid, tid, finish_ns)
        pace.add(operation, finish_ns)
        if not awaited.isdisjoint(operation.indices):
            place = _Place(pid, tid, start_ns)
            placed |= dict.fromkeys(operation.indices, place)
    yield from pace.counters()
    for number, anomaly in enumerate(anomalies, 1):
        yield from _anomaly(anomaly, number, placed)


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where an operation begins."""

    pid: int
    tid: int
    time_ns: int


@dataclass(slots=True)
class _Tracks:
    """
    The processes and threads so far; `last` is where the last operation was put.

    A client goes on under another number after an info, by steps of `workers`: it keeps its thread.
    """

    workers: int
    pids: dict[str, int] = field(default_factory=dict)
    threads: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    count: int = 0
    last: tuple[int, int] = (0, 0)

    def node(self, name: str | None) -> Iterator[str]:
        """Name the process of a node, unless it has been named."""
        key = name or ""
        if key in self.pids:
            return
        pid = FIRST_NODE + len(self.pids) if name else CLIENTS
        self.pids[key] = pid
        yield from _name("process_name", pid, name=name or "clients", sort=pid)

    def seat(self, operation: Operation, finish_ns: int) -> Iterator[str]:
        """Find the thread of the next operation; names what is new."""
        yield from self.node(operation.invocation.node)
        pid = self.pids[operation.invocation.node or ""]
        assert isinstance(operation.process, int)
        client = operation.process % self.workers if self.workers else operation.process
        threads = self.threads.setdefault((pid, client), [])
        free = (at for at, (_, until) in enumerate(threads) if until <= operation.invocation.time)
        at = next(free, len(threads))
        if at == len(threads):
            self.count += 1
            threads.append((self.count, finish_ns))
            more = f" ({at + 1})" if at else ""
            yield from _name(
                "thread_name", pid, self.count, name=f"client {client}{more}", sort=client
            )
        tid = threads[at][0]
        threads[at] = (tid, finish_ns)
        self.last = (pid, tid)


@dataclass(slots=True)
class _Pace:
    """How many operations ended in each second, by outcome, and by how many more were open."""

    ended: dict[int, Counter[Type]] = field(default_factory=dict)
    opened: Counter[int] = field(default_factory=Counter)

    def add(self, operation: Operation, finish_ns: int) -> None:
        """Count an operation."""
        self.opened[operation.invocation.time // NS_PER_S + 1] += 1
        self.opened[finish_ns // NS_PER_S + 1] -= 1
        if operation.completion is not None:
            second = finish_ns // NS_PER_S
            self.ended.setdefault(second, Counter())[operation.type] += 1

    def counters(self) -> Iterator[str]:
        """A value for each second in which it changes."""
        for second in sorted({*self.ended, *(each + 1 for each in self.ended)}):
            counts = self.ended.get(second, Counter())
            outcomes = {kind.value: counts[kind] for kind in (Type.OK, Type.FAIL, Type.INFO)}
            yield _event("C", PER_SECOND, RUN, 0, second * NS_PER_S, args=outcomes)
        in_flight = 0
        for second, change in sorted(self.opened.items()):
            in_flight += change
            if change:
                args = {"operations": in_flight}
                yield _event("C", IN_FLIGHT, RUN, 0, second * NS_PER_S, args=args)


def _complete(operation: Operation, pid: int, tid: int, finish_ns: int) -> str:
    """An operation; its arguments are what the page shows of it, texts not longer than there."""
    start_ns = operation.invocation.time
    args: dict[str, Any] = {
        "operation": label(operation),
        "outcome": operation.type.value,
        "process": operation.process,
        "index": operation.invocation.index,
    }
    more = {
        "key": operation.key,
        "asked": asked(operation) or None,
        "answered": answered(operation).removeprefix("→ ") or None,
        "error": error_text(operation.completion.error if operation.completion else None) or None,
    }
    args |= {name: value for name, value in more.items() if value is not None}
    duration = f'"dur":{_us(finish_ns - start_ns)}'
    cat = f"operation,{operation.type.value}"
    return _event("X", operation.f, pid, tid, start_ns, duration, cat=cat, args=args)


def _faults(found: Episodes, tracks: _Tracks) -> Iterator[str]:
    """Faults in force, points in time of nemeses, and what became of the processes of nodes."""
    number = 0
    for episode in found.strikes:
        for node in (None, *episode.targets):
            number += 1
            yield from () if node is None else tracks.node(node)
            pid = FAULTS if node is None else tracks.pids[node]
            yield from _lasting(episode, pid, number)
    for step in found.end_of_run:
        number += 1
        yield from _step(step, number)
    for mark in found.marks:
        yield _mark(mark)
    for change in found.changes:
        yield from tracks.node(change.node)
        pid = tracks.pids[change.node]
        name = change.effect.value
        yield _event("i", name, pid, 0, change.time_ns, '"s":"p"', cat="node")


def _lasting(episode: Episode, pid: int, number: int) -> Iterator[str]:
    """A fault from its begin to its end, with an identity of its own."""
    identity = f'"id":"{number:#x}"'
    healing = episode.healing
    args = {
        "targets": ", ".join(episode.targets),
        "held": episode.has_held,
        "injection": episode.injection.invocation.index,
        "evidence": evidence(episode.injection),
    }
    end: dict[str, Any] = {"healed": healing is not None}
    if healing is not None:
        end |= {"healing": healing.invocation.index, "evidence": evidence(healing)}
    name = episode.fault
    yield _event("b", name, pid, 0, episode.start_ns, identity, cat="fault", args=args)
    yield _event("e", name, pid, 0, episode.end_ns, identity, cat="fault", args=end)


def _step(step: Step, number: int) -> Iterator[str]:
    """A step of the end of the run, which is no fault."""
    identity = f'"id":"{number:#x}"'
    args = {"skipped": step.skipped} if step.skipped else None
    yield _event("b", step.name, RUN, 0, step.start_ns, identity, cat="step", args=args)
    yield _event("e", step.name, RUN, 0, step.end_ns, identity, cat="step")


def _mark(mark: Mark) -> str:
    args = {"targets": ", ".join(targets(mark.operation)), "evidence": evidence(mark.operation)}
    name = mark.operation.f
    return _event("i", name, FAULTS, 0, mark.time_ns, '"s":"p"', cat="fault", args=args)


def _end(end: UnaskedEnd, tracks: _Tracks) -> Iterator[str]:
    """A process of a node that ended, and nobody asked for it; and when the node had another."""
    if not end.node or end.time_ns is None:
        return
    yield from tracks.node(end.node)
    pid = tracks.pids[end.node]
    how = end.signal or f"exit status {end.exit_status}"
    args = {"what": end.what, "why": end.why, "last words": "\n".join(end.words)}
    said = {name: value for name, value in args.items() if value}
    yield _event("i", f"ended: {how}", pid, 0, end.time_ns, '"s":"p"', cat="crash", args=said)
    if end.next_ns is not None:
        yield _event("i", "running again", pid, 0, end.next_ns, '"s":"p"', cat="crash")


def _anomaly(anomaly: Anomaly, number: int, placed: Mapping[int, _Place]) -> Iterator[str]:
    """A flow through the operations of an anomaly, by time, and a point where the last begins."""
    places = {placed[index] for index in anomaly.indices if index in placed}
    ordered = sorted(places, key=lambda place: (place.time_ns, place.pid, place.tid))
    if not ordered:
        return
    args = {"summary": anomaly.summary, "key": anomaly.key, "indices": list(anomaly.indices)}
    last = ordered[-1].time_ns
    yield _event("i", anomaly.name, RUN, 0, last, '"s":"g"', cat="anomaly", args=args)
    identity = f'"id":"{number:#x}"'
    through = ordered[:FLOW_OPERATIONS_MAX]
    for at, place in enumerate(through if len(through) > 1 else ()):
        phase = "s" if at == 0 else "t" if at < len(through) - 1 else "f"
        # The end belongs to the operation that is open then, not to the next one that begins.
        more = f'{identity},"bp":"e"' if phase == "f" else identity
        name = anomaly.name
        yield _event(phase, name, place.pid, place.tid, place.time_ns, more, cat="anomaly")


def _anomalies(results: Results | None) -> tuple[Anomaly, ...]:
    every = results.results if results is not None else ()
    return tuple(anomaly for result in every for anomaly in result.anomalies)


def _other_data(subject: Subject, results: Results | None) -> dict[str, Any]:
    """What of the run stands in no event."""
    data = {
        "system": subject.system,
        "workload": subject.workload,
        "faults": ", ".join(subject.faults),
        "seed": subject.seed,
        "started": subject.started,
        "repeat": subject.repeat(),
        "verdict": None if results is None else results.verdict.word,
        "why": None if results is None else results.why,
    }
    return {name: value for name, value in data.items() if value not in (None, "")}


def _name(kind: str, pid: int, tid: int = 0, *, name: str, sort: int) -> Iterator[str]:
    """The name and the place of a process or a thread."""
    what = kind.removesuffix("_name")
    yield _event("M", kind, pid, tid, 0, args={"name": name})
    yield _event("M", f"{what}_sort_index", pid, tid, 0, args={"sort_index": sort})


def _event(
    phase: str,
    name: str,
    pid: int,
    tid: int,
    time_ns: int,
    more: str = "",
    *,
    cat: str = "",
    args: Mapping[str, Any] | None = None,
) -> str:
    """One event; `more` are further fields, as JSON."""
    parts: Iterable[str] = (
        f'"ph":"{phase}","name":{json_text(name)}',
        f'"cat":"{cat}"' if cat else "",
        f'"pid":{pid},"tid":{tid},"ts":{_us(time_ns)}',
        more,
        f'"args":{json_text(args)}' if args else "",
    )
    return f"{{{','.join(filter(None, parts))}}}"


def _us(time_ns: int) -> str:
    """Nanoseconds as microseconds, exactly."""
    whole, rest = divmod(abs(time_ns), 1000)
    sign = "-" if time_ns < 0 else ""
    return f"{sign}{whole}.{rest:03d}" if rest else f"{sign}{whole}"
