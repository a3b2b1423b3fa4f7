"""Discovery among scripted nodes, then through a real election."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dqlite.client.client import Client
from dqlite.client.leader import find_leader
from dqlite.errors import Indeterminate, NoLeader, NotLeader
from dqlite.wire import schema
from dqlite.wire.schema import Member, Request, Response, Role


def names(leader: str) -> Callable[[Request], Response]:
    """A node that believes in a leader."""

    def answer(request: Request) -> Response:
        if isinstance(request, schema.Leader):
            return schema.LeaderNode(1 if leader else 0, leader)
        return schema.Welcome(15_000)

    return answer


def silent(_request: Request) -> bytes:
    return b""


async def find(servers: Any, *addresses: str, timeout_s: float = 0.05) -> str:
    async with await find_leader(addresses, dial=servers.dial, timeout_s=timeout_s) as client:
        return client.address


@pytest.mark.parametrize("asked", [("a",), ("b",), ("c", "b"), ("down", "a"), ("silent", "b", "a")])
def test_leader_is_found_through_any_node_that_knows_it(peers: Any, asked: tuple[str, ...]) -> None:
    servers = peers({"a": names("a"), "b": names("a"), "c": names(""), "silent": silent})

    assert asyncio.run(find(servers, *asked)) == "a"


@pytest.mark.parametrize(
    "nodes",
    [
        {},
        {"a": names("")},
        {"a": names("b"), "b": names("a")},
        {"a": names("gone")},
        {"a": silent, "b": names("")},
        {"a": lambda _: None},
    ],
    ids=["down", "unknown", "each-other", "dead-leader", "silent", "closing"],
)
def test_no_confirmed_leader_is_no_leader(peers: Any, nodes: Any) -> None:
    with pytest.raises(NoLeader):
        asyncio.run(find(peers(nodes), "a", "b"))


def test_redirect_is_followed_once(peers: Any) -> None:
    servers = peers({"a": names("b"), "b": names("c"), "c": names("c")})

    with pytest.raises(NoLeader):
        asyncio.run(find(servers, "a"))
    assert ("c", schema.Leader()) not in servers.received


def test_search_without_a_deadline_asks_once(peers: Any) -> None:
    servers = peers({"a": names("")})

    with pytest.raises(NoLeader):
        asyncio.run(find(servers, "a"))
    assert len(servers.received) == 1


def test_search_with_a_deadline_asks_until_somebody_leads(peers: Any) -> None:
    answers = iter(["", "", "a"])
    servers = peers({"a": lambda request: names(next(answers, "a"))(request)})

    async def main() -> None:
        client = await find_leader(["a"], dial=servers.dial, timeout_s=1, deadline_s=10)
        client.close()

    asyncio.run(main())
    assert [type(request) for _, request in servers.received].count(schema.Leader) == 3


def test_search_ends_at_its_deadline(peers: Any) -> None:
    with pytest.raises(NoLeader):
        asyncio.run(find_leader(["a"], dial=peers({}).dial, timeout_s=1, deadline_s=0.01))


@pytest.mark.cluster
def test_three_nodes_elect_another_leader_when_it_is_killed(program: Any) -> None:
    for node_id in (1, 2, 3):
        program.start(node_id)

    async def main() -> None:
        await form()
        old = await write(1)
        await follower_refuses(old)
        program.kill(identity(old))
        new = await write(2)

        assert new != old

    async def form() -> None:
        async with await leader() as client:
            for node_id in (2, 3):
                await client.add(node_id, program.addresses[node_id])
                await client.assign(node_id, Role.VOTER)
            expected = tuple(Member(i, program.addresses[i], Role.VOTER) for i in (1, 2, 3))
            assert await client.cluster() == expected
            await client.transfer(2)

    async def write(value: int) -> str:
        async with await leader() as client:
            await client.open("test")
            await client.exec_sql("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
            await client.exec_sql("INSERT INTO t VALUES (?)", (value,))
            rows = (await client.query_sql("SELECT n FROM t ORDER BY n")).rows
            assert rows == tuple((n,) for n in range(1, value + 1))
            return client.address

    async def follower_refuses(leader_address: str) -> None:
        address = next(each for each in program.addresses.values() if each != leader_address)
        async with await Client.connect(address, timeout_s=2) as client:
            with pytest.raises(NotLeader):
                await client.add(4, "127.0.0.1:1")
            with pytest.raises(NotLeader):
                await open_and_write(client)  # open succeeds before 1.18.2

    async def open_and_write(client: Client) -> None:
        await client.open("test")
        await client.exec_sql("INSERT INTO t VALUES (0)")

    async def leader() -> Client:
        return await find_leader(list(program.addresses.values()), timeout_s=2, deadline_s=15)

    def identity(address: str) -> int:
        return next(int(each) for each, known in program.addresses.items() if known == address)

    asyncio.run(main())


@pytest.mark.cluster
def test_write_at_a_leader_without_a_majority_is_indeterminate(program: Any) -> None:
    program.start(1)
    program.start(2)

    async def main() -> None:
        async with await find_leader([program.addresses[1]], timeout_s=3, deadline_s=15) as client:
            await client.add(2, program.addresses[2])
            await client.assign(2, Role.VOTER)
            await client.open("test")
            await client.exec_sql("CREATE TABLE t (n INTEGER)")
            program.kill(2)
            with pytest.raises(Indeterminate):
                await client.exec_sql("INSERT INTO t VALUES (1)")

    asyncio.run(main())
