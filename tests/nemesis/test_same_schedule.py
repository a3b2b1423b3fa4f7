"""One seed, one schedule: what strikes when, and whom, does not depend on where nodes run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dissever import planning
from dissever.harness.client import Invocation
from dissever.harness.cluster import Cluster, Program, backends
from dissever.harness.cluster.namespaces import NamespacesCluster
from dissever.harness.plan import Options
from dissever.nemesis import FAULTS, Environment, PlannedOp, make_nemeses, plan
from dissever.systems import load

SEED = 4
KINDS = ("partition", "kill", "stop", "pause")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_plan_does_not_know_the_backend(fault: str) -> None:
    planned = {
        backend: planning.schedule(
            Options(system="dqlite", workload="register", faults=(fault,), backend=backend, seed=8),
            load("dqlite"),
        )
        for backend in (backends.NAMESPACES, backends.CONTAINERS)
    }

    assert planned[backends.NAMESPACES] == planned[backends.CONTAINERS]
    assert planned[backends.NAMESPACES]


@pytest.mark.cluster
@pytest.mark.parametrize(
    "backend", [backends.NAMESPACES, pytest.param(backends.CONTAINERS, marks=pytest.mark.docker)]
)
def test_the_same_plan_strikes_the_same_nodes_everywhere(
    backend: str, nodes: tuple[str, ...], make_cluster: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    missing = backends.probe(backend)
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    ops = plan(KINDS, nodes=nodes, seed=SEED, interval_s=3, time_limit_s=8)

    async def on_hosts() -> list[Any]:
        async with await _open(backend, nodes, tmp_path) as cluster:
            program = Program(["sleep", "600"], {})
            await asyncio.gather(*(cluster.start(node, program) for node in nodes))
            return await _struck(cluster, ops)

    in_memory = run(_struck(make_cluster(len(nodes)), ops))
    assert asyncio.run(on_hosts()) == in_memory
    assert {process for process, *_ in in_memory} == set(KINDS)


async def _open(backend: str, nodes: Sequence[str], directory: Path) -> Any:
    if backend == backends.NAMESPACES:
        return await NamespacesCluster.open(nodes, directory)
    from dissever.harness.cluster.containers import ContainersCluster

    return await ContainersCluster.open(nodes, directory, ports=[7000])


async def _struck(cluster: Cluster, ops: Sequence[PlannedOp]) -> list[Any]:
    """Whom each operation meant, and whether there was evidence; one after another, at once."""
    nemeses = make_nemeses(KINDS, Environment(cluster, None, SEED))
    struck = []
    for op in ops:
        done = await nemeses[op.process].invoke(Invocation(op.f, op.value, process=op.process))
        evidence = {n: done.value["evidence"].get(n) for n in ("held", "healed")}
        struck.append((op.process, op.f, done.value["targets"], done.value.get("grudge"), evidence))
    return struck
