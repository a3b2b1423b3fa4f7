"""dqlite as a system under test: a real cluster, and what its stores say when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

import dqlite
from dissever.harness.client import NotApplied
from dissever.harness.plan import Options
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.system import DqliteSystem

pytestmark = pytest.mark.cluster

OPTIONS = Options(
    system="dqlite",
    workload="register",
    nodes=("n1", "n2", "n3"),
    system_options={"latency-ms": 20},
)


@pytest.fixture(autouse=True)
def _can_run() -> None:
    missing = DqliteSystem().probe()
    if missing is not None:
        pytest.skip(f"dqlite cannot run here: {missing.reason}; {missing.remedy}")


@pytest.fixture
def deployed(tmp_path: Path) -> Callable[[Callable[[DqliteDeployment], Awaitable[None]]], None]:
    """Run an asynchronous function on a cluster of three."""

    def run(body: Callable[[DqliteDeployment], Awaitable[None]]) -> None:
        async def main() -> None:
            async with DqliteSystem().deploy(OPTIONS, tmp_path, Random(1)) as deployment:
                await body(deployment)

        asyncio.run(main())

    return run


def test_stores_of_every_node_see_one_register_and_one_set(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        first = await deployment.open_store("registers", "n1")
        last = await deployment.open_store("registers", "n3")
        elements = await deployment.open_store("elements", "n2")

        assert await first.read(1) is None
        await first.write(1, 5)
        assert await last.read(1) == 5
        assert await last.compare_and_set(1, 5, 6)
        assert not await last.compare_and_set(1, 5, 7)
        assert await first.read(1) == 6
        await elements.add(9)
        await elements.add(9)
        assert await elements.elements() == [9, 9]
        for store in (first, last, elements):
            await store.close()

    deployed(body)


def test_killed_leader_is_replaced_and_the_stores_find_the_new_one(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        (leader,) = await deployment.primaries()
        other = next(node for node in deployment.cluster.nodes if node != leader)
        store = await deployment.open_store("registers", other)
        await store.write(1, 5)
        await deployment.cluster.kill(leader)
        with pytest.raises((NotApplied, dqlite.Indeterminate)):
            await store.write(1, 6)
        await _until_written(store, 7)

        assert leader not in await deployment.primaries()
        assert not await deployment.answers(leader)
        assert await store.read(1) == 7
        with pytest.raises(TimeoutError, match="not ready"):
            await deployment.await_ready(0.3)
        await deployment.cluster.start(leader)
        assert (await deployment.await_ready(10))["leader"] in deployment.cluster.nodes
        await store.close()

    deployed(body)


def test_without_a_majority_no_quorum_read_is_ok_and_a_plain_read_may_be(
    deployed: Callable,
) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        (leader,) = await deployment.primaries()
        store = await deployment.open_store("registers", leader)
        await store.write(1, 5)
        others = [node for node in deployment.cluster.nodes if node != leader]
        await deployment.cluster.drop(
            {leader: frozenset(others), **{node: frozenset([leader]) for node in others}}
        )
        with pytest.raises(NotApplied):
            await store.read(1)
        await store.close()

    deployed(body)


def test_transactions_keep_apart_and_end_with_their_leader(deployed: Callable) -> None:
    """Refused when others have committed since they read; gone when the leader goes."""

    async def body(deployment: DqliteDeployment) -> None:
        first, second = [await deployment.open_store("transactions", n) for n in ("n1", "n2")]
        await first.begin()
        await second.begin()
        await first.append(1, 5)
        assert await first.read_list(1) == [5]
        assert await second.read_list(1) == []
        await first.commit()
        assert await second.read_list(1) == []
        with pytest.raises(NotApplied, match=r"database is locked \(517\)"):
            await second.append(1, 6)
        await second.rollback()
        await second.begin()
        assert await second.read_list(1) == [5]

        await second.append(1, 7)
        async with await deployment.find_leader() as leader:
            (led,) = await deployment.primaries()
            next_ = next(node for node in deployment.cluster.nodes if node != led)
            await leader.transfer(deployment.id_of(next_))
        with pytest.raises(NotApplied, match=r"not leader \(10250\)"):
            await second.commit()
        await deployment.await_ready(10)
        with pytest.raises(NotApplied, match=r"not leader \(10250\)"):
            await first.begin()
        await first.begin()
        assert await first.read_list(1) == [5], "what was not committed is gone with its leader"

        await first.append(1, 8)
        (led,) = await deployment.primaries()
        others = [node for node in deployment.cluster.nodes if node != led]
        await deployment.cluster.drop(
            {led: frozenset(others), **{node: frozenset([led]) for node in others}}
        )
        with pytest.raises(dqlite.LeadershipLost):
            await first.commit()
        for store in (first, second):
            await store.close()

    deployed(body)


async def _until_written(store: object, value: int) -> None:
    """Refusals are definite, so asking again keeps it one write."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.write(1, value)  # type: ignore[attr-defined]
            except NotApplied:
                await asyncio.sleep(0.02)
            else:
                return
