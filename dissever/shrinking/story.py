"""
What happened in a small run, in order, in plain words, and which step was wrong. Pure.

The sentences come from the history, the faults and what the simulation saw. They say what was
observed; that a fault is needed is known from the attempts without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import structs

from dissever.checkers.linearizability.narration import sentence
from dissever.harness.events import pair
from dissever.harness.history import Event, Operation, Type
from dissever.harness.results import Anomaly
from dissever.harness.trace import VIOLATION
from dissever.harness.values import plain, printable
from dissever.harness.vocabulary import END_OF_RUN
from dissever.nemesis.faults import FAULTS
from dissever.traces import Line

__all__ = ["Sentence", "tell"]

OPERATIONS_MAX: Final = 14
"""In a run of more operations only those are told that the anomaly speaks of."""

SEEN_MAX: Final = 12
"""So many sentences tell what the simulation saw."""


class Sentence(msgspec.Struct, frozen=True, order=True):
    """What happened at a time of the run, in ns."""

    time_ns: int
    text: str
    is_wrong: bool = False


def tell(
    events: Sequence[Event],
    anomaly: Anomaly,
    seen: Iterable[Line] = (),
) -> tuple[Sentence, ...]:
    """
    The story of a run.

    Args:
        anomaly: Which step was wrong; its sentence is the last.
        seen: What the simulation recorded.
    """
    lines = tuple(seen)
    wrong_ns = _wrong_ns(events, anomaly, lines)
    told = [*_faults(events), *_operations(events, anomaly), *_seen(lines, wrong_ns, anomaly)]
    before = sorted(each for each in told if wrong_ns is None or each.time_ns <= wrong_ns)
    summary = anomaly.summary.rstrip(".")
    if not summary.startswith(anomaly.name):
        summary = f"{anomaly.name}. {summary[:1].upper()}{summary[1:]}"
    why = f"That is the step that was wrong: {summary}."
    end_ns = max((each.time_ns for each in before), default=0) if wrong_ns is None else wrong_ns
    return (*before, Sentence(end_ns, why, is_wrong=True))


def _wrong_ns(events: Sequence[Event], anomaly: Anomaly, lines: Sequence[Line]) -> int | None:
    """When the wrong step was made: at the last guilty event, or as the simulation says."""
    if anomaly.indices:
        guilty = set(anomaly.indices)
        return max((each.time for each in events if each.index in guilty), default=0)
    return next((line.time for line in lines if _is_of(line, anomaly)), None)


def _is_of(line: Line, anomaly: Anomaly) -> bool:
    return line.kind == VIOLATION and line.name == anomaly.name


def _at(time_ns: int) -> str:
    return f"At {time_ns / 1e9:.3f} s"


def _faults(events: Sequence[Event]) -> Iterator[Sentence]:
    """When each fault struck whom, and when it began to heal."""
    for event in events:
        name = event.process
        if event.is_client or name in END_OF_RUN or name not in FAULTS:
            continue
        first, *_, last = FAULTS[str(name)].steps
        value = event.value if isinstance(event.value, Mapping) else {}
        if event.f == first and event.type is not Type.INVOKE:
            yield Sentence(event.time, f"{_at(event.time)} the fault {name} {_whom(value)}.")
        elif event.f == last and event.type is not Type.INVOKE:
            yield Sentence(event.time, f"{_at(event.time)} the fault {name} had healed.")


def _whom(value: Mapping[str, Any]) -> str:
    if isinstance(grudge := value.get("grudge"), Mapping) and grudge:
        cuts = [f"{node} heard nothing of {', '.join(map(str, s))}" for node, s in grudge.items()]
        return f"was in force: {'; '.join(cuts)}"
    targets = value.get("targets")
    if isinstance(targets, list | tuple) and targets:
        return f"had struck {', '.join(map(str, targets))}"
    return "was in force"


def _operations(events: Sequence[Event], anomaly: Anomaly) -> Iterator[Sentence]:
    operations = pair(each for each in events if each.is_client)
    if len(operations) > OPERATIONS_MAX:
        named = {*anomaly.indices, *anomaly.context}
        operations = [each for each in operations if named.intersection(each.indices)]
    for operation in operations[: 2 * OPERATIONS_MAX]:
        yield Sentence(operation.invocation.time, _operation(operation))


def _operation(operation: Operation) -> str:
    text = printable(sentence(structs.replace(
        operation, invocation=_plain(operation.invocation),
        completion=operation.completion and _plain(operation.completion),
    )).text)  # fmt: skip
    if operation.invocation.key is not None:
        return f"Key {plain(operation.invocation.key)}: {text}."
    return f"{text[0].upper()}{text[1:]}."


def _plain(event: Event) -> Event:
    """With a value as it is written to the history, so that no class of ours shows."""
    return structs.replace(event, value=msgspec.to_builtins(event.value))


def _seen(lines: Iterable[Line], end_ns: int | None, anomaly: Anomaly) -> list[Sentence]:
    """Leaders, lost writes and snapshots; not every message, and not the anomaly itself."""
    found: list[Sentence] = []
    leads: dict[str, int] = {}
    for line in lines:
        if end_ns is not None and line.time > end_ns:
            break
        if (text := _line(line, leads)) and line.time >= 0 and not _is_of(line, anomaly):
            found.append(Sentence(line.time, f"{_at(line.time)} {text}."))
    return found[-SEEN_MAX:]


def _line(line: Line, leads: dict[str, int]) -> str:
    node = str(line.node)
    if line.kind == "server":
        if line.role == "leader" and leads.get(node) != line.term:
            leads[node] = line.term
            return f"{node} became leader of term {line.term}"
        if line.role != "leader" and node in leads:
            return f"{node} no longer led term {leads.pop(node)}"
    elif line.kind == "unsynced" and line.lost:
        why = line.why.replace("-", " ") or "crash"
        return f"the {why} took {line.lost} unsynced entries from {node}"
    elif line.kind == "snapshot":
        how = "installed" if line.how == "installed" else "took"
        return f"{node} {how} a snapshot up to index {line.index or 0}"
    elif line.kind == VIOLATION:
        return f"{line.name} was violated: {line.text.rstrip('.')}"
    return ""
