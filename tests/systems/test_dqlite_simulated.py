"""dqlite's own code in virtual time: exact runs, the known bugs, and clients that mean harm."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

import dqlite
from dissever.attempts import attempt
from dissever.harness import clock
from dissever.harness.client import NotApplied
from dissever.harness.cluster.backends import SIMULATED, Backend
from dissever.harness.plan import Options
from dissever.harness.store import SIMULATION
from dissever.harness.system import Digest, Role, checked
from dissever.reproduction import LIMIT_S, Outcome, Target, search
from dissever.systems.dqlite.bugs import BUGS
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.system import DqliteSystem
from dqlite.wire import codec, schema

NODES = ("n1", "n2", "n3")

OPTIONS = Options(system="dqlite", workload="register", nodes=NODES, backend=SIMULATED)

Body = Callable[[DqliteDeployment], Awaitable[None]]


@pytest.fixture
def can_run() -> None:
    missing = DqliteSystem().probe(OPTIONS)
    if missing is not None:
        pytest.skip(f"dqlite cannot be simulated here: {missing.reason}; {missing.remedy}")


@pytest.fixture
def deployed(can_run: None, tmp_path: Path) -> Callable[..., None]:
    """Run an asynchronous function on simulated nodes."""

    def run(body: Body, **system_options: Any) -> None:
        async def main() -> None:
            options = msgspec.structs.replace(OPTIONS, system_options=system_options)
            async with DqliteSystem().deploy(options, tmp_path, Random(1)) as deployment:
                await body(deployment)

        clock.run(main(), is_virtual=True)

    return run


def test_options_of_other_backends_are_refused() -> None:
    for backend, name, value in (
        (SIMULATED, "version", "debian13"),
        (SIMULATED, "upgrade-to", "sid"),
        (Backend.NAMESPACES, "library", "1.18.7"),
        (Backend.CONTAINERS, "timings", "deployed"),
    ):
        options = msgspec.structs.replace(OPTIONS, backend=backend, system_options={name: value})
        with pytest.raises(ValueError, match=f"--{name} with --backend"):
            checked(options, DqliteSystem())


def test_stores_of_every_node_see_one_register_and_one_set(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        first = await deployment.open_store("registers", "n1")
        last = await deployment.open_store("registers", "n3")
        elements = await deployment.open_store("elements", "n2")

        assert await first.read(1) is None
        await first.write(1, 5)
        assert await last.compare_and_set(1, 5, 6)
        assert not await last.compare_and_set(1, 5, 7)
        assert await first.read(1) == 6
        await elements.add(9)
        assert await elements.elements() == [9]
        for store in (first, last, elements):
            await store.close()

    deployed(body)


def test_leader_that_is_killed_is_replaced_and_replicas_agree(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        (leader,) = await deployment.primaries()
        await deployment.cluster.kill(leader)
        others = [node for node in NODES if node != leader]
        await deployment.await_progress(others, 20)
        await deployment.cluster.start(leader)
        await deployment.await_ready(20)
        await asyncio.sleep(1)
        replicas = set((await deployment.replicas()).values())

        assert len(replicas) == 1
        assert isinstance(replicas.pop(), Digest)

    deployed(body)


def test_member_that_was_wiped_comes_back_under_a_new_id(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        members = deployment.members
        before = deployment.id_of("n3")
        await members.remove("n3")
        assert "n3" not in await members.roles()
        await deployment.cluster.kill("n3")
        await members.wipe("n3")
        await members.start("n3")
        await members.add("n3", Role.VOTER)
        await deployment.await_ready(20)

        assert (await members.roles())["n3"] is Role.VOTER
        assert deployment.id_of("n3") != before

    deployed(body)


def test_node_that_stands_by_names_no_leader_and_serves_clients_all_the_same(
    deployed: Callable,
) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        async with await dqlite.Client.connect(
            deployment.address_of("n3"), dial=deployment.dial, timeout_s=5
        ) as client:
            assert await client.leader() is None
        store = await deployment.open_store("registers", "n3")
        await store.write(1, 5)

        assert await store.read(1) == 5
        assert (await deployment.members.roles())["n3"] is Role.STAND_BY
        await store.close()

    deployed(body, voters=2)


def test_snapshots_are_taken_and_installed(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        (leader,) = await deployment.primaries()
        late = next(node for node in NODES if node != leader)
        await deployment.cluster.kill(late)
        async with await deployment.lead(leader, 5) as client:
            for i in range(100):
                await client.exec_sql("INSERT INTO element (value) VALUES (?)", [i])
        await deployment.cluster.start(late)
        await deployment.await_ready(20)
        await asyncio.sleep(2)
        held = await deployment.snapshots()

        assert any(not each.is_installed for each in held[leader])
        assert any(each.is_installed for each in held[late])
        assert len(set((await deployment.replicas()).values())) == 1

    deployed(body, timings="exaggerated")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        codec.HANDSHAKE + b"\xff" * 8,
        codec.HANDSHAKE + b"\xff" * 64,
        codec.HANDSHAKE + b"\x00" * 64,
        codec.HANDSHAKE + bytes((1, 0, 0, 0, 11, 0, 0, 0)) + b"\x00" * 8,  # CONNECT
        codec.HANDSHAKE + codec.encode(schema.Open("x"))[:-3],
        codec.HANDSHAKE[:3],
    ],
)
def test_client_that_sends_anything_else_does_not_stop_a_node(
    deployed: Callable, sent: bytes
) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        attach = await deployment.dial(deployment.address_of("n1"))
        assert callable(attach)
        transport, _ = await attach(asyncio.Protocol)
        assert isinstance(transport, asyncio.Transport)
        transport.write(sent)
        await asyncio.sleep(1)
        transport.abort()
        await asyncio.sleep(1)

        assert await deployment.answers("n1")

    deployed(body)


EXACT = msgspec.structs.replace(
    OPTIONS, faults=("partition", "kill", "pause"), seed=7, time_limit_s=6.0, rate=100.0
)

ELSEWHERE = """
import sys
from pathlib import Path
import msgspec
from dissever.attempts import attempt
from dissever.harness.plan import Options
attempt(msgspec.json.decode(sys.argv[1], type=Options), keep=Path(sys.argv[2]))
"""


def test_same_seed_gives_the_same_history_and_the_same_trace(can_run: None, tmp_path: Path) -> None:
    def kept(folder: str) -> list[bytes]:
        return [(tmp_path / folder / name).read_bytes() for name in ("history.jsonl", SIMULATION)]

    for seed, folder in ((8, "other"), (7, "here")):
        options = msgspec.structs.replace(EXACT, seed=seed)
        attempt(options, keep=tmp_path / folder)
    told = msgspec.json.encode(EXACT).decode()
    subprocess.run([sys.executable, "-c", ELSEWHERE, told, str(tmp_path / "there")], check=True)

    assert kept("here") == kept("there")
    assert kept("here") != kept("other")
    assert all(len(content) > 10_000 for content in kept("here"))


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("ghost-write", True),
        ("partial-rows", True),
        ("returning-run", True),
        ("returning", False),
        ("name-prefix", False),
    ],
)
def test_known_bug_shows_where_it_is_on_record(
    can_run: None, tmp_path: Path, name: str, is_shown: bool
) -> None:
    lines: list[str] = []
    found = search(
        BUGS[name],
        Target(SIMULATED),
        LIMIT_S,
        tmp_path,
        say=lines.append,
        observe=lambda *_args, **_more: pytest.fail("it is no run"),
    )

    assert found.release == "1.18.7"
    assert found.outcome is (Outcome.SHOWN if is_shown else Outcome.NOT_SHOWN), lines
    assert found.is_expected


def test_refusal_is_not_applied(deployed: Callable) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        async with await deployment.find_leader() as client:
            await client.open("dissever")
            with pytest.raises(dqlite.StatementError):
                await client.exec_sql("INSERT INTO nothing VALUES (1)")

    deployed(body)


@pytest.mark.parametrize("is_applied", [True, False])
def test_token_resolves_a_commit_without_an_answer(deployed: Callable, is_applied: bool) -> None:
    async def body(deployment: DqliteDeployment) -> None:
        registers = await deployment.open_store("registers", "n1")
        await registers.write(1, 5)
        client = await registers._session.connected()
        send = client.exec_sql

        async def lose(sql: str, parameters: Any = ()) -> dqlite.Result:
            if sql != "COMMIT" or is_applied:
                answer: dqlite.Result = await send(sql, parameters)
            if sql == "COMMIT":
                client.close()
                raise dqlite.ConnectionLost("end of stream")
            return answer

        client.exec_sql = lose
        if is_applied:
            await registers.write(1, 6)
        else:
            with pytest.raises(NotApplied, match="not committed"):
                await registers.write(1, 6)

        assert await registers.read(1) == (6 if is_applied else 5)
        await registers.close()

    deployed(body, commits="tokens")
