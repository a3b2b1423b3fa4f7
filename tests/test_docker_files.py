"""What docker/ holds agrees with what the harness runs; a cluster of compose comes up for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

import dqlite
from dissever.harness.cluster import engine
from dissever.harness.plan import Options
from dissever.systems.dqlite import images
from dissever.systems.dqlite.hosts import PORT
from dissever.systems.dqlite.options import LATENCY_MS

FILE = Path(__file__).parents[1] / "docker" / "compose.yaml"
NODES = ("n1", "n2", "n3", "n4", "n5")
LIMIT_S = 60.0


def test_compose_starts_what_a_run_starts_by_default() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]

    assert tuple(services) == (*Options(system="dqlite", workload="set").nodes, "join")
    for number, node in enumerate(NODES, start=1):
        service = services[node]
        address = f"{service['networks']['cluster']['ipv4_address']}:{PORT}"
        words = f"--id {number} --address {address} --data-dir data"
        assert f"{words} --network-latency-ms {LATENCY_MS}" in service["command"]
        assert address in services["join"]["command"]
        assert service["ports"] == [f"127.0.0.1:{9000 + number}:{PORT}"]


def test_compose_gives_nobody_a_right_and_runs_our_images() -> None:
    for service in yaml.safe_load(FILE.read_text())["services"].values():
        image = service["image"].replace("${VERSION:-", "").replace("}", "")
        assert image == images.image(images.DEFAULT)
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges"]
        assert not service.keys() & {"cap_add", "privileged", "devices", "network_mode", "pid"}


def test_host_has_the_number_that_the_harness_asks_for() -> None:
    text = Path(engine.__file__).with_name("host.dockerfile").read_text()

    assert f"LABEL dissever.host={engine.HOST_NUMBER}\n" in text


@pytest.fixture
def compose() -> Iterator[Sequence[str]]:
    """The command of compose with our file, whose cluster is removed at the end."""
    missing = images.missing([images.DEFAULT])
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    names = [["docker", "compose"], ["docker-compose"]]
    name = next(filter(_answers, names), None)
    if name is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    command = [*name, "-p", f"dissever-test-{os.getpid()}", "-f", str(FILE)]
    yield command
    subprocess.run([*command, "down", "-v"], check=True, capture_output=True)


def _answers(name: Sequence[str]) -> bool:
    """Whether it is a command here; docker has compose as a plugin, or not."""
    if shutil.which(name[0]) is None:
        return False
    done = subprocess.run([*name, "version"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.docker
def test_compose_starts_a_cluster_of_voters(compose: Sequence[str]) -> None:
    subprocess.run([*compose, "up", "-d"], check=True, capture_output=True)

    async def voters() -> list[int]:
        async with await dqlite.Client.connect("127.0.0.1:9001", timeout_s=5.0) as client:
            members = await client.cluster()
            return sorted(each.id for each in members if each.role is dqlite.Role.VOTER)

    async def until_all_vote() -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                with contextlib.suppress(dqlite.DqliteError):  # It may not be up yet.
                    if await voters() == [1, 2, 3, 4, 5]:
                        return
                await asyncio.sleep(0.1)

    asyncio.run(until_all_vote())
