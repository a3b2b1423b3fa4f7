"""The first door: a class that says its command, run for real on namespaces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from dissever import planning
from dissever.harness.cluster import Clocks, backends, trial
from dissever.harness.cluster.backends import CONTAINERS
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.runner import CannotRun
from dissever.harness.store import read_plan
from dissever.harness.system import (
    Membership,
    Ports,
    Primaries,
    Replicas,
    System,
    Upgrades,
    checked,
)
from dissever.running import run
from dissever.systems import SYSTEMS
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.processes import Processes
from dissever.systems.templates import Node

FILE = Path(__file__).parent / "kv" / "kv.py"
HOST_IMAGE = "dissever/host"
THREE = ("n1", "n2", "n3")
OPTIONS = Options(system=str(FILE), workload="register", nodes=THREE)


@pytest.fixture(scope="module")
def _can_run() -> None:
    if (missing := trial.probe()) is not None:
        pytest.skip(f"{missing.reason}; {missing.remedy}")


@pytest.fixture
def kv() -> Any:
    return SYSTEMS.find(str(FILE))


class PingClient:
    """No store, and a client all the same: it has the methods of one."""

    def __init__(self, endpoint: Any) -> None: ...

    def add(self, element: int) -> None: ...

    def elements(self) -> list[int]:
        return []


def made(**attributes: Any) -> System:
    """A system of these attributes, with a client."""
    known = {"client": PingClient, "client_ports": (1,), "command": "true", "__doc__": "It."}
    system: System = type("Made", (Processes,), {**known, **attributes})()
    return system


def on(
    system: System,
    folder: Path,
    act: Callable[[ClientsDeployment], Awaitable[None]],
    options: Options = OPTIONS,
) -> None:
    """Do something with a deployment of three nodes."""

    async def main() -> None:
        async with asyncio.timeout(60):
            async with system.deploy(options, folder, Random(0)) as deployment:
                assert isinstance(deployment, ClientsDeployment)
                await act(deployment)

    asyncio.run(main())


def test_a_class_is_a_system() -> None:
    system = made(options={"speed": Option("how fast", default=3, least=1, most=9)})

    assert (system.name, system.description, system.stores) == ("made", "It.", ("elements",))
    assert checked(OPTIONS, system).system_options == {"speed": 3}
    assert system.voters(OPTIONS) == THREE


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"command": "run {adress}"}, "Made.command: expected .*'adress'; did you mean address"),
        ({"command": "run {print}"}, r"the text itself is written \{\{print\}\}"),
        ({"command": "run 'it"}, "Made.command: expected a command, .*: No closing quotation"),
        ({"command": 5}, "Made.command: expected a command, got 5"),
        ({"version": "run 'it"}, "Made.version: expected a command"),
        ({"beside": "run"}, "Made.beside to be a list of commands, got 'run'"),
        ({"client_ports": 8080}, r"Made.client_ports to be numbers .*\(8080,\), got 8080"),
        ({"client_ports": ("8080",)}, "Made.client_ports to be numbers .*, got '8080'"),
        ({"peer_ports": (0,)}, "Made.peer_ports to be numbers from 1 to 65535, got 0"),
        ({"start_limit_s": "5"}, "Made.start_limit_s to be seconds, got '5'"),
        ({"environment": {"A": "{x}"}}, "Made.environment: expected"),
        ({"environment": {"A": 1}}, "Made.environment: expected a text, got 1"),
        ({"environment": ["A=1"]}, "Made.environment to map names to texts"),
        ({"files": {"../conf": "x"}}, "Made.files to stay in the node's folder, got '../conf'"),
        ({"files": {"/etc/conf": "x"}}, "Made.files to stay in the node's folder"),
        ({"files": {"conf": 3}}, r"Made.files\['conf'\] to be a text or a Path, got 3"),
        ({"files": {"conf": "port {prot}"}}, "Made.files: expected"),
        (
            {"command": "run {peers}", "peer": "{nod}"},
            r"Made.command \(peer\): .*mean node",
        ),
        ({"files": {"a": Path("b")}}, r"expected Made.files\['a'\] to be a file, found none at"),
        (
            {"options": {"node": Option("x")}},
            "names of their own, got 'node', and {node} is a fact",
        ),
        ({"command": ""}, "expected Made.command, found none"),
        ({"client_ports": ()}, "expected Made.client_ports, found none"),
        ({"client": None}, "expected Made to have a client, found none"),
        ({"client": 7}, "expected a class or a Program as the client, got 7"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(**attributes).check(OPTIONS)


def test_a_containers_run_needs_an_image_and_no_files_of_this_machine() -> None:
    contained = Options(system="made", workload="set", nodes=THREE, backend=CONTAINERS)

    with pytest.raises(ValueError, match=r"expected Made.image, which containers are made of"):
        made().check(contained)
    with pytest.raises(
        ValueError, match="containers do not see: put its files into the image, or name"
    ):
        made(image="x", command="run {here}/server").check(contained)
    made(image="x", command="run").check(contained)


def test_a_program_that_is_not_there_is_missing_with_what_helps() -> None:
    system = made(command="no-such-program --fast", install="apt-get install it")
    missing = system.probe(OPTIONS)

    assert missing is not None
    assert missing.reason == "made runs no-such-program, which is not there"
    assert missing.remedy == "apt-get install it"


def test_what_its_deployments_lack_is_known_before(kv: Any) -> None:
    lacks = made(takes_time_from_libc=False).lacks(OPTIONS)  # type: ignore[attr-defined]

    assert {Primaries, Membership, Replicas, Upgrades, Ports, Clocks} == set(lacks)
    assert lacks[Primaries] == "its clients have no is_leader"
    assert set(kv.lacks(OPTIONS)) == {Membership, Upgrades}


def test_a_workload_says_which_methods_it_asks_for() -> None:
    with pytest.raises(ValueError, match="expected a workload out of set, got 'register'"):
        planning.checked(OPTIONS, made())
    with pytest.raises(ValueError, match=r"the store registers \(read, write, compare_and_set\)"):
        planning.checked(OPTIONS, made(stores=()))


@pytest.mark.cluster
@pytest.mark.usefixtures("_can_run")
def test_a_file_is_run_from_beginning_to_end(tmp_path: Path) -> None:
    options = Options(
        system=str(FILE),
        workload="register",
        faults=("client-reset", "client-cut"),
        nodes=THREE,
        time_limit_s=6,
        fault_interval_s=2,
        rate=100,
        seed=3,
    )
    ended = run(options, runs=tmp_path)
    results = {result.checker: result for result in ended.judged.results.results}

    assert results["linearizable"].verdict is Verdict.VALID
    assert results["faults"].verdict is Verdict.VALID
    assert results["stats"].details["by_f"]["write"]["ok"] > 10
    assert read_plan(ended.directory).options.system == str(FILE)
    passed = json.loads((ended.directory / "nodes" / "n2" / "forwarder.json").read_text())
    assert passed["8080"]["connections"] > 1
    assert passed["8080"]["received_bytes"] > 100


@pytest.mark.cluster
@pytest.mark.usefixtures("_can_run")
def test_a_deployment_knows_its_nodes_by_their_clients(kv: Any, tmp_path: Path) -> None:
    async def act(deployment: ClientsDeployment) -> None:
        cluster = deployment.cluster
        assert await deployment.primaries() == ("n1",)
        assert len(set((await deployment.replicas()).values())) == 1
        assert await deployment.answers("n2")
        await cluster.pause("n2")
        assert not await deployment.answers("n2")  # Its kernel accepts, and nobody answers.
        await cluster.resume("n2")
        await cluster.kill("n3")
        assert not await deployment.answers("n3")
        assert (await deployment.await_progress(("n2",), 5))["by"] == "n2"
        with pytest.raises(TimeoutError, match=r"no write by way of n3 within 0.3 s: n3: "):
            await deployment.await_progress(("n3",), 0.3)
        with pytest.raises(TimeoutError, match=r"not ready after 0.3 s: no answer from n3"):
            await deployment.await_ready(0.3)
        await cluster.start("n3")
        ready = await deployment.await_ready(10)
        assert ready["leader"] == "n1"

    on(kv, tmp_path, act)


@pytest.mark.cluster
@pytest.mark.usefixtures("_can_run")
def test_a_node_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo reading the file; echo no such disk >&2; exit 7"]

    with pytest.raises(CannotRun, match=r"n. ended with status 7: no such disk"):
        on(made(command=command), tmp_path, _nothing)


@pytest.mark.cluster
@pytest.mark.usefixtures("_can_run")
def test_a_port_that_nobody_listens_at_is_named(tmp_path: Path) -> None:
    refused = r"no answer from n1, n2, n3: 10\.77\.0\.1:1 accepts no connection: Connection refused"

    with pytest.raises(CannotRun, match=refused):
        on(made(command="sleep 60", start_limit_s=1), tmp_path, _nothing)


@pytest.mark.cluster
@pytest.mark.usefixtures("_can_run")
def test_files_are_written_and_every_fact_is_filled_in(tmp_path: Path) -> None:
    class Written(type(SYSTEMS.find(str(FILE)))):  # type: ignore[misc]
        """With a file for each node."""

        files = {"kv.json": '{"node": "{node}", "of": {count}, "keep": "{{node}}"}'}  # noqa: RUF012

        def prepare(self, node: Node) -> None:
            (node.folder / "more").write_text(node.fill("{index} {nodes} {address}"))

        here = FILE.parent

    async def act(deployment: ClientsDeployment) -> None:
        folder = deployment.cluster.directory("n2")
        assert json.loads((folder / "kv.json").read_text()) == {
            "node": "n2",
            "of": 3,
            "keep": "{node}",
        }
        assert (folder / "more").read_text() == "2 n1,n2,n3 10.77.0.2"

    on(Written(), tmp_path, act)


@pytest.mark.docker
def test_a_class_that_names_its_files_runs_in_containers(kv: Any, tmp_path: Path) -> None:
    if (missing := backends.probe(CONTAINERS)) is not None:
        pytest.skip(f"{missing.reason}; {missing.remedy}")

    class Contained(type(kv)):  # type: ignore[misc]
        """In containers of the image that hosts have, for it has Python."""

        files = {"server.py": FILE.parent / "server.py"}  # noqa: RUF012
        command = "{python} server.py {node} {address} 8080 {peers} {data}"
        image = HOST_IMAGE

    async def act(deployment: ClientsDeployment) -> None:
        assert await deployment.primaries() == ("n1",)
        await deployment.cluster.pause("n2")
        assert not await deployment.answers("n2")
        await deployment.cluster.resume("n2")
        assert (await deployment.await_ready(10))["leader"] == "n1"
        assert (deployment.cluster.directory("n1") / "data" / "map.json").exists()

    options = structs.replace(OPTIONS, nodes=("n1", "n2"), backend=CONTAINERS)
    Contained().check(options)
    on(Contained(), tmp_path, act, options)


async def _nothing(_: ClientsDeployment) -> None:
    """It is never reached."""


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("printf 'kv Version: 3.4.23, built today\\nGo 1.22\\n'", "3.4.23"),
        ("sh -c 'echo v7.0.15-rc1 >&2'", "7.0.15-rc1"),
        ("echo nightly", "nightly"),
        ("true", ""),
        (
            "no-such-program --version",
            "unknown: [Errno 2] No such file or directory: 'no-such-program'",
        ),
    ],
)
def test_the_version_of_a_program_is_kept(command: str, kept: str) -> None:
    assert made(version=command).versions()["made"] == kept


def test_a_driver_need_not_say_its_version() -> None:
    assert made(driver="email").versions() == {"driver email": "not known"}
    assert made(driver="_pytest.nodes").versions()["driver _pytest.nodes"].startswith("pytest ")
