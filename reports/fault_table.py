"""What was observed of each fault, a row per injection and per mark, flagged without proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dissever.harness.history import Operation
from dissever.reports.bands import Band, Faults, Mark, evidence, is_healing, targets
from dissever.reports.figures import first_ok_after
from dissever.reports.labels import error_text
from dissever.reports.tidy import Tidy, tidy


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What was seen from outside when a fault operation completed.

    `holds` is None when the evidence does not say whether the fault took hold or was healed;
    `is_seen` is whether there is evidence at all. `observed` is all that the operation told, None
    when nothing.
    """

    index: int
    time_ns: int
    is_seen: bool
    holds: bool | None
    observed: Tidy | None
    error: str

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing that shows the effect."""
        return not self.is_seen or self.holds is not True


@dataclass(frozen=True, slots=True)
class FaultRow:
    """
    One fault, or one mark, which has neither duration nor healing.

    `recovered_ns` is from healing to the first ok of an operation invoked after it, None without.
    """

    fault: str
    f: str
    targets: tuple[str, ...]
    injection: Proof
    is_mark: bool = False
    duration_ns: int | None = None
    healing: Proof | None = None
    first_ok_ns: int | None = None
    recovered_ns: int | None = None

    @property
    def is_proven(self) -> bool:
        """Whether this is a fault that was seen to take hold."""
        return not self.is_mark and not self.injection.is_missing

    @property
    def is_flagged(self) -> bool:
        """Whether a reader should look: proof is lacking, or nothing healed the fault."""
        if self.is_mark:
            return self.injection.holds is False
        return self.injection.is_missing or self.healing is None or self.healing.is_missing


def fault_rows(faults: Faults, operations: Sequence[Operation]) -> tuple[FaultRow, ...]:
    """The rows of the evidence table, by time."""
    rows = [_of_band(band, operations) for band in faults.bands]
    rows += [_of_mark(mark) for mark in faults.marks]
    return tuple(sorted(rows, key=lambda row: row.injection.time_ns))


def proof(operation: Operation, claim: str) -> Proof:
    """What an operation proves; claim is the key of the evidence: `held` or `healed`."""
    event = operation.completion or operation.invocation
    seen = evidence(operation)
    holds = (seen or {}).get(claim)
    told = _told(operation, seen or {}, claim)
    return Proof(
        index=event.index,
        time_ns=event.time,
        is_seen=seen is not None,
        holds=holds if isinstance(holds, bool) else None,
        observed=tidy(told, depth=1) if told else None,
        error=error_text(event.error),
    )


def _told(operation: Operation, seen: Mapping[str, Any], claim: str) -> dict[str, Any]:
    """What the operation says of itself besides its targets, and the evidence without its claim."""
    value = operation.completion.value if operation.completion else None
    if not isinstance(value, Mapping):
        return {} if value is None else {"value": value}
    own = {key: part for key, part in value.items() if key not in ("evidence", "targets")}
    return own | {key: part for key, part in seen.items() if key != claim}


def _of_band(band: Band, operations: Sequence[Operation]) -> FaultRow:
    first_ok = first_ok_after(operations, band.start_ns)
    recovered = first_ok_after(operations, band.end_ns) if band.healing else None
    return FaultRow(
        fault=band.fault,
        f=band.injection.f,
        targets=targets(band.injection),
        injection=proof(band.injection, "held"),
        duration_ns=band.end_ns - band.start_ns,
        healing=proof(band.healing, "healed") if band.healing else None,
        first_ok_ns=None if first_ok is None else first_ok - band.start_ns,
        recovered_ns=None if recovered is None else recovered - band.end_ns,
    )


def _of_mark(mark: Mark) -> FaultRow:
    return FaultRow(
        fault=mark.fault,
        f=mark.operation.f,
        targets=targets(mark.operation),
        injection=proof(mark.operation, "healed" if is_healing(mark.operation.f) else "held"),
        is_mark=True,
    )
