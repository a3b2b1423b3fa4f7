"""
Did the faults take hold, and did they heal? A fault without evidence makes the run unknown.

The completion of an injection carries `{"evidence": {"held": …}}`, that of a healing
`{"evidence": {"healed": …, "still_held": …}}`: what was seen from outside. A run whose faults may
not have happened says nothing about the system under faults.

A strike is one of these. It *held* until it healed. It was *idle*: in force, but nothing met it. It
was *skipped*: the harness left it out, for example because the budget was used up. Or it is in
doubt, and then the run is unknown: it did not take hold, was gone before it healed, or did not heal
everything that it struck. Strikes that were idle or skipped are counted and named. They make the
run unknown only when no other strike is left. The same goes for strikes that somebody asked to meet
a leader, or followers, and that met other nodes; where the seed drew the target, that is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.checkers.run_checker import RunChecker
from dissever.harness.episodes import (
    Actions,
    Episode,
    Episodes,
    Role,
    doubt_of,
    episodes_of,
    evidence,
    lapse_of,
    left_of,
    name_of,
    targets,
)
from dissever.harness.history import History, Operation, Process
from dissever.harness.results import Budget, Result, Verdict
from dissever.harness.values import count_text, listed


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The checker. Valid when every fault held and every healing healed, or none was asked for.

    `aimed`: the faults that somebody asked to strike the leader or followers; None: all that did.
    """

    actions: Actions = field(default_factory=dict)
    aimed: Collection[str] | None = None
    name: str = "faults"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at each completion."""
        found = episodes_of(history, self.actions)
        skipped = _skipped(found)
        doubts = [*_doubts(found), *_nothing_struck(found, skipped, self.aimed)]
        why = _summary(found, skipped)
        if doubts:
            why = listed(doubts, "; ")
        return Result(
            checker=self.name,
            verdict=Verdict.UNKNOWN if doubts else Verdict.VALID,
            why=why,
            details={
                "faults": len(found.strikes),
                "doubts": doubts,
                "strikes": _counts(found, skipped),
                "idle": [name_of(each.injection) for each in found.idle],
                "skipped": [why for _, why in skipped],
                "not_as_asked": [name_of(each.injection) for each in _elsewhere(found)],
            },
        )


def _doubts(found: Episodes) -> Iterator[str]:
    """
    What speaks against a single strike or healing.

    A healing that went wrong is no doubt once a later one healed the same nodes. Until then the
    fault was on its way out, so the later one need not find it in force.
    """
    failed: dict[Process, list[tuple[Operation, str]]] = {}
    for operation, role in found.faults:
        doubt = doubt_of(operation, role)
        if role is not Role.HEAL:
            yield from filter(None, (doubt,))
            continue
        before = failed.setdefault(operation.process, [])
        if doubt is not None:
            before.append((operation, doubt))
            continue
        if not before and (lapse := lapse_of(operation)) is not None:
            yield lapse
        healed = set(targets(operation))
        left = [each for each in before if not healed or not set(targets(each[0])) <= healed]
        failed[operation.process] = left
    yield from (doubt for those in failed.values() for _, doubt in those)
    # Where one healing ends several, an earlier one may have been replaced by the last.
    last = {each.healing.invocation.index: each for each in found.episodes if each.healing}
    yield from (doubt for each in last.values() if (doubt := left_of(each)) is not None)
    yield from (doubt for each in found.episodes if not each.healing and (doubt := left_of(each)))


def _nothing_struck(
    found: Episodes, skipped: Sequence[tuple[str, str]], asked: Collection[str] | None
) -> Iterator[str]:
    """Why a run without a doubtful strike may still show nothing of the system under faults."""
    struck = found.strikes
    if skipped and not struck:
        yield f"no fault struck anything: {skipped[0][1]}"
    elif struck and all(each.is_idle for each in struck):
        yield f"no fault met anything: {name_of(struck[0].injection)} was idle"
    aimed = [each for each in struck if "as_asked" in evidence(each.injection)]
    if asked is not None:
        aimed = [each for each in aimed if each.fault in asked]
    if aimed and not any(each.is_as_asked for each in aimed):
        first = name_of(aimed[0].injection)
        yield f"no strike met the leader or followers that it was meant for, {first} first"


def _skipped(found: Episodes) -> list[tuple[str, str]]:
    """The fault and, in words, the reason of each strike that was left out."""
    return [
        (str(operation.process), f"{name_of(operation)} was skipped: {reason}")
        for operation, reason in found.skipped
    ]


def _elsewhere(found: Episodes) -> list[Episode]:
    """Strikes that were meant for a leader and met another node."""
    return [each for each in found.strikes if not each.is_as_asked]


def _counts(found: Episodes, skipped: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Fault -> how many of its strikes held, were idle, met another node, or were left out."""
    counts: dict[str, Counter[str]] = {}
    for each in found.strikes:
        of_fault = counts.setdefault(each.fault, Counter(struck=0, held=0))
        states = {
            "struck": True,
            "held": each.has_held,
            "idle": each.is_idle,
            "not_as_asked": not each.is_as_asked,
        }
        of_fault.update(state for state, is_so in states.items() if is_so)
    for fault, _ in skipped:
        counts.setdefault(fault, Counter(struck=0, held=0))["skipped"] += 1
    return {fault: dict(of_fault) for fault, of_fault in counts.items()}


def _summary(found: Episodes, skipped: Sequence[tuple[str, str]]) -> str:
    """What became of the strikes of a run without a doubt."""
    if not found.faults:
        return "no faults were asked for"
    parts = ["every fault took hold and healed"]
    if found.idle:
        parts.append(f"{count_text(len(found.idle), 'strike')} met nothing: {_first(found.idle)}")
    if skipped:
        parts.append(f"{count_text(len(skipped), 'strike')} left out: {skipped[0][1]}")
    if elsewhere := _elsewhere(found):
        meant = f"{count_text(len(elsewhere), 'strike')} met another node than was asked for"
        parts.append(f"{meant}: {_first(elsewhere)}")
    return "; ".join(parts)


def _first(episodes: Sequence[Episode]) -> str:
    return f"first {name_of(episodes[0].injection)}"


RUN_CHECKER: Final = RunChecker(
    name="faults",
    description="every fault left evidence that it took hold, and that it healed",
    make=lambda actions, remains: Evidence(actions, remains.aimed),
)
