"""What became of the strikes of a run, and of clients under them: a row per fault and role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dissever.harness.latency import quantile
from dissever.harness.windows import Window
from dissever.reports.fault_table import FaultRow


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """
    The strikes of one fault, or those of them that met one role.

    `role` is empty for all of a fault. Shares are of all operations of the windows together, from 0
    to 1; None where nothing was asked. `first_ok_ns` and `recovered_ns` are the median and the
    maximum, and `silence_ns` is the longest. `apart` counts the strikes during which no other fault
    was in force.
    """

    fault: str
    role: str
    strikes: int
    held: int
    idle: int
    skipped: int
    apart: int
    before: float | None
    during: float | None
    after: float | None
    first_ok_ns: tuple[int, int] | None
    recovered_ns: tuple[int, int] | None
    silence_ns: int | None


def summary_rows(rows: Sequence[FaultRow]) -> tuple[SummaryRow, ...]:
    """
    A row per fault, by name, each followed by a row per role where roles are known.

    Args:
        rows: Strikes, and those that the harness left out.
    """
    found: list[SummaryRow] = []
    for fault in sorted({row.fault for row in rows}):
        of_fault = [row for row in rows if row.fault == fault]
        found.append(_summary(fault, "", of_fault))
        roles = sorted({row.role for row in of_fault if row.role})
        found += [_summary(fault, role, [r for r in of_fault if r.role == role]) for role in roles]
    return tuple(found)


def _summary(fault: str, role: str, rows: Sequence[FaultRow]) -> SummaryRow:
    strikes = [row for row in rows if row.is_strike]
    arounds = [row.around for row in strikes]
    return SummaryRow(
        fault=fault,
        role=role,
        strikes=len(strikes),
        held=sum(row.has_held for row in strikes),
        idle=sum(row.is_idle for row in strikes),
        skipped=sum(bool(row.skipped) for row in rows),
        apart=sum(each.during is not None and not each.during.others for each in arounds),
        before=_share(each.before for each in arounds),
        during=_share(each.during for each in arounds),
        after=_share(each.after for each in arounds),
        first_ok_ns=_middle_and_most(each.first_ok_ns for each in arounds),
        recovered_ns=_middle_and_most(each.recovered_ns for each in arounds),
        silence_ns=max((a.silence_ns for a in arounds if a.silence_ns is not None), default=None),
    )


def _share(windows: Iterable[Window | None]) -> float | None:
    known = [window for window in windows if window is not None]
    asked = sum(window.asked for window in known)
    return sum(window.ok for window in known) / asked if asked else None


def _middle_and_most(times_ns: Iterable[int | None]) -> tuple[int, int] | None:
    known = sorted(time for time in times_ns if time is not None)
    middle = quantile(known, 50)
    return None if middle is None else (middle, known[-1])
