"""Services as nodes: struck, seen from outside, and left as they were found."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster import NodeState
from dissever.harness.cluster.compose import tool
from dissever.harness.cluster.compose.cluster import ComposeCluster, Source, running
from dissever.harness.cluster.compose.project import Project, read

pytestmark = pytest.mark.docker

NODES = ("db1", "db2", "db3")
LIMIT_S = 20.0


def source(project: Project, attach_to: str | None = None) -> Source:
    found = tool.find()
    assert found is not None
    return Source(found, project, attach_to)


async def hello(cluster: ComposeCluster, node: str) -> bytes:
    with await cluster.dial(node, 7000, timeout_s=5) as connection:
        answer = asyncio.get_running_loop().sock_recv(connection, 16)
        return await asyncio.wait_for(answer, 2)


def of_project(engine: Any, name: str) -> list[Any]:
    label = f"com.docker.compose.project={name}"
    containers = engine.containers.list(all=True, filters={"label": label})
    return sorted(containers, key=lambda each: str(each.name))


def left_by(engine: Any, run: str) -> list[str]:
    label = {"label": f"dissever.run={run}"}
    found = [
        *engine.containers.list(all=True, filters=label),
        *engine.networks.list(filters=label),
        *engine.volumes.list(filters=label),
    ]
    return [str(each.name) for each in found]


def as_it_is(engine: Any, name: str) -> list[Any]:
    """All that a user sees of the containers of a project."""
    return [
        (
            each.id,
            each.attrs["State"]["StartedAt"],
            each.attrs["State"]["Status"],
            each.attrs["HostConfig"]["RestartPolicy"],
            each.attrs["NetworkSettings"]["Networks"],
        )
        for each in of_project(engine, name)
    ]


@pytest.fixture
def up(file: Path, engine: Any) -> Iterator[str]:
    """The project of a user, which is up; its name."""
    found = tool.find()
    assert found is not None
    name = file.parent.name.replace("_", "")
    asyncio.run(found.up([file], name))
    yield name
    for each in of_project(engine, name):
        each.remove(force=True, v=True)
    for network in engine.networks.list(names=[f"{name}_default"]):
        network.remove()
    for volume in engine.volumes.list(filters={"name": f"{name}_data"}):
        volume.remove()


def test_services_are_killed_cut_frozen_and_started_again(
    project: Project, engine: Any, tmp_path: Path
) -> None:
    async def main() -> str:
        async with await ComposeCluster.open(NODES, tmp_path, source(project)) as cluster:
            assert await hello(cluster, "db1") == b"hello"
            await cluster.drop({"db1": frozenset({"db2"})})
            links = [("db1", "db2"), ("db2", "db1")]
            cut = {("db1", "db2"): True, ("db2", "db1"): False}
            assert await cluster.reach(links, 0.3) == cut
            address = cluster.address("db1")

            killed = await cluster.kill("db1")
            assert (killed.state, killed.exit_status) == (NodeState.GONE, -signal.SIGKILL)
            with pytest.raises(ConnectionRefusedError):
                await hello(cluster, "db1")
            assert await cluster.reach(links, 0.3) == cut  # A stand-in holds its place.
            assert (await cluster.status("db1")).state is NodeState.GONE  # restart: always

            started = await cluster.start("db1")
            assert (started.state, started.incarnation) == (NodeState.RUNNING, 2)
            assert cluster.address("db1") == address
            assert await cluster.reach(links, 0.3) == cut
            await cluster.drop({})
            assert set((await cluster.reach(links, 5)).values()) == {True}

            assert (await cluster.pause("db2")).state is NodeState.PAUSED
            with pytest.raises(TimeoutError):
                await hello(cluster, "db2")
            assert (await cluster.resume("db2")).state is NodeState.RUNNING
            assert await hello(cluster, "db2") == b"hello"

            assert (await cluster.limit("db3", cpus=0.5))["cpu"]["limit"] == 0.5
            await cluster.lift("db3")
            assert await cluster.readings("db3") == {}
            assert [(each.node, each.is_asked) for each in cluster.exits] == [("db1", True)]
            return cluster.run

    run = asyncio.run(main())

    assert (tmp_path / "db1" / "stdout-2.log").read_text() == "listening\n"
    assert (tmp_path / "db1" / "stderr-1.log").read_text() == "complaining\n"
    assert left_by(engine, run) == []
    assert of_project(engine, f"dissever-{run}") == []


def test_project_that_is_up_is_left_as_it_was_found(
    project: Project, up: str, engine: Any, tmp_path: Path
) -> None:
    before = as_it_is(engine, up)

    async def main() -> ComposeCluster:
        async with await ComposeCluster.open(NODES, tmp_path, source(project, up)) as cluster:
            assert running(engine, project.file) == {up}
            await cluster.drop({"db1": frozenset({"db2"})})
            await cluster.pause("db2")
            await cluster.limit("db3", cpus=0.5)
            with pytest.raises(OSError, match="takes no limit of memory back"):
                await cluster.limit("db3", memory_bytes=1 << 25)
            policy = of_project(engine, up)[0].attrs["HostConfig"]["RestartPolicy"]["Name"]
            assert policy == "no"
            return cluster

    cluster = asyncio.run(main())

    assert as_it_is(engine, up) == before
    assert left_by(engine, cluster.run) == []
    assert quota(engine, up, "db3") <= 0
    assert rules_of(engine, up, "db1") == ""


def test_harness_that_is_killed_leaves_nothing_and_a_found_project_up(
    file: Path, up: str, engine: Any, tmp_path: Path
) -> None:
    script = f"""
import asyncio, os, pathlib, signal
from tests.harness.cluster.compose.test_cluster import *
async def main():
    found = tool.find()
    project = read(pathlib.Path({str(file)!r}), found.config(pathlib.Path({str(file)!r})))
    directory = pathlib.Path({str(tmp_path)!r})
    cluster = await ComposeCluster.open(NODES, directory, source(project, {up!r}))
    await cluster.drop({{"db3": frozenset({{"db2"}})}})
    await cluster.kill("db1")
    await cluster.pause("db2")
    print(cluster.run, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    root = Path(__file__).parents[4]
    killed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    run = killed.stdout.strip()

    deadline = time.monotonic() + LIMIT_S
    while left_by(engine, run):
        assert time.monotonic() < deadline, left_by(engine, run)
        time.sleep(0.1)
    states = {str(each.name): each.status for each in of_project(engine, up)}
    policies = {
        each.attrs["HostConfig"]["RestartPolicy"]["Name"] for each in of_project(engine, up)
    }
    assert set(states.values()) == {"running"}
    assert policies == {"always"}
    assert rules_of(engine, up, "db3") == ""


def test_project_that_does_not_come_up_says_the_last_words_of_its_service(
    file: Path, engine: Any, tmp_path: Path
) -> None:
    file.write_text(
        "services:\n  db1: {image: dissever/host, expose: ['1'],"
        " command: [sh, -c, 'echo no such disk; exit 4']}\n"
    )
    found = tool.find()
    assert found is not None
    project = read(file, found.config(file))

    with pytest.raises(OSError, match="db1 ended with status 4: no such disk"):
        asyncio.run(ComposeCluster.open(["db1"], tmp_path / "nodes", source(project)))
    assert running(engine, file) == set()


def quota(engine: Any, project: str, service: str) -> int:
    found = [each for each in of_project(engine, project) if service in str(each.name)]
    return int(found[0].attrs["HostConfig"]["CpuQuota"])


def rules_of(engine: Any, project: str, service: str) -> str:
    """What is left of ours in the network namespace of a service."""
    (found,) = [each for each in of_project(engine, project) if service in str(each.name)]
    listed: bytes = engine.containers.run(
        "dissever/host",
        ["sh", "-c", "nft list tables | grep dissever || true"],
        network_mode=f"container:{found.id}",
        cap_add=["NET_ADMIN"],
        remove=True,
    )
    return listed.decode()
