"""What was observed of each fault, a row per episode and per mark, flagged without proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dissever.harness.episodes import (
    Episode,
    Episodes,
    evidence,
    is_shown,
    lapse_of,
    left_of,
    report_of,
    skip_of,
    targets,
)
from dissever.harness.history import Operation
from dissever.harness.latency import Successes
from dissever.reports.labels import error_text
from dissever.reports.tidy import Tidy, tidy

_BEFORE = "in_force"
_CLAIMS = ("held", "healed", _BEFORE)


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What was seen from outside when a fault operation completed.

    `holds` is None when the evidence does not say whether the fault took hold or was healed;
    `is_seen` is whether there is evidence at all. `observed` is all else that the completion holds,
    and `before` what a healing saw of the fault just before; None when nothing.
    """

    index: int
    time_ns: int
    is_seen: bool
    holds: bool | None
    observed: Tidy | None
    before: Tidy | None
    error: str


@dataclass(frozen=True, slots=True)
class FaultRow:
    """
    One episode, or one mark, which has neither duration nor healing.

    `first_ok_ns` is from the injection to the first ok of an operation invoked after it, and
    `recovered_ns` from the healing; None without any. `succeeded` are the operations that were ok
    before, during and after it. `doubts` say in words what speaks against it, and `is_idle` that
    nothing met it. `skipped` is why the harness left the strike out.
    """

    fault: str
    f: str
    targets: tuple[str, ...]
    injection: Proof
    duration_ns: int | None = None
    healing: Proof | None = None
    first_ok_ns: int | None = None
    recovered_ns: int | None = None
    succeeded: tuple[int, int, int] | None = None
    is_idle: bool = False
    doubts: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def is_flagged(self) -> bool:
        """Whether a reader should look: proof is lacking, or nothing healed the fault."""
        if self.duration_ns is None:
            return self.injection.holds is False
        is_proven = self.injection.holds and self.healing and self.healing.holds
        return not is_proven or self.is_idle or bool(self.doubts)


def fault_rows(
    found: Episodes,
    successes: Successes,
    counted: Mapping[int, tuple[int, int, int]] | None = None,
) -> tuple[FaultRow, ...]:
    """
    The rows of the evidence table, by time.

    Args:
        counted: What succeeded before, during and after the fault of an injection, by its index,
            where `successes` are only a part of the history.
    """
    rows = [
        FaultRow(
            fault=episode.fault,
            f=episode.injection.f,
            targets=episode.targets,
            injection=_proof(episode.injection),
            duration_ns=episode.end_ns - episode.start_ns,
            healing=_proof(episode.healing) if episode.healing else None,
            first_ok_ns=successes.first_after_ns(episode.start_ns),
            recovered_ns=successes.first_after_ns(episode.end_ns) if episode.healing else None,
            succeeded=(counted or {}).get(
                episode.injection.invocation.index,
                successes.around(episode.start_ns, episode.end_ns),
            ),
            is_idle=episode.is_idle,
            doubts=_doubts(episode),
        )
        for episode in found.strikes
    ]
    rows += [
        FaultRow(
            fault=mark.fault,
            f=mark.operation.f,
            targets=targets(mark.operation),
            injection=_proof(mark.operation),
            skipped=skip_of(mark.operation) or "",
        )
        for mark in found.marks
    ]
    return tuple(sorted(rows, key=lambda row: row.injection.time_ns))


def _doubts(episode: Episode) -> tuple[str, ...]:
    """What speaks against a fault beyond what its two operations say of themselves."""
    lapse = None if episode.healing is None else lapse_of(episode.healing)
    left = None if episode.healing is None else left_of(episode)
    elsewhere = None if episode.is_as_asked else "it struck another node than was asked for"
    return tuple(doubt for doubt in (lapse, left, elsewhere) if doubt is not None)


def _proof(operation: Operation) -> Proof:
    """What an operation proves."""
    report = report_of(operation)
    event = report or operation.invocation
    seen = evidence(operation)
    observed = _observed(report.value if report else None, seen)
    return Proof(
        index=event.index,
        time_ns=event.time,
        is_seen=bool(seen),
        holds=is_shown(operation),
        observed=tidy(observed, depth=1) if observed else None,
        before=tidy(before, depth=1) if (before := seen.get(_BEFORE)) else None,
        error=error_text(event.error),
    )


def _observed(value: Any, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What a completion says beyond its targets and its claim."""
    if not isinstance(value, Mapping):
        return {} if value is None else {"value": value}
    own = {key: part for key, part in value.items() if key not in ("evidence", "targets")}
    return own | {key: part for key, part in seen.items() if key not in _CLAIMS}
