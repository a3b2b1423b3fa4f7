"""A fault is one new file with a record, and one line that registers it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.checkers import Evidence
from dissever.harness import clock
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.generator import any_of, clients, phases
from dissever.harness.history import Event, History
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.missing import Missing
from dissever.harness.results import Budget, Verdict
from dissever.nemesis import (
    FAULTS,
    MAJORITY_ONLY,
    Backend,
    Environment,
    Fault,
    actions,
    compile_script,
    final,
    generator,
    make_nemeses,
    plan,
    read_script,
)
from dissever.nemesis.table import table

FILE = '''
from dataclasses import replace

from dissever.harness.cluster import NodeProcesses
from dissever.nemesis import NodeEvidence, PerNode
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.parameters import number, one_of


class Nap:
    """A `NodeFault`: a pause that does not wait for an answer."""

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
'''


class Silent:
    """A process that answers nothing of use."""

    def handle(self, source: str | None, request: Any) -> Any:
        return None


@pytest.fixture
def nap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fault:
    path = tmp_path / "nap.py"
    path.write_text(FILE)
    spec = importlib.util.spec_from_file_location("nap", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fault: Fault = module.NAP
    monkeypatch.setitem(FAULTS.own, "nap", fault)
    return fault


def test_it_is_planned_played_and_leaves_evidence(nap: Fault, tmp_path: Path) -> None:
    nodes = ("n1", "n2", "n3")
    events: list[Event] = []
    ops = plan(
        ["nap", "partition"],
        nodes=nodes,
        seed=1,
        interval_s=5,
        time_limit_s=20,
    )

    async def open_client(_: str) -> Any:
        raise ConnectionRefusedError

    async def main() -> None:
        cluster = SimulatedCluster(nodes, lambda *_: Silent(), Random(1), tmp_path)
        for node in nodes:
            await cluster.start(node)
        await interpret(
            phases(any_of(generator(ops), clients(None)), final(["nap", "partition"])),
            open_client=open_client,
            nodes=nodes,
            concurrency=1,
            nemeses=make_nemeses(["nap", "partition"], Environment(cluster, None, 1)),
            rng=Random(1),
            record=events.append,
            limits=TimeLimits(),
        )

    clock.run(main(), is_virtual=True)
    result = Evidence()(History(tuple(events)), Budget())
    (struck, *_) = [e for e in events if e.f == "start-nap" and e.type == "info"]

    assert result.verdict is Verdict.VALID
    assert result.why.startswith("every fault took hold and healed; 3 strikes met nothing")
    assert struck.value["evidence"]["held"] is True
    assert struck.value["depth"] in (2, 3, 5)


def test_a_cluster_without_the_ability_is_refused(nap: Fault, tmp_path: Path) -> None:
    cluster = SimulatedCluster(("n1", "n2", "n3"), lambda *_: Silent(), Random(1), tmp_path)
    nemeses = make_nemeses(["nap", "disk-flip", "limit-cpu"], Environment(cluster, None, 1))
    lacks = {name: nemesis.probe() for name, nemesis in nemeses.items()}

    kernel = "simulated hosts have no kernel"
    assert lacks == {
        "nap": None,
        "disk-flip": Missing(kernel, "use namespaces or containers"),
        "limit-cpu": Missing(kernel, "use namespaces, containers or compose"),
        MAJORITY_ONLY: None,
    }


def test_a_file_may_name_it_and_its_settings_are_checked(nap: Fault) -> None:
    def ops(settings: str) -> Any:
        script = read_script(f"faults: [{{fault: nap, at: 1, for: 1, with: {settings}}}]")
        return compile_script(script, nodes=("n1", "n2", "n3"), seed=1, time_limit_s=9)

    assert ops("{depth: 7}")[0].value["depth"] == 7
    with pytest.raises(ValueError, match="depth as a whole number from 1 to 9, got 10"):
        ops("{depth: 10}")


def test_all_that_is_made_of_records_has_it(nap: Fault) -> None:
    assert nap.missing(Backend.SIMULATED) is None
    assert nap.steps == ("start-nap", "stop-nap")
    assert list(actions(["nap"])["nap"]) == ["start-nap", "stop-nap"]
    assert "| `nap` | let nodes nap | nodes | the node is paused |" in table([nap])
