"""
Does the system come back? Of a majority that healed, progress is required; of all, convergence.

Each anomaly is proved by what an operation of the recovery saw once faults had healed:
`no-progress` (no write was acknowledged though a majority could talk), `no-recovery` (not every
node serves again), `no-recovery-after-restart` (nor do they when all were restarted), `diverged`
(replicas differ long after the last write) and `diverged-for-good` (they still differ when all
were restarted, so what differs is on their disks).

A failure of the harness is never an anomaly of the system. If something was missed while a fault
had not healed, or once a part of the harness was gone, the verdict is unknown. It is unknown, too,
if the recovery could not see something, such as the dumps of nodes, or if one of its operations
ended without saying what it saw. A node whose disk a fault damaged may refuse it, or serve no more,
or hold something else: what is missed of such nodes alone is unknown as well.

A system may be asked to take a change of its members back, and not do it. That is no failure of the
harness, so it excuses nothing. But a node that is no member need not serve, and a majority that
lacks such nodes is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dissever.checkers.node_ends import refusals
from dissever.checkers.run_checker import NodeEnd, RunChecker
from dissever.harness.episodes import (
    Actions,
    Episodes,
    Role,
    damages_disk,
    doubt_of,
    episodes_of,
    evidence,
    is_aimless,
    is_shown,
    name_of,
    report,
    targets,
    waited_of,
)
from dissever.harness.history import History, Operation, Process
from dissever.harness.results import Anomaly, Budget, Result, Verdict
from dissever.harness.values import show, show_ns
from dissever.harness.vocabulary import ANOMALIES, MAJORITY_ONLY, PROGRESS, WAITED_FOR


@dataclass(frozen=True, slots=True)
class Liveness:
    """
    The checker. Valid when all that was asked for came, or nothing was.

    `lost_ns` is when a part of the harness was found gone; None: all of it lasted. `ends` are those
    of the nodes' processes.
    """

    actions: Actions = field(default_factory=dict)
    lost_ns: int | None = None
    ends: Sequence[NodeEnd] = ()
    name: str = "liveness"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at what the recovery saw."""
        found = episodes_of(history, self.actions)
        missed = [each for each in found.recovery if is_shown(each) is False]
        excuses = {each.indices: self._excuse(found, each) for each in missed}
        guilty = [each for each in missed if not excuses[each.indices]]
        excused = [each for each in missed if excuses[each.indices]]
        doubts = [f"{_sentence(each)}, but {excuses[each.indices]}" for each in excused]
        doubts += [doubt for each in found.recovery if (doubt := _unseen(each))]
        held = [each for each in found.recovery if is_shown(each)]
        verdict = Verdict.UNKNOWN if doubts else Verdict.VALID
        took = "; ".join(f"{each.f} took {_waited(each)}" for each in held)
        if guilty:
            verdict, doubts = Verdict.INVALID, [_sentence(guilty[0])]
        return Result(
            checker=self.name,
            verdict=verdict,
            why=doubts[0] if doubts else took or "nothing was asked for",
            anomalies=tuple(map(_anomaly, guilty)),
            details={
                each.f: each.completion.value if each.completion else None
                for each in found.recovery
            },
        )

    def _excuse(self, found: Episodes, missed: Operation) -> str | None:
        """Which failure of the harness may be why something was missed, or None."""
        if self.lost_ns is not None:
            return f"a part of the harness was found gone at {show_ns(self.lost_ns)}"
        return _unhealed(found, missed) or self._damaged(found, missed)

    def _damaged(self, found: Episodes, missed: Operation) -> str | None:
        """The nodes with damaged disks, if something was missed of them alone; None if not."""
        asked, seen = missed.invocation, missed.completion or missed.invocation
        damaged = {
            node: f"{node}, whose disk {episode.fault} damaged at {show_ns(episode.start_ns)}"
            for episode in found.episodes
            if damages_disk(episode.injection) and episode.start_ns < asked.time
            for node in episode.targets
        }
        observed = evidence(missed)
        gone = set(observed.get("gone", ()))
        refused = refusals(self.ends, found, seen.time)
        may_fail = {node: f"{why}, need not serve" for node, why in damaged.items()}
        outside = _outside(found, asked.index)
        may_fail |= outside
        excuses = {node: why for node, why in may_fail.items() if node not in gone} | refused
        if (
            missed.f == PROGRESS
        ):  # A majority is no more than needed: without one of them it is none.
            asked_of = asked.value.get("nodes", ()) if isinstance(asked.value, Mapping) else ()
            return "; ".join(excuses[node] for node in asked_of if node in excuses) or None
        excuses |= outside  # Gone or not: the harness starts it only once it may join.
        silent = gone.union(observed.get("silent", ()))
        if silent:
            nodes = silent.union(*(each.targets for each in found.episodes))
            few = outside and 2 * len(set(excuses)) >= len(nodes)
            is_excused = silent <= set(excuses) or few
            return "; ".join(excuses[n] for n in sorted(excuses)) if is_excused else None
        replicas = report(missed).get("replicas", {})
        compared = set(replicas) - set(report(missed).get("unseen", ()))
        others = {replicas[node] for node in compared - set(damaged) - set(outside)}
        apart = damaged | outside
        if apart.keys() & compared and len(others) == 1:
            return f"all hold the same, except {'; '.join(apart[n] for n in sorted(apart))}"
        return None


def _unseen(operation: Operation) -> str | None:
    """Why it is not known what an operation of the recovery saw, or None."""
    if operation.completion is None:
        return f"{operation.f} never completed"
    error = operation.completion.error
    if "skipped" in report(operation) or is_shown(operation) is not None:
        return None
    return f"{operation.f} has no result" + ("" if error is None else f": {show(error)}")


def _unhealed(found: Episodes, missed: Operation) -> str | None:
    """
    A fault that the harness had not healed when something was missed, or None.

    Nothing healed it, or a healing went wrong and no later one healed the same. While a majority is
    asked for progress, the rest is cut off on purpose; how that cut heals afterwards shows whether
    other links were cut as well. A process that stands still was stopped by the harness.
    """
    asked = missed.invocation.index
    for each in found.episodes:
        on_purpose = each.fault == MAJORITY_ONLY and missed.f == PROGRESS
        is_over = each.healing is not None and each.healing.invocation.index < asked
        if each.injection.invocation.index < asked and not (on_purpose or is_over):
            return f"{name_of(each.injection)} was not healed by then"
    doubts: dict[Process, str] = {}
    for healing, role in found.faults:
        if role is not Role.HEAL or _is_refused(healing):
            continue
        if (doubt := doubt_of(healing, role)) is not None:
            doubts.setdefault(healing.process, doubt)
        elif healing.invocation.index < asked and not _healed_nothing(healing):
            doubts.pop(healing.process, None)
    if doubts:
        return next(iter(doubts.values()))
    paused = evidence(missed).get("paused", ())
    return f"{', '.join(paused)} stood still, which only a fault does" if paused else None


def _is_refused(healing: Operation) -> bool:
    """Whether the system was asked to take a change back, and did not: the harness did its part."""
    return bool(evidence(healing).get("refused"))


def _outside(found: Episodes, index: int) -> dict[str, str]:
    """The nodes that were no members before an event, since the system did not take them in."""
    outside: dict[str, str] = {}
    by: dict[str, Process] = {}
    for healing, role in found.faults:
        if role is not Role.HEAL or healing.invocation.index > index:
            continue
        seen = evidence(healing).get("nodes")
        of_nodes = seen if isinstance(seen, Mapping) else {}
        for node in targets(healing):
            of_node = of_nodes.get(node)
            if isinstance(of_node, Mapping) and of_node.get("outside") is True:
                why = f"which {healing.process} took out of the cluster, is no member"
                outside[node], by[node] = f"{node}, {why}", healing.process
            elif is_shown(healing) and by.get(node) == healing.process:
                outside.pop(node, None)
    return outside


def _healed_nothing(healing: Operation) -> bool:
    """Whether nothing was in force, as far as the fault knew, and it looked at no link either."""
    return is_aimless(healing) and "links" not in evidence(healing)


def _waited(operation: Operation) -> str:
    waited_ns = waited_of(operation)
    assert waited_ns is not None
    return show_ns(waited_ns)


def _sentence(operation: Operation) -> str:
    """`await-ready at 9.100 s waited 30.200 s in vain for every node to serve: "…"`."""
    assert operation.completion is not None
    error = operation.completion.error
    return (
        f"{operation.f} at {show_ns(operation.invocation.time)} waited {_waited(operation)} in vain"
        f" for {WAITED_FOR.get(operation.f, operation.f)}"
        + ("" if error is None else f": {show(error)}")
    )


def _anomaly(operation: Operation) -> Anomaly:
    return Anomaly(
        name=ANOMALIES.get(operation.f, operation.f),
        summary=_sentence(operation),
        indices=operation.indices,
    )


RUN_CHECKER: Final = RunChecker(
    name="liveness",
    description="a majority that healed makes progress, and in the end all hold the same",
    make=lambda actions, remains: Liveness(actions, remains.lost_ns, remains.ends),
)
