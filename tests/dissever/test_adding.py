"""
Adding something is one new file and one line in a registry: each test does just that to a copy.

The copy is the whole package, with a system, a workload, a fault, a checker and a model more. The
command line has them all, without any other change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dissever

SYSTEM = '''
"""One node holds everything; the others ask it."""

from contextlib import asynccontextmanager

from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.options import Option


class Node:
    def __init__(self, durable, is_forgetful):
        self._durable = durable
        self._is_forgetful = is_forgetful

    def handle(self, source, request):
        if request is None:
            return True
        key, value = request
        if value is not None and not (self._is_forgetful and value % 10 == 7):
            self._durable[key] = value
        return self._durable.get(key)


class Notes:
    def __init__(self, cluster):
        self._cluster = cluster

    async def read(self, key):
        return await self._cluster.request(None, self._cluster.nodes[0], (key, None))

    async def write(self, key, value):
        await self._cluster.request(None, self._cluster.nodes[0], (key, value))

    async def close(self):
        pass


class Deployment:
    def __init__(self, cluster):
        self.cluster = cluster

    async def answers(self, node):
        return await self.cluster.request(None, node, None)

    async def await_ready(self, timeout_s):
        return {}

    async def await_progress(self, nodes, timeout_s):
        return {}

    async def open_store(self, store, node):
        return {"notes": Notes}[store](self.cluster)


class OneNodeSystem:
    name = "one-node"
    description = "one node holds everything"
    stores = ("notes",)
    is_virtual = True
    backends = (SIMULATED,)
    options = {"memory": Option("what it forgets", "all-kept", ("all-kept", "forgetful"))}

    def check(self, options):
        pass

    def voters(self, options):
        return options.nodes

    def probe(self, options=None):
        return None

    def versions(self, options=None):
        return {}

    @asynccontextmanager
    async def deploy(self, options, directory, rng):
        is_forgetful = options.system_options["memory"] == "forgetful"
        boot = lambda name, durable, cluster: Node(durable, is_forgetful)
        cluster = SimulatedCluster(options.nodes, boot, rng, directory)
        for node in cluster.nodes:
            await cluster.start(node)
        try:
            yield Deployment(cluster)
        finally:
            await cluster.close()
'''

WORKLOAD = '''
"""Every client only ever writes its own number to one register, and reads are judged."""

from dissever.checkers import REGISTER, Linearizable
from dissever.harness.client import Invocation, NotApplied
from dissever.harness.generator import each_thread, limit, mix, repeat
from dissever.harness.options import Option
from dissever.workloads.workload import Workload


class Client:
    def __init__(self, store):
        self._store = store

    async def invoke(self, invocation):
        try:
            if invocation.f == "read":
                return invocation.ok(await self._store.read(invocation.key))
            await self._store.write(invocation.key, invocation.value)
            return invocation.ok(invocation.value)
        except NotApplied as error:
            return invocation.fail(str(error))

    async def close(self):
        await self._store.close()


def operations(options):
    key = options.workload_options["key"]
    reads = repeat(Invocation("read", key=key))
    writes = [Invocation("write", number, key) for number in range(10000)]
    return mix(reads, writes)


WORKLOAD = Workload(
    description="one register, written and read by all",
    store="notes",
    operations=operations,
    final=lambda options, keys: each_thread(limit(1, repeat(Invocation("read", key=keys[0])))),
    client=Client,
    checkers=lambda options: {"linearizable": Linearizable(REGISTER)},
    options={"key": Option("which register", default=0, least=0, most=9)},
)
'''

FAULT = '''
"""A pause that does not wait for an answer."""

from dissever.harness.cluster import NodeProcesses
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.nodes.node_fault import NodeEvidence, PerNode
from dissever.nemesis.parameters import number, one_of


class Nap:
    def __init__(self, cluster):
        self.cluster = cluster

    async def strike(self, node, settings):
        status = await self.cluster.pause(node)
        return NodeEvidence(node, status.state == "paused", status, {"depth": settings["depth"]})

    async def look_again(self, node):
        status = await self.cluster.status(node)
        return NodeEvidence(node, status.state == "paused", status, {})

    async def undo(self, node):
        status = await self.cluster.resume(node)
        return NodeEvidence(node, status.state == "running", status, {})

    async def release(self, node):
        await self.cluster.resume(node)


NAP = Fault(
    name="nap",
    description="let nodes nap",
    parameters=(number("depth", "how deep", 1, 9, one_of(2, 3, 5)),),
    takes_down=True,
    heals=Heals.RESUME,
    needs=(NodeProcesses,),
    make=lambda fault, site: PerNode(fault, site, Nap(site.cluster)),
    held="the node is paused",
    healed="the node runs",
)

FAULTS = (NAP,)
'''

CHECKER = '''
"""Nobody writes the same number twice."""

from dataclasses import dataclass

from dissever.checkers.run_checker import RunChecker
from dissever.harness.results import Result, Verdict


@dataclass(frozen=True)
class Unique:
    def __call__(self, history, budget):
        written = [each.value for each in history.operations if each.f == "write"]
        is_valid = len(written) == len(set(written))
        verdict = Verdict.VALID if is_valid else Verdict.INVALID
        return Result(checker="unique", verdict=verdict, why="")


RUN_CHECKER = RunChecker("unique", "nobody writes twice", lambda actions, logs: Unique())
'''

MODEL = '''
"""A lamp: `toggle` switches it, `look` -> whether it is on."""

from dissever.checkers.linearizability.family import Family
from dissever.checkers.linearizability.model import REFUSED, Misfit, Model


def _lamp(state, f, value_in, value_out):
    if f == "toggle":
        return not state
    if f == "look":
        return state if value_out == (bool, state) else REFUSED
    raise Misfit(f"a lamp has no {f!r}")


MODELS = (
    Model("lamp", False, _lamp, reads=frozenset({"look"}), noun="lamp", family=Family()),
)
'''

ADDITIONS = (
    (
        "systems/one_node.py",
        SYSTEM,
        "systems/__init__.py",
        "OURS: ",
        '    "one-node": "dissever.systems.one_node:OneNodeSystem",',
    ),
    (
        "workloads/own_numbers.py",
        WORKLOAD,
        "workloads/__init__.py",
        "FILES: ",
        '    "own_numbers",',
    ),
    ("nemesis/nodes/nap.py", FAULT, "nemesis/faults.py", "FILES: ", '    "nodes.nap",'),
    ("checkers/unique.py", CHECKER, "checkers/__init__.py", "FILES: ", '    "unique",'),
    (
        "checkers/linearizability/models/lamps.py",
        MODEL,
        "checkers/linearizability/models/__init__.py",
        "FILES: ",
        '    "lamps",',
    ),
)
"""(the new file, its text, the registry, how the statement in it begins, the one line)."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the package, with the additions."""
    folder = tmp_path_factory.mktemp("copy")
    package = folder / "dissever"
    shutil.copytree(
        Path(dissever.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for file, text, registry, statement, line in ADDITIONS:
        new, listed = package / file, package / registry
        assert not new.exists()
        new.write_text(text, encoding="utf-8")
        before = listed.read_text(encoding="utf-8")
        start = before.index("\n" + statement)
        opening = before.index(" = ", start) + len(" = (")
        after = f"{before[:opening]}\n{line}\n{before[opening:]}"
        listed.write_text(after, encoding="utf-8")
    return folder


@pytest.fixture
def run(copy: Path, tmp_path: Path) -> Run:
    """The copy's command line, in a process of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dissever", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_everything_added_is_listed(run: Run) -> None:
    listed = run("list")

    assert listed.returncode == 0, listed.stderr
    for text in (
        "one node holds everything",
        "one register, written and read by all",
        "let nodes nap",
        "nobody writes twice",
        "lamp",
    ):
        assert text in listed.stdout


def test_added_fault_shows_its_parameters(run: Run) -> None:
    shown = run("list", "nap")

    assert "how deep" in shown.stdout
    assert "--faults" in run("test", "one-node", "--help").stdout
    assert "nap" in run("doctor").stdout


def test_added_workload_fault_and_checker_run_on_the_added_system(run: Run, tmp_path: Path) -> None:
    ran = run(
        *("test", "one-node", "--workload", "own-numbers", "--faults", "nap", "--seed", "3"),
        *("--time-limit", "20", "--runs", "runs", "--quiet"),
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = json.loads((tmp_path / "runs/latest/results.json").read_text())
    verdicts = {each["checker"]: each for each in results["results"]}
    assert verdicts["unique"]["verdict"] == "valid"
    assert verdicts["linearizable"]["verdict"] == "valid"
    assert verdicts["faults"]["why"] == "every fault took hold and healed"


def test_added_system_has_its_own_options(run: Run) -> None:
    words = ("test", "one-node", "--workload", "own-numbers", "--runs", "runs", "--quiet")
    forgetful = run(*words, "--memory", "forgetful", "--seed", "3", "--time-limit", "5")
    misspelt = run(*words, "--memory", "forgetfull")

    assert forgetful.returncode == 1, forgetful.stdout + forgetful.stderr
    assert misspelt.returncode == 64
    assert "did you mean forgetful" in misspelt.stderr


@pytest.mark.parametrize(("answer", "status"), [(True, 0), (False, 1)])
def test_added_model_judges_a_file(run: Run, tmp_path: Path, answer: bool, status: int) -> None:
    events = [
        {"process": 0, "type": "invoke", "f": "toggle", "value": None},
        {"process": 0, "type": "ok", "f": "toggle", "value": None},
        {"process": 1, "type": "invoke", "f": "look", "value": None},
        {"process": 1, "type": "ok", "f": "look", "value": answer},
    ]
    file = tmp_path / "lamp.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")

    judged = run("check", "lamp.jsonl", "--model", "lamp")

    assert judged.returncode == status, judged.stdout + judged.stderr
