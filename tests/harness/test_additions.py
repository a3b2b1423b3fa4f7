"""A new system and a new workload are a file each: they run without any other change."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dissever.harness.formats import read_history

from dissever.checkers import compose
from dissever.harness import store
from dissever.harness.generator import clients, limit, phases, rate
from dissever.harness.plan import Options, Plan
from dissever.harness.results import Budget, Results, Verdict
from dissever.harness.runner import Test, execute
from dissever.harness.system import checked
from dissever.systems import load

WORKLOAD = '''
"""Every client only ever writes its own number to one register, and reads are judged."""

from dissever.checkers.linearizable import Linearizable
from dissever.checkers.models import REGISTER
from dissever.harness.client import Invocation, NotApplied
from dissever.harness.generator import each_thread, mix, repeat
from dissever.harness.options import Option
from dissever.workloads import Workload


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
    key = options.workload_options.get("key", 0)
    reads = repeat(Invocation("read", key=key))
    writes = [Invocation("write", number, key) for number in range(1000)]
    return mix(reads, writes)


OWN_NUMBERS = Workload(
    description="one register, written and read by all",
    store="registers",
    operations=operations,
    final=lambda options, keys: each_thread(Invocation("read", key=keys[0])),
    client=Client,
    checkers={"linearizable": Linearizable(REGISTER)},
    options={"key": Option("which register", default=0, least=0, most=9)},
)
'''

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


class Registers:
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
        return {"registers": Registers}[store](self.cluster)


class OneNodeSystem:
    name = "one-node"
    description = "one node holds everything"
    stores = ("registers",)
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


class Quiet:
    def phase(self, name: str) -> None:
        pass

    def event(self, event: Any) -> None:
        pass


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of somebody else's, with a file for the workload and one for the system."""
    folder = tmp_path / "additions"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "own_numbers.py").write_text(WORKLOAD)
    (folder / "one_node.py").write_text(SYSTEM)
    monkeypatch.syspath_prepend(tmp_path)
    yield "additions"
    for name in [each for each in sys.modules if each.split(".")[0] == "additions"]:
        del sys.modules[name]


def judged(package: str, system_name: str, run: Path, **own: str) -> Results:
    """Run the workload on a system as a user's program would."""
    run.mkdir()
    workload = importlib.import_module(f"{package}.own_numbers").OWN_NUMBERS
    others = {"one-node": f"{package}.one_node:OneNodeSystem"}
    system = load(system_name, others) if system_name in others else load(system_name)
    asked = Options(
        system=system.name,
        workload="own-numbers",
        backend=system.backends[0],
        system_options=own,
        seed=3,
    )
    options = checked(asked, system)
    operations = limit(400, workload.operations(options))
    test = Test(
        plan=Plan(options=options, command="", started=""),
        system=system,
        generator=phases(clients(rate(200, operations)), clients(workload.final(options, (0,)))),
        store=workload.store,
        client=workload.client,
        nemeses=lambda _: {},
    )
    assert execute(test, run, Quiet()).interruption == ""
    return compose(workload.checkers, read_history(run / store.HISTORY).history, Budget())


def test_new_workload_runs_on_an_old_system(tmp_path: Path, package: str) -> None:
    results = judged(package, "simulated", tmp_path / "run")

    assert results.verdict is Verdict.VALID


def test_new_workload_runs_on_a_new_system(tmp_path: Path, package: str) -> None:
    results = judged(package, "one-node", tmp_path / "run")

    assert results.verdict is Verdict.VALID


def test_new_system_takes_its_own_options(tmp_path: Path, package: str) -> None:
    results = judged(package, "one-node", tmp_path / "run", memory="forgetful")

    assert results.verdict is Verdict.INVALID
    with pytest.raises(ValueError, match="did you mean forgetful"):
        judged(package, "one-node", tmp_path / "other", memory="forgetfull")
