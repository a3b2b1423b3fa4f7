"""What was observed of each fault: a line per strike, and what the line opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dissever.harness.episodes import (
    Episode,
    Episodes,
    Mark,
    Role,
    Step,
    evidence,
    is_shown,
    lapse_of,
    left_of,
    report_of,
    skip_of,
    targets,
)
from dissever.harness.history import Operation
from dissever.harness.windows import Around, Window
from dissever.reports.details import Counts, UnaskedEnd
from dissever.reports.fault_roles import BOTH, FOLLOWERS, role_of
from dissever.reports.labels import duration_text, error_text, time_text
from dissever.reports.tidy import Tidy, tidy

NOT_MEASURED = Around()
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

    f: str
    index: int
    time_ns: int
    is_seen: bool
    holds: bool | None
    observed: Tidy | None
    before: Tidy | None
    error: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A few words with a shape; `is_good` is None where it is neither good nor bad."""

    mark: str
    text: str
    is_good: bool | None


@dataclass(frozen=True, slots=True)
class FaultRow:
    """
    One strike, or one operation without a duration and a healing.

    `role` says whom it met: leader, followers, both; empty when nobody knows. `steps` are the
    operations that carried it on. `around` is what clients got, and `succeeded` how many operations
    were ok before, during and after it in the whole run; None where not known. `has_held` is
    whether it was seen to hold, as the checker counts it. `doubts` say in words what speaks against
    it, and `is_idle` that nothing met it. `skipped` is why the harness left the strike out.
    `is_healing`: it heals, and is no strike. `asked_ns` is when its injection began, and `ended`
    says which of its targets ended by themselves before that completed. Nobody knows whether those
    had met it, so it is not idle then.
    """

    fault: str
    f: str
    targets: tuple[str, ...]
    injection: Proof
    role: str = ""
    steps: tuple[Proof, ...] = ()
    duration_ns: int | None = None
    healing: Proof | None = None
    around: Around = NOT_MEASURED
    succeeded: Counts | None = None
    has_held: bool = False
    is_idle: bool = False
    doubts: tuple[str, ...] = ()
    skipped: str = ""
    is_healing: bool = False
    asked_ns: int = 0
    ended: tuple[str, ...] = ()

    @property
    def is_strike(self) -> bool:
        """Whether it was in force for some time."""
        return self.duration_ns is not None

    @property
    def is_flagged(self) -> bool:
        """Whether a reader should look: proof is lacking, or nothing healed the fault."""
        if self.duration_ns is None:
            return self.injection.holds is False
        is_proven = self.injection.holds and self.healing and self.healing.holds
        return not is_proven or self.is_idle or bool(self.doubts) or self.is_unclear

    @property
    def is_unclear(self) -> bool:
        """Whether a target ended before it could be seen that the fault took effect."""
        return bool(self.ended) and not self.has_held

    @property
    def rank(self) -> int:
        """0 for what a reader should look at first: what lacks proof, then what met nothing."""
        if not self.is_flagged:
            return 2
        return 1 if self.state == "idle" else 0

    @property
    def met(self) -> str:
        """The role of its targets, as short as it fits next to them."""
        if self.role == FOLLOWERS and len(self.targets) == 1:
            return "follower"
        return "leader too" if self.role == BOTH else self.role

    @property
    def state(self) -> str:
        """What a reader may choose lines by."""
        if self.skipped:
            return "left out"
        if self.is_idle and self.injection.holds and not self.doubts:
            return "idle"
        return "in doubt" if self.is_flagged else "held"

    @property
    def held(self) -> Badge | None:
        """Whether it took hold, in a few words; None for what does not say and need not."""
        if self.skipped:
            return Badge("–", "left out", None)
        if not self.is_strike:
            if self.injection.holds is None:
                return None
            yes, no = (
                ("healed", "did not heal") if self.is_healing else ("as meant", "not as meant")
            )
            return _badge(self.injection, yes, no)
        if self.doubts and self.injection.holds:
            return Badge("!", "in doubt", False)
        if self.is_idle and self.injection.holds:
            return Badge("○", "idle", False)
        if self.is_unclear and self.injection.holds:
            return Badge("!", "node ended", False)
        return _badge(self.injection, "held", "did not take hold")

    @property
    def healed(self) -> Badge | None:
        """Whether it healed; None for what has no healing."""
        if self.duration_ns is None:
            return None
        if self.healing is None:
            return Badge("!", "never", False)
        return _badge(self.healing, "healed", "not healed")

    @property
    def shares(self) -> str:
        """The share of ok operations before, during and after, as `98 → 31 → 97 %`."""
        windows = (self.around.before, self.around.during, self.around.after)
        shares = [None if window is None else window.share for window in windows]
        if all(share is None for share in shares):
            return ""
        return f"{' → '.join(share_text(share) for share in shares)} %"

    @property
    def windows(self) -> tuple[WindowRow, ...]:
        """The numbers before, during and after; empty where nothing was measured."""
        around = self.around
        named = (("before", around.before), ("during", around.during), ("after", around.after))
        return tuple(window_row(name, window) for name, window in named if window is not None)


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window in words; a cell is empty where nothing was measured."""

    name: str
    start: str
    lasted: str
    asked: str
    share: str
    per_s: str
    p50: str
    p99: str
    others: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of the end of the run; `proofs` are of its operations."""

    name: str
    start_ns: int
    lasted_ns: int
    targets: tuple[str, ...]
    badge: Badge
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class FaultRows:
    """
    Everything that the nemeses did, as lines.

    `lines` are strikes, what was left out, and what nobody can place, by rank and time. `calm` are
    healings that had nothing to heal, and `steps` the end of the run.
    """

    lines: tuple[FaultRow, ...]
    calm: tuple[FaultRow, ...]
    steps: tuple[StepRow, ...]

    @property
    def strikes(self) -> tuple[FaultRow, ...]:
        """Those that were in force, and those that the harness left out."""
        return tuple(row for row in self.lines if row.is_strike or row.skipped)

    @property
    def counts(self) -> tuple[str, ...]:
        """What became of the strikes, in plain words: `4 were seen to take effect`."""
        rows = [row for row in self.lines if row.is_strike]
        left_out = sum(bool(row.skipped) for row in self.lines)
        seen = sum(row.has_held for row in rows)
        idle = sum(row.is_idle for row in rows)
        ended = sum(row.is_unclear for row in rows)
        unseen = len(rows) - seen - idle - ended
        only_ended = ended == len(rows) > 0
        of_ended = "a node" if only_ended else f"in {ended} a node"
        return (
            *(() if only_ended else (f"{_was(seen) if seen else 'none was'} seen to take effect",)),
            *((f"{idle} had nothing to act on",) if idle else ()),
            *((f"{of_ended} ended before an effect could be seen",) if ended else ()),
            *((f"{_was(unseen)} not seen to take effect",) if unseen else ()),
            *((f"{_was(left_out)} left out",) if left_out else ()),
        )


def fault_rows(
    found: Episodes,
    measured: Mapping[int, Around] | None = None,
    succeeded: Mapping[int, Counts] | None = None,
    leading: Mapping[int, tuple[str, ...]] | None = None,
    ends: Sequence[UnaskedEnd] = (),
) -> FaultRows:
    """
    The lines of the page.

    Args:
        measured: The index of an injection -> what clients got around its fault.
        succeeded: The index of an injection -> what succeeded before, during and after its fault.
        leading: The index of an injection -> who led then, where something else than the evidence
            knows.
        ends: Of processes, which nobody had asked for.
    """
    carried = {id(step) for episode in found.episodes for step in episode.continuations}
    marks = [mark for mark in found.marks if id(mark.operation) not in carried]
    calm = [mark for mark in marks if _is_calm(mark)]
    lines = [
        _strike(episode, measured or {}, succeeded or {}, leading or {}, ends)
        for episode in found.strikes
    ]
    lines += [_mark(mark) for mark in marks if not _is_calm(mark)]
    return FaultRows(
        tuple(sorted(lines, key=lambda row: (row.rank, row.injection.time_ns))),
        tuple(map(_mark, calm)),
        tuple(map(_step, found.end_of_run)),
    )


def share_text(share: float | None) -> str:
    """In percent, with a digit more where whole percents would hide a failure; – for None."""
    if share is None:
        return "–"
    percent = 100 * share
    if 99 <= percent < 100 or 0 < percent < 1:
        return f"{min(99.9, max(0.1, percent)):.1f}"
    return f"{percent:.0f}"


def rate_text(per_s: float | None) -> str:
    """Per second; empty for None."""
    if per_s is None:
        return ""
    return f"{per_s:.1f}" if 0 < per_s < 10 else f"{per_s:,.0f}"


def window_row(name: str, window: Window) -> WindowRow:
    """One window in words."""
    p50, p99 = (
        "" if time is None else duration_text(time) for time in (window.p50_ns, window.p99_ns)
    )
    return WindowRow(
        name=name,
        start=time_text(window.start_ns),
        lasted=duration_text(window.end_ns - window.start_ns),
        asked=f"{window.asked:,}",
        share="" if window.share is None else f"{share_text(window.share)} %",
        per_s=rate_text(window.per_s),
        p50=p50,
        p99=p99,
        others=f"{window.others:,}" if window.others else "none",
    )


def _strike(
    episode: Episode,
    measured: Mapping[int, Around],
    succeeded: Mapping[int, Counts],
    leading: Mapping[int, tuple[str, ...]],
    ends: Sequence[UnaskedEnd],
) -> FaultRow:
    ended = _ended(episode, ends)
    index = episode.injection.invocation.index
    return FaultRow(
        fault=episode.fault,
        f=episode.injection.f,
        targets=episode.targets,
        injection=_proof(episode.injection),
        role=role_of(episode, leading.get(index, ())),
        steps=tuple(map(_proof, episode.continuations)),
        duration_ns=episode.end_ns - episode.start_ns,
        healing=_proof(episode.healing) if episode.healing else None,
        around=measured.get(index, NOT_MEASURED),
        succeeded=succeeded.get(index),
        has_held=episode.has_held,
        is_idle=episode.is_idle and not ended,
        doubts=_doubts(episode),
        asked_ns=episode.injection.invocation.time,
        ended=ended,
    )


def _ended(episode: Episode, ends: Sequence[UnaskedEnd]) -> tuple[str, ...]:
    """Its targets whose processes ended while it was being injected, in words."""
    begin_ns = episode.injection.invocation.time
    return tuple(
        f"{end.node} ended by {end.signal or f'exit status {end.exit_status}'} at"
        f" {time_text(end.time_ns)}, while the fault was being injected"
        for end in ends
        if end.node in episode.targets
        and end.time_ns is not None
        and begin_ns <= end.time_ns <= episode.start_ns
    )


def _was(count: int) -> str:
    return f"{count} {'was' if count == 1 else 'were'}"


def _mark(mark: Mark) -> FaultRow:
    return FaultRow(
        fault=mark.fault,
        f=mark.operation.f,
        targets=targets(mark.operation),
        injection=_proof(mark.operation),
        skipped=skip_of(mark.operation) or "",
        is_healing=mark.role is Role.HEAL,
        asked_ns=mark.operation.invocation.time,
    )


def _is_calm(mark: Mark) -> bool:
    """Whether it is a healing without anything to heal, of which nothing speaks badly."""
    return mark.role is Role.HEAL and is_shown(mark.operation) is not False


def _step(step: Step) -> StepRow:
    proofs = tuple(map(_proof, step.operations))
    yes, no = ("held", "did not take hold") if step.is_cut else ("came", "did not come")
    is_left_out = step.skipped is not None
    badge = Badge("–", "not needed", None) if is_left_out else _badge(proofs[0], yes, no)
    return StepRow(
        step.name,
        step.start_ns,
        step.end_ns - step.start_ns,
        targets(step.operations[0]),
        badge,
        proofs,
    )


def _badge(proof: Proof, yes: str, no: str) -> Badge:
    if not proof.is_seen:
        return Badge("!", "no evidence", False)
    if proof.holds is None:
        return Badge("!", "evidence does not say", False)
    return Badge("✓", yes, True) if proof.holds else Badge("✗", no, False)


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
        f=operation.f,
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
