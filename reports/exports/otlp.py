"""
A run as spans of OpenTelemetry: lines of OTLP in JSON, as the Collector's file receiver reads them.

Each operation is a trace of its own, because a backend keeps a trace whole and a run has millions
of operations. The run is one more trace, with a span for each fault and for each step of its end.
An operation names the faults that were in force, and links to the run and to the operations that an
anomaly has in common with it. Identities are made of the digest of the history, so the same history
gives the same spans. Times are those of the run, counted from when it was started; a history file
begins in 1970.
Source: OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"; opentelemetry-proto, `trace.proto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from dissever.harness.episodes import Episode, Step, episodes_of, evidence, report_of
from dissever.harness.history import History, Operation, Type
from dissever.harness.results import Anomaly, Results, Verdict
from dissever.reports.details import unasked_ends
from dissever.reports.exports.in_force import InForce
from dissever.reports.exports.record import Record, json_text
from dissever.reports.labels import answered, asked, end_of, error_text
from dissever.reports.subject import Subject

SPANS_MAX: Final = 256
"""Of one line."""

LINKS_MAX: Final = 32
"""From one operation to others. The specification's own default is 128 for all of a span."""

UINT64_MAX: Final = (1 << 64) - 1

SCOPE: Final = "dissever"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(IntEnum):
    """Of a span: what the harness does itself, or what it asks a node."""

    INTERNAL = 1
    CLIENT = 3


class Status(IntEnum):
    """Of a span. An operation that nobody answered is an error, as in a client's library."""

    UNSET = 0
    OK = 1
    ERROR = 2


STATUSES: Final = {Type.OK: Status.OK, Type.FAIL: Status.ERROR, Type.INFO: Status.ERROR}


def write_otlp(records: Sequence[Record]) -> Iterator[bytes]:
    """The spans of one record, SPANS_MAX a line."""
    (record,) = records
    resource = _resource(record.subject)
    held: list[dict[str, Any]] = []
    for span in spans(record):
        held.append(span)
        if len(held) == SPANS_MAX:
            yield _line(resource, held)
            held = []
    if held:
        yield _line(resource, held)


def spans(record: Record) -> Iterator[dict[str, Any]]:
    """The run, its faults, the steps of its end, and then its operations by invocation."""
    history, subject = record.history, record.subject
    found = episodes_of(history, subject.actions)
    make = _Spans(record.digest, _start_ns(subject.started))
    end_ns = history.duration_ns
    yield _run(make, subject, record.results, end_ns)
    for episode in found.strikes:
        yield _fault(make, episode)
    for step in found.end_of_run:
        yield _step(make, step)
    in_force = InForce.of(found)
    related = _related(record.results, history)
    for operation in history.stream_operations():
        names = in_force.during(operation.invocation.time, end_of(operation, end_ns=end_ns))
        anomalies = related.get(operation.invocation.index, ())
        yield _operation(make, operation, names, anomalies, end_ns)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Makes spans; `start_ns` is when the run was started, in ns since 1970."""

    digest: str
    start_ns: int

    def trace(self, index: int | None) -> str:
        """The identity of a trace: of the operation invoked at an index, or of the run."""
        return self._identity(f"trace {index}", 16)

    def span(self, what: object) -> str:
        """The identity of a span."""
        return self._identity(f"span {what}", 8)

    def _identity(self, text: str, bytes_n: int) -> str:
        digest = hashlib.sha256(f"{self.digest} {text}".encode()).digest()[:bytes_n]
        return digest.hex() if any(digest) else f"{1:0{2 * bytes_n}x}"  # Zeros are no identity.

    def time(self, time_ns: int) -> str:
        """A time of the run as a time of the world; what lies before 1970 counts as its begin."""
        return str(min(max(0, self.start_ns + time_ns), UINT64_MAX))

    def made(
        self,
        what: object,
        name: str,
        times_ns: tuple[int, int],
        attributes: Mapping[str, Any],
        *,
        of: int | None = None,
        kind: Kind = Kind.INTERNAL,
        status: Status = Status.UNSET,
        message: str = "",
        **more: Any,
    ) -> dict[str, Any]:
        """
        Args:
            what: What this span is of, for its identity.
            of: The operation whose trace it is in; None: the run's.
        """
        start_ns, end_ns = times_ns
        return {
            "traceId": self.trace(of),
            "spanId": self.span(what),
            "name": name,
            "kind": int(kind),
            "startTimeUnixNano": self.time(start_ns),
            "endTimeUnixNano": self.time(max(start_ns, end_ns)),
            "attributes": _attributes(attributes),
            "status": {"code": int(status), **({"message": message} if message else {})},
            **more,
        }


def _run(make: _Spans, subject: Subject, results: Results | None, end_ns: int) -> dict[str, Any]:
    """
    The span of the whole run. An event is a node's process that ended and nobody asked for it, or
    an anomaly, which was found when the run had ended.
    """
    verdict = None if results is None else results.verdict
    is_invalid = verdict is Verdict.INVALID
    events = [
        {
            "timeUnixNano": make.time(end_ns),
            "name": "anomaly",
            "attributes": _attributes(
                {
                    "dissever.anomaly": anomaly.name,
                    "dissever.checker": checker,
                    "dissever.key": anomaly.key,
                    "dissever.summary": anomaly.summary,
                }
            ),
        }
        for checker, anomaly in _anomalies(results)
    ]
    events += [
        {
            "timeUnixNano": make.time(max(0, min(end.time_ns, end_ns))),
            "name": "node ended",
            "attributes": _attributes(
                {
                    "server.address": end.node,
                    "dissever.what": end.what,
                    "dissever.why": end.why or None,
                    "dissever.signal": end.signal or None,
                    "process.exit.code": end.exit_status,
                    "dissever.last_words": list(end.words) or None,
                }
            ),
        }
        for end in (unasked_ends(results) if results is not None else ())
        if end.node and end.time_ns is not None
    ]
    attributes = {
        "dissever.verdict": None if verdict is None else verdict.word,
        "dissever.why": None if results is None else results.why,
        "dissever.signature": (results.signature if results else "") or None,
        "dissever.repeat": subject.repeat() or None,
        "dissever.faults": list(subject.faults),
    }
    return make.made(
        "run",
        f"{subject.system} {subject.workload}",
        (0, end_ns),
        attributes,
        status=Status.ERROR if is_invalid else Status.UNSET,
        message=results.why if is_invalid and results is not None else "",
        events=events,
    )


def _fault(make: _Spans, episode: Episode) -> dict[str, Any]:
    """A fault in force; each operation of its nemesis is an event, with what was seen then."""
    steps = [(episode.injection, episode.start_ns)]
    steps += [(each, (report_of(each) or each.invocation).time) for each in episode.continuations]
    steps += [] if episode.healing is None else [(episode.healing, episode.end_ns)]
    events = [
        {
            "timeUnixNano": make.time(time_ns),
            "name": operation.f,
            "attributes": _attributes({"dissever.evidence": evidence(operation) or None}),
        }
        for operation, time_ns in steps
    ]
    index = episode.injection.invocation.index
    attributes = {
        "dissever.fault": episode.fault,
        "dissever.targets": list(episode.targets),
        "dissever.held": episode.has_held,
        "dissever.healed": episode.healing is not None,
        "dissever.index": index,
    }
    return make.made(
        f"fault {index}",
        f"fault {episode.fault}",
        (episode.start_ns, episode.end_ns),
        attributes,
        parentSpanId=make.span("run"),
        events=events,
    )


def _step(make: _Spans, step: Step) -> dict[str, Any]:
    """A step of the end of the run."""
    return make.made(
        f"step {step.operations[0].invocation.index}",
        step.name,
        (step.start_ns, step.end_ns),
        {"dissever.skipped": step.skipped},
        parentSpanId=make.span("run"),
    )


def _operation(
    make: _Spans,
    operation: Operation,
    in_force: tuple[str, ...],
    anomalies: Sequence[_Related],
    end_ns: int,
) -> dict[str, Any]:
    """An operation of a client, in a trace of its own."""
    invocation, completion = operation.invocation, operation.completion
    error = error_text(completion.error if completion is not None else None)
    outcome = operation.type
    attributes = {
        "db.operation.name": operation.f,
        "server.address": invocation.node,
        "dissever.outcome": outcome.value,
        "dissever.process": operation.process,
        "dissever.index": invocation.index,
        "dissever.key": operation.key,
        "dissever.asked": asked(operation) or None,
        "dissever.answered": answered(operation).removeprefix("→ ") or None,
        "dissever.faults": list(in_force) or None,
        "dissever.anomaly": [each.name for each in anomalies] or None,
    }
    why = "nobody knows whether it took effect" if outcome is Type.INFO else "it took no effect"
    return make.made(
        invocation.index,
        operation.f,
        (invocation.time, end_of(operation, end_ns=end_ns)),
        attributes,
        of=invocation.index,
        kind=Kind.CLIENT,
        status=STATUSES[outcome],
        message="" if outcome is Type.OK else error or why,
        links=list(_links(make, operation, anomalies)),
    )


def _links(
    make: _Spans, operation: Operation, anomalies: Iterable[_Related]
) -> Iterator[dict[str, Any]]:
    """The run, and the other operations of its anomalies."""
    yield {"traceId": make.trace(None), "spanId": make.span("run")}
    for anomaly in anomalies:
        others = [index for index in anomaly.operations if index != operation.invocation.index]
        for index in others[:LINKS_MAX]:
            yield {
                "traceId": make.trace(index),
                "spanId": make.span(index),
                "attributes": _attributes({"dissever.anomaly": anomaly.name}),
            }


@dataclass(frozen=True, slots=True)
class _Related:
    """An anomaly by its name, and the operations that it names by their invocations."""

    name: str
    operations: tuple[int, ...]


def _related(results: Results | None, history: History) -> dict[int, list[_Related]]:
    """The index of an invocation -> the anomalies that name it, or its completion."""
    every = [anomaly for _, anomaly in _anomalies(results)]
    named = {index for anomaly in every for index in anomaly.indices}
    if not named:
        return {}
    columns = history.columns
    invoked = {
        index: start
        for start, end in zip(columns.inv, columns.ret, strict=True)
        for index in (start, end)
        if index in named
    }
    found: dict[int, list[_Related]] = {}
    for anomaly in every:
        starts = (invoked[index] for index in anomaly.indices if index in invoked)
        related = _Related(anomaly.name, tuple(dict.fromkeys(starts)))
        for index in related.operations:
            found.setdefault(index, []).append(related)
    return found


def _anomalies(results: Results | None) -> Iterator[tuple[str, Anomaly]]:
    """Each with the name of its checker."""
    for result in results.results if results is not None else ():
        for anomaly in result.anomalies:
            yield result.checker, anomaly


def _resource(subject: Subject) -> dict[str, Any]:
    return {
        "attributes": _attributes(
            {
                "service.name": "dissever",
                "service.version": subject.versions.get("dissever"),
                "dissever.system": subject.system,
                "dissever.workload": subject.workload,
                "dissever.seed": subject.seed,
                "dissever.started": subject.started or None,
            }
        )
    }


def _line(resource: dict[str, Any], held: Sequence[dict[str, Any]]) -> bytes:
    scoped = {"scope": {"name": SCOPE}, "spans": held}
    data = {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}
    return json_text(data).encode() + b"\n"


def _attributes(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes by name; None is left out."""
    return [
        {"key": name, "value": _value(value)} for name, value in named.items() if value is not None
    ]


def _value(value: Any) -> dict[str, Any]:
    """A value as AnyValue: integers of 64 bits as texts, and what has no place there as JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": value if isinstance(value, str) else json_text(value)}


def _start_ns(started: str) -> int:
    """A time in ISO 8601 in ns since 1970; 0 where there is none."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return 0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
