"""
A system, a workload, a fault, a checker and a model are added: to the tree, and as plug-ins.

To the tree, each is one new file and one line in a registry of a copy of the package. As plug-ins,
the same files are named by their paths, by package:Name, or by the entry points of a distribution
that pip installed. The command line has them all, without any other change.
"""

from __future__ import annotations

import json
import os
import shlex
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
    def __init__(self, disk, is_forgetful):
        self._disk = disk
        self._is_forgetful = is_forgetful

    def handle(self, source, request):
        if request is None:
            return True
        key, value = request
        if value is not None and not (self._is_forgetful and value % 10 == 7):
            self._disk.keep(key, value)
        return self._disk.content.get(key)


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
        boot = lambda name, disk, cluster: Node(disk, is_forgetful)
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

PLUGINS = {
    "one_node": SYSTEM,
    "own_numbers": WORKLOAD,
    "nap": FAULT,
    "unique": CHECKER,
    "lamps": MODEL,
}
"""Module -> its text."""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "own-things"
version = "1.2"

[tool.setuptools]
packages = ["own_things"]

[project.entry-points."dissever.systems"]
one-node = "own_things.one_node:OneNodeSystem"
broken = "own_things.absent:System"

[project.entry-points."dissever.workloads"]
own-numbers = "own_things.own_numbers:WORKLOAD"

[project.entry-points."dissever.faults"]
nap = "own_things.nap:NAP"
kill = "own_things.nap:NAP"

[project.entry-points."dissever.checkers"]
unique = "own_things.unique"

[project.entry-points."dissever.models"]
lamp = "own_things.lamps"
"""

BROKEN = (
    "broken system: broken: own-things 1.2: own_things.absent:System:"
    " expected an importable module, found no own_things.absent",
    "broken fault: kill: own-things 1.2: the name is ours; refer to it as own_things.nap:NAP",
)

WAYS = {
    "path": ("things/one_node.py", "things/own_numbers.py", "things/nap.py", "things/unique.py",
             "things/lamps.py"),
    "package": ("own_things.one_node:OneNodeSystem", "own_things.own_numbers:WORKLOAD",
                "own_things.nap:NAP", "own_things.unique:Unique", "own_things.lamps:lamp"),
    "installed": ("one-node", "own-numbers", "nap", "unique", "lamp"),
}  # fmt: skip
"""How plug-ins are named: a system, a workload, a fault, a checker, a model."""

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


def lamp(file: Path, *, is_on: bool) -> None:
    """A history: it is toggled, and seen."""
    events = [
        {"process": 0, "type": "invoke", "f": "toggle", "value": None},
        {"process": 0, "type": "ok", "f": "toggle", "value": None},
        {"process": 1, "type": "invoke", "f": "look", "value": None},
        {"process": 1, "type": "ok", "f": "look", "value": is_on},
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")


@pytest.mark.parametrize(("answer", "status"), [(True, 0), (False, 1)])
def test_added_model_judges_a_file(run: Run, tmp_path: Path, answer: bool, status: int) -> None:
    lamp(tmp_path / "lamp.jsonl", is_on=answer)

    judged = run("check", "lamp.jsonl", "--model", "lamp")

    assert judged.returncode == status, judged.stdout + judged.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed a distribution of the plug-ins into."""
    project = tmp_path_factory.mktemp("project")
    write_plugins(project / "own_things")
    (project / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--target", str(target), str(project)),
        ],
        check=True,
        capture_output=True,
    )
    return target


def write_plugins(folder: Path) -> None:
    folder.mkdir()
    (folder / "__init__.py").touch()
    for module, text in PLUGINS.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def call(folder: Path, *words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line in a folder, with `path` importable."""
    return subprocess.run(
        [sys.executable, "-m", "dissever", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(folder: Path) -> dict[str, str]:
    results = json.loads((folder / "runs/latest/results.json").read_text(encoding="utf-8"))
    return {each["checker"]: each["verdict"] for each in results["results"]}


@pytest.mark.parametrize("way", WAYS)
def test_plug_ins_run_and_are_judged_again(
    way: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    system, workload, fault, checker, model = WAYS[way]
    path: Path | None = None
    if way == "installed":
        path = request.getfixturevalue("installed")
    else:
        write_plugins(tmp_path / {"path": "things", "package": "own_things"}[way])
    asked = () if way == "installed" else ("--checker", checker)  # An installed one always judges.

    ran = call(
        tmp_path,
        *("test", system, "-w", workload, "-f", f"{fault}:one", *asked),
        *("--memory", "all-kept", "--seed", "3", "-t", "20", "-q"),
        path=path,
    )
    digest = (tmp_path / "runs/latest/history.jsonl").read_bytes()

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert verdicts(tmp_path)[checker] == "valid"
    plan = json.loads((tmp_path / "runs/latest/plan.json").read_text(encoding="utf-8"))
    assert (plan["options"]["system"], plan["options"]["checkers"]) == (system, [checker])
    version = {"installed": "own-things 1.2"}.get(way, "sha256:")
    assert all(plan["versions"][name].startswith(version) for name in (system, fault, checker))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    judged = call(elsewhere, "check", str(tmp_path / "runs/latest"), path=path)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    if way == "path":
        repeat = plan["command"].removeprefix("dissever ")
        again = call(tmp_path, *shlex.split(repeat), "-q", path=path)
        assert again.returncode == 0, again.stdout + again.stderr
        assert (tmp_path / "runs/latest/history.jsonl").read_bytes() == digest
    replayed = call(
        tmp_path,
        *("test", system, "-w", workload, "--plan", "runs/latest/schedule.jsonl", "-t", "20", "-q"),
        path=path,
    )
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    lamp(tmp_path / "lamp.jsonl", is_on=False)
    assert call(tmp_path, "check", "lamp.jsonl", "--model", model, path=path).returncode == 1


def test_installed_plug_ins_are_listed_with_their_origin(installed: Path, tmp_path: Path) -> None:
    listed = call(tmp_path, "list", "--json", path=installed)

    found = json.loads(listed.stdout)
    origins = {
        each["name"]: each["origin"]
        for kind in ("systems", "workloads", "faults", "checkers", "models")
        for each in found[kind]
    }
    for name in WAYS["installed"]:
        assert origins[name] == "own-things 1.2"
    assert (origins["kill"], origins["dqlite"]) == ("dissever", "dissever")
    assert all(line in listed.stderr.splitlines() for line in BROKEN)
    assert [each["line"] for each in found["broken"]] == [
        line.partition(": ")[2] for line in BROKEN
    ]
    assert listed.stdout == call(tmp_path, "list", "--json", path=installed).stdout
    others = call(tmp_path, "test", "simulated", "-w", "set", "-t", "3", "-q", path=installed)
    assert others.returncode == 0, others.stdout + others.stderr


def test_a_run_is_doubted_where_its_plug_ins_are_no_longer_the_same(tmp_path: Path) -> None:
    things = tmp_path / "things"
    write_plugins(things)
    system, workload, _, checker, _ = WAYS["path"]
    words = ("test", system, "-w", workload, "--checker", checker, "-t", "3", "-q")
    assert call(tmp_path, *words).returncode == 0

    with (things / "unique.py").open("a", encoding="utf-8") as file:
        file.write("# It was another.\n")
    changed = call(tmp_path, "check", "runs/latest")
    asked = call(tmp_path, "check", "runs/latest", "--checker", checker)
    (things / "unique.py").unlink()
    gone = call(tmp_path, "check", "runs/latest")
    (things / "own_numbers.py").unlink()
    lost = call(tmp_path, "check", "runs/latest")

    assert changed.returncode == 2
    assert "things/unique.py was changed after the run" in " ".join(changed.stdout.split())
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert gone.returncode == 2
    said = " ".join(gone.stdout.split())
    assert "found none at things/unique.py; when the run was planned, it was found from" in said
    assert lost.returncode == 3
    assert "plan.json: expected a Python file, found none at things/own_numbers.py" in lost.stderr
    assert "Traceback" not in lost.stderr


ODD = '''
"""Plug-ins that look right until somebody looks closer."""

from dissever.harness.cluster.backends import SIMULATED
from dissever.systems.simulated import SimulatedSystem


class Wrong(SimulatedSystem):
    options = {"memory": "no Option"}


class Words(SimulatedSystem):
    backends = ("simulated",)


class Raises(SimulatedSystem):
    def probe(self, options=None):
        raise RuntimeError("boo")
'''

ODD_POINTS = """
[dissever.systems]
raises = odd:Raises
words = odd:Words
wrong = odd:Wrong
"""


def test_odd_plug_ins_spoil_neither_list_nor_doctor(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "odd-1.dist-info").mkdir(parents=True)
    (site / "odd.py").write_text(ODD, encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: odd\nVersion: 1\n"
    (site / "odd-1.dist-info/METADATA").write_text(metadata, encoding="utf-8")
    (site / "odd-1.dist-info/entry_points.txt").write_text(ODD_POINTS, encoding="utf-8")

    listed = call(tmp_path, "list", "--json", path=site)
    doctor = call(tmp_path, "doctor", "--json", path=site)

    found = json.loads(listed.stdout)
    assert {each["name"] for each in found["systems"]} >= {"dqlite", "raises", "simulated"}
    assert [(each["name"], each["line"].partition(": odd 1: ")[2]) for each in found["broken"]] == [
        ("words", "expected backends as a tuple of Backend, got ('simulated',)"),
        ("wrong", "expected options of simulated as name -> Option, got {'memory': 'no Option'}"),
    ]
    checks = {each["what"]: each for each in json.loads(doctor.stdout)["systems"]}
    assert checks["simulated"]["available"]
    assert (checks["raises"]["detail"], checks["raises"]["remedy"]) == (
        "RuntimeError: boo",
        "mend odd 1",
    )
