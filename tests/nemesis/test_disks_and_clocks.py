"""Disks and clocks that fail, on real nodes: looked at by the node itself, not by the fault."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Hosts, NodeState, Program, clock, faultfs
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.nemesis import FAULTS, Environment, hosts, make_nemeses
from dissever.nemesis.clocks.clock import TURN_CLOCK

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("namespaces_work")]

NODES = ("n1", "n2", "n3")
PORT = 7000
DISK_MB = 16

SERVER = """
import errno, json, os, socket, time
path = "data/log"
def write(synced):
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        left = 100000
        while left:
            left -= os.write(file, bytes(left))
        if synced:
            os.fsync(file)
        os.close(file)
    except OSError as error:
        return errno.errorcode[error.errno]
server = socket.create_server(("0.0.0.0", 7000))
while True:
    connection, _ = server.accept()
    asked = connection.recv(16)
    began = time.monotonic()
    told = {"write": write(asked != b"unsynced")} if b"s" in asked else {}
    told |= {"time": time.time(), "monotonic": time.monotonic(), "took": time.monotonic() - began}
    if os.path.exists(path):
        told |= {"size": os.path.getsize(path)}
    if asked == b"count":
        with open(path, "rb") as file:
            told |= {"ones": sum(map(int.bit_count, file.read()))}
    connection.sendall(json.dumps(told).encode())
    connection.close()
"""
"""Answers `sync`, `unsynced`, `count` and `look` with what it sees of its disk and its clocks."""


@dataclass
class Deployment:
    """Three servers, of which n2 claims to lead, and the nemeses of some faults."""

    cluster: NamespacesCluster
    faults: tuple[str, ...]

    def __post_init__(self) -> None:
        self.nemeses = make_nemeses(self.faults, Environment(self.cluster, self, 1))

    async def primaries(self) -> tuple[str, ...]:
        return ("n2",)

    async def invoke(self, f: str, value: Any = None, process: str = "") -> Completion:
        name = process or f.partition("-")[2]
        return await self.nemeses[name].invoke(Invocation(f, value, process=name))

    async def ask(self, node: str, what: str = "look") -> dict[str, Any]:
        """What the node itself sees; it may have to start first."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while True:
                try:
                    with await self.cluster.dial(node, PORT, 1.0) as connection:
                        await loop.sock_sendall(connection, what.encode())
                        told: dict[str, Any] = msgspec.json.decode(
                            await loop.sock_recv(connection, 4096)
                        )
                        return told
                except ConnectionError:
                    await asyncio.sleep(0.01)


Work = Callable[[Deployment], Awaitable[None]]


@pytest.fixture(scope="module")
def namespaces_work() -> None:
    missing = probe()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture
def with_nodes(tmp_path: Path) -> Callable[..., None]:
    """Run a test on nodes whose disks or clocks can fail as the faults need."""

    @asynccontextmanager
    async def deployed(faults: tuple[str, ...]) -> AsyncIterator[Deployment]:
        needed = hosts(faults, DISK_MB)
        for lacking in (
            faultfs.missing() if needed.faulty_disks else None,
            clock.missing() if needed.own_clocks else None,
        ):
            if lacking is not None:
                pytest.skip(f"{lacking.reason} ({lacking.remedy})")
        program = Program([sys.executable, "-I", "-S", "-c", SERVER], {})
        async with await NamespacesCluster.open(NODES, tmp_path, needed) as cluster:
            await asyncio.gather(*(cluster.start(node, program) for node in NODES))
            yield Deployment(cluster, faults)

    async def main(faults: tuple[str, ...], work: Work) -> None:
        async with deployed(faults) as deployment:
            for node in NODES:
                await deployment.ask(node)
            await work(deployment)

    return lambda *faults, work: asyncio.run(main(faults, work))


def held(completion: Completion) -> Any:
    return completion.value["evidence"]["held"]


def healed(completion: Completion) -> Any:
    return completion.value["evidence"]["healed"]


@pytest.mark.parametrize("others", [(), ("disk-slow",)], ids=["tmpfs", "faultfs"])
def test_a_disk_is_full_however_much_is_freed_and_then_it_is_not(
    with_nodes: Callable[..., None], others: tuple[str, ...]
) -> None:
    async def work(at: Deployment) -> None:
        before = [(await at.ask(node, "sync"))["write"] for node in NODES]
        full = await at.invoke("start-disk-full", {"spec": "leader"})
        path = at.cluster.disk("n2").path
        seen = [(await at.ask(node, "sync"))["write"] for node in NODES]
        await at.cluster.command("n2", ["rm", f"{path}/log"])
        await asyncio.sleep(0.1)
        # Opening makes a new file; there is no room for what would be in it.
        again = await at.ask("n2", "sync")
        freed = await at.invoke("stop-disk-full")
        after = [(await at.ask(node, "sync"))["write"] for node in NODES]
        twice = await at.invoke("stop-disk-full")

        assert before == after == [None, None, None]
        assert held(full) is True, full.value
        assert full.value["evidence"]["nodes"]["n2"]["size_mb"] == DISK_MB
        assert seen == [None, "ENOSPC", None]
        assert again["write"] == "ENOSPC"
        assert healed(freed) is True, freed.value
        assert freed.value["evidence"]["nodes"]["n2"]["balloon"]["bytes"] > DISK_MB * 1_000_000
        assert healed(twice) is True

    with_nodes("disk-full", *others, work=work)


def test_what_was_on_a_disk_of_its_own_is_found_when_the_cluster_is_gone(
    with_nodes: Callable[..., None], tmp_path: Path
) -> None:
    async def work(at: Deployment) -> None:
        await at.ask("n1", "sync")

        assert not (tmp_path / "n1" / "data" / "log").exists(), "only the cluster sees the disk"

    with_nodes("disk-full", work=work)

    assert (tmp_path / "n1" / "data" / "log").stat().st_size == 100_000


@pytest.mark.parametrize(
    ("fault", "settings", "is_seen"),
    [
        ("disk-slow", {"ms": 300}, lambda told: told["took"] >= 0.3),
        (
            "disk-error",
            {"op": "write", "errno": "ENOSPC", "probability": 1.0},
            lambda told: told["write"] == "ENOSPC",
        ),
        (
            "disk-error",
            {"op": "fsync", "errno": "EIO", "probability": 1.0},
            lambda told: told["write"] == "EIO",
        ),
        (
            "disk-torn",
            {"errno": "EIO", "probability": 1.0},
            lambda told: told["write"] == "EIO" and told["size"] % 100_000,
        ),
    ],
)
def test_the_calls_of_one_node_fail_and_then_they_do_not(
    with_nodes: Callable[..., None],
    fault: str,
    settings: dict[str, Any],
    is_seen: Callable[[dict[str, Any]], bool],
) -> None:
    async def work(at: Deployment) -> None:
        broken = await at.invoke(f"start-{fault}", {"spec": "leader", **settings})
        seen = [is_seen(await at.ask(node, "sync")) for node in NODES]
        mended = await at.invoke(f"stop-{fault}")
        after = [await at.ask(node, "sync") for node in NODES]

        assert held(broken) is True, broken.value
        assert [bool(each) for each in seen] == [False, True, False]
        assert healed(mended) is True, mended.value
        assert [told["write"] for told in after] == [None, None, None]

    with_nodes(fault, work=work)


def test_a_node_reads_wrong_bits_and_then_the_right_ones(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        await at.ask("n2", "sync")
        value = {"spec": "leader", "probability": 0.5, "rule_seed": 3}
        broken = await at.invoke("start-disk-flip", value)
        wrong = [(await at.ask("n2", "count"))["ones"] for _ in range(2)]
        mended = await at.invoke("stop-disk-flip")

        assert held(broken) is True, broken.value
        assert broken.value["evidence"]["nodes"]["n2"]["incarnation"] == 2
        assert broken.value["damages_disk"] is True
        assert wrong[0] == wrong[1] > 20
        assert healed(mended) is True, mended.value
        assert (await at.ask("n2", "count"))["ones"] == 0

    with_nodes("disk-flip", work=work)


def test_a_node_starts_on_what_is_left_of_its_files(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        await at.ask("n2", "sync")
        value = {"spec": "leader", "share": 0.25, "files": 1}
        cut = await at.invoke("start-disk-truncate", value)
        left = await at.ask("n2")
        mended = await at.invoke("stop-disk-truncate")

        assert held(cut) is True, cut.value
        assert cut.value["damages_disk"] is True
        assert cut.value["evidence"]["nodes"]["n2"]["files"] == {
            "log": {"was": 100_000, "is": 75_000}
        }
        assert left["size"] == 75_000
        assert healed(mended) is True, mended.value

    with_nodes("disk-truncate", work=work)


def test_power_fails_and_what_was_not_synced_is_gone(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        await at.ask("n2", "sync")
        written = await at.ask("n2", "unsynced")
        failed = await at.invoke("start-power-failure", {"spec": "leader", "keep": 0.0})
        gone = await at.cluster.status("n2")
        back = await at.invoke("stop-power-failure")

        assert written["size"] == 200_000
        assert held(failed) is True, failed.value
        assert gone.state is NodeState.GONE
        assert healed(back) is True, back.value
        assert back.value["evidence"]["nodes"]["n2"]["unsynced"] == {
            "old_sectors": 128,
            "new_sectors": 0,
        }
        assert (await at.ask("n2"))["size"] == 100_000

    with_nodes("power-failure", work=work)


def test_power_fails_before_a_node_can_see_that_its_disk_does(tmp_path: Path) -> None:
    """Many systems end by themselves when a write fails, which would be a crash."""
    program = Program(["sh", "-e", "-c", "while true; do echo row > data/log; done"], {})

    async def main() -> None:
        hosts = FAULTS["power-failure"].hosts
        async with await NamespacesCluster.open(["n1"], tmp_path, hosts) as cluster:
            await cluster.start("n1", program)
            nemeses = make_nemeses(["power-failure"], Environment(cluster, None, 1, budget=1))
            nemesis = nemeses["power-failure"]
            failed = await nemesis.invoke(
                Invocation("start-power-failure", {"spec": "one"}, process="power-failure")
            )
            await nemesis.invoke(Invocation("stop-power-failure", None, process="power-failure"))

            assert held(failed) is True, failed.value
            assert [(each.exit_status, each.is_asked) for each in cluster.exits] == [(-9, True)]

    asyncio.run(main())


async def offset_s(at: Deployment, node: str) -> float:
    """What the node takes for the time, less what it is, to some ms."""
    before = time.time()
    told = await at.ask(node)
    return float(told["time"]) - (before + time.time()) / 2


def test_the_clock_of_one_node_jumps_while_it_runs_and_is_set_right(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        first = await at.ask("n2")
        jumped = await at.invoke("start-clock-jump", {"spec": "leader", "offset_s": -123.25})
        seen = [await offset_s(at, node) for node in NODES]
        second = await at.ask("n2")
        mended = await at.invoke("stop-clock-jump")
        after = [await offset_s(at, node) for node in NODES]

        assert held(jumped) is True, jumped.value
        assert seen == pytest.approx([0, -123.25, 0], abs=0.2)
        assert 0 < second["monotonic"] - first["monotonic"] < 60, "it did not move"
        assert healed(mended) is True, mended.value
        assert after == pytest.approx([0, 0, 0], abs=0.2)
        assert (await at.cluster.status("n2")).incarnation == 1

    with_nodes("clock-jump", work=work)


def test_strobe_and_drift_show_in_what_the_node_reads(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        value = {"spec": "leader", "offset_s": 50.0, "period_s": 0.05}
        strobed = await at.invoke("start-clock-strobe", value)
        seen: set[int] = set()
        async with asyncio.timeout(10):
            while len(seen) < 2:
                seen.add(round(await offset_s(at, "n2")))
        stopped = await at.invoke("stop-clock-strobe")
        drifted = await at.invoke("start-clock-drift", {"spec": "leader", "rate": 0.5})
        first = await offset_s(at, "n2")
        await asyncio.sleep(0.5)
        second = await offset_s(at, "n2")
        mended = await at.invoke("stop-clock-drift")

        assert held(strobed) is True, strobed.value
        assert seen == {0, 50}
        assert healed(stopped) is True, stopped.value
        assert held(drifted) is True, drifted.value
        assert second - first > 0.15
        assert healed(mended) is True, mended.value
        assert await offset_s(at, "n2") == pytest.approx(0, abs=0.2)

    with_nodes("clock-strobe", "clock-drift", work=work)


def test_who_turns_a_clock_ends_once_another_sets_it_to_the_very_same(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("+0\n")
    command = [sys.executable, "-I", "-S", "-c", TURN_CLOCK, str(file)]
    with subprocess.Popen(
        [*command, "strobe", "60", "0.01", "0"], stdout=subprocess.PIPE
    ) as strobe:
        while file.stat().st_size < len("+0.000000\n"):
            time.sleep(0.001)
        subprocess.run([*command, "jump", "0", "0", "0"], check=True, stdout=subprocess.DEVNULL)
        told, _ = strobe.communicate(timeout=30)

    assert json.loads(told)["turns"] > 0


def test_the_wall_clock_and_both_clocks_are_not_in_one_plan() -> None:
    with pytest.raises(ValueError, match="clock-drift or monotonic-jump, not both"):
        hosts(["clock-drift", "monotonic-jump"], 64)


def test_the_monotonic_clock_jumps_only_where_it_is_asked_for(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        first = await at.ask("n2")
        jumped = await at.invoke("start-monotonic-jump", {"spec": "leader", "offset_s": 500.0})
        second = await at.ask("n2")

        mended = await at.invoke("stop-monotonic-jump")

        assert held(jumped) is True, jumped.value
        assert 500 <= second["monotonic"] - first["monotonic"] < 560
        assert healed(mended) is True, mended.value
        assert (await at.cluster.status("n2")).incarnation == 2, "no process saw it go back"
        assert await offset_s(at, "n2") == pytest.approx(0, abs=0.2)

    with_nodes("monotonic-jump", work=work)


def test_teardown_heals_disks_and_clocks(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        struck = [
            await at.invoke("start-disk-full", {"spec": "leader"}),
            await at.invoke("start-clock-strobe", {"spec": "leader"}),
        ]
        for nemesis in at.nemeses.values():
            await nemesis.heal()
            await nemesis.heal()

        assert all(map(held, struck)), struck
        assert (await at.ask("n2", "sync"))["write"] is None
        assert await offset_s(at, "n2") == pytest.approx(0, abs=0.2)

    with_nodes("disk-full", "clock-strobe", work=work)


def test_faults_say_what_hosts_they_need() -> None:
    assert hosts(["kill"], 64) == Hosts()
    assert hosts(["disk-full", "clock-jump"], 64) == Hosts(disk_mb=64, own_clocks=True)
    assert hosts(["disk-flip", "monotonic-drift"], 64) == Hosts(
        faulty_disks=True, own_clocks=True, own_monotonic=True
    )
