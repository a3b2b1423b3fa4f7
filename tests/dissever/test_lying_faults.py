"""
Faults that lie: they strike somebody else, end too early, heal half, or are never healed.

The harness is broken on purpose in each, and no such run may be valid, or accuse the system.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dissever import planning
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.generator import nemesis
from dissever.nemesis.aiming import Aiming, Ledger
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.partition import Partition
from dissever.nemesis.plans import planner
from dissever.nemesis.targets import Choice

SHORT = ("-t", "6", "--rate", "40", "--seed", "1", "-q")

Break = Callable[[pytest.MonkeyPatch], None]


def _neighbour(cluster: SimulatedCluster, node: str) -> str:
    return cluster.nodes[(cluster.nodes.index(node) + 1) % len(cluster.nodes)]


def _strikes_the_neighbour(verb: str) -> Break:
    sound = getattr(SimulatedCluster, verb)

    async def struck(cluster: SimulatedCluster, node: str, *arguments: Any) -> Any:
        await sound(cluster, _neighbour(cluster, node), *arguments)
        return await cluster.status(node)

    return lambda patch: patch.setattr(SimulatedCluster, verb, struck)


def _cuts_the_neighbour(patch: pytest.MonkeyPatch) -> None:
    sound = SimulatedCluster.drop

    async def drop(cluster: SimulatedCluster, grudge: Any) -> None:
        def next_to(node: str) -> str:
            return _neighbour(cluster, node)

        await sound(cluster, {next_to(n): frozenset(map(next_to, d)) for n, d in grudge.items()})

    patch.setattr(SimulatedCluster, "drop", drop)


def _undone_after(what: type, undo: Any) -> Break:
    """Somebody else undoes the fault once its evidence was taken."""
    sound = what.inject

    async def inject(self: Any, request: Any) -> Any:
        seen = await sound(self, request)
        for node in seen.targets:
            await undo(self, node)
        return seen

    return lambda patch: patch.setattr(what, "inject", inject)


async def _start(injector: Any, node: str) -> None:
    await injector._cluster.start(node)


async def _resume(injector: Any, node: str) -> None:
    await injector._cluster.resume(node)


async def _lift(injector: Any, _: str) -> None:
    await injector._cuts._cluster.drop({})


def _is_believed_unseen(patch: pytest.MonkeyPatch) -> None:
    """A kill that does nothing, and evidence that nobody looked for."""

    async def end(cluster: Any, node: str, grace_s: Any = None) -> Any:
        status = await cluster.status(node)
        return processes.NodeEvidence(node, True, status, {"pid": status.pid})

    patch.setattr(processes, "end", end)


def _never_heals(patch: pytest.MonkeyPatch) -> None:
    """Neither the plan nor the end of the run has what heals."""
    sound = planner.plan

    def plan(*arguments: Any, **options: Any) -> Any:
        ops = sound(*arguments, **options)
        return tuple(op for op in ops if op.value is not None)

    patch.setattr(planning, "draw_plan", plan)
    patch.setattr(planning, "final_healing", lambda _: nemesis([]))


def _forgets_the_cut(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        """The rules stay."""

    patch.setattr(Cuts, "_heal", nothing)


def _claims_to_heal_the_cut(patch: pytest.MonkeyPatch) -> None:
    async def heal(partition: Partition) -> FaultEvidence:
        cut = partition._cuts.in_force.get(partition._name, {})
        return FaultEvidence(tuple(cut), True, {})

    patch.setattr(Partition, "heal", heal)


def _heals_one_of(patch: pytest.MonkeyPatch) -> None:
    sound = Ledger.of
    patch.setattr(Ledger, "of", lambda ledger, fault: sound(ledger, fault)[:1])


def _skips_all(patch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any, **__: Any) -> Choice:
        return Choice((), {"skipped": "no room"})

    patch.setattr(Aiming, "nodes", nobody)


def _looks_at_nothing(patch: pytest.MonkeyPatch) -> None:
    """Evidence of a pause that nobody looks at: what comes back is taken for the answer."""
    sound = PerNode.inject

    async def inject(self: Any, request: Any) -> Any:
        seen = await sound(self, request)
        return replace(seen, is_so=None)

    patch.setattr(PerNode, "inject", inject)


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        pytest.param("kill", _strikes_the_neighbour("kill"), id="kills another node"),
        pytest.param("stop", _strikes_the_neighbour("stop"), id="ends another node"),
        pytest.param("pause", _strikes_the_neighbour("pause"), id="pauses another node"),
        pytest.param("partition:one", _cuts_the_neighbour, id="cuts other links"),
        pytest.param("kill", _undone_after(PerNode, _start), id="started meanwhile"),
        pytest.param("stop", _undone_after(PerNode, _start), id="started after its end"),
        pytest.param("pause", _undone_after(PerNode, _resume), id="resumed meanwhile"),
        pytest.param("partition", _undone_after(Partition, _lift), id="cut lifted meanwhile"),
        pytest.param("kill", _is_believed_unseen, id="kill that is believed"),
        pytest.param("kill", _never_heals, id="kill never healed"),
        pytest.param("pause", _never_heals, id="pause never healed"),
        pytest.param("partition", _never_heals, id="cut never healed"),
        pytest.param("partition", _forgets_the_cut, id="cut forgotten"),
        pytest.param("swizzle", _forgets_the_cut, id="swizzle forgotten"),
        pytest.param("partition", _claims_to_heal_the_cut, id="cut said to be healed"),
        pytest.param("kill:minority", _heals_one_of, id="half started"),
        pytest.param("pause:minority", _heals_one_of, id="half resumed"),
        pytest.param("kill", _skips_all, id="all left out"),
        pytest.param("pause", _looks_at_nothing, id="evidence without an answer"),
    ],
)
def test_a_fault_that_lies_makes_the_run_unknown(
    dissever: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, fault: str, broken: Break
) -> None:
    broken(monkeypatch)
    ran = dissever("test", "simulated", "-n", "5", "-f", fault, *SHORT)

    assert ran.status == 2, ran.text


@pytest.mark.parametrize(
    "fault", ["kill", "stop", "pause", "partition:one", "partition", "swizzle", "kill:minority"]
)
def test_the_same_fault_that_does_not_lie_is_valid(
    dissever: Callable[..., Any], fault: str
) -> None:
    ran = dissever("test", "simulated", "-n", "5", "-f", fault, *SHORT)

    assert ran.status == 0, ran.text
