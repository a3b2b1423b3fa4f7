"""Faults of packets on links of a real kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.nemesis import FAULTS, Backend, Environment, make_nemeses
from dissever.nemesis.packets.fault import FAULTS as PACKETS

pytestmark = pytest.mark.cluster

NODES = ("n1", "n2", "n3")


class Deployment:
    def __init__(self, cluster: NamespacesCluster, *faults: str) -> None:
        self.cluster = cluster
        self.nemeses = make_nemeses(faults, Environment(cluster, None, 1))

    async def start(self, fault: str, value: Any) -> Completion:
        invocation = Invocation(f"start-{fault}", value, process=fault)
        return await self.nemeses[fault].invoke(invocation)

    async def stop(self, fault: str) -> Completion:
        return await self.nemeses[fault].invoke(Invocation(f"stop-{fault}", process=fault))

    async def left(self) -> str:
        """What hosts filter and shape."""
        said = ""
        for node in self.cluster.nodes:
            for command in (["nft", "list", "ruleset"], ["tc", "qdisc", "show", "dev", "eth0"]):
                said += (await self.cluster.command(node, command)).stdout
        return said


Work = Callable[[Deployment], Awaitable[None]]


@pytest.fixture(scope="module", autouse=True)
def _hosts_can_be_made() -> None:
    if missing := probe():
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture
def with_nodes(tmp_path: Path) -> Callable[..., None]:
    """Run a test on three hosts with some faults, those that this machine can have."""

    async def main(work: Work, faults: tuple[str, ...]) -> None:
        async with await NamespacesCluster.open(NODES, tmp_path) as cluster:
            await work(Deployment(cluster, *faults))

    def run(work: Work, *faults: str) -> None:
        for fault in faults:
            if missing := FAULTS[fault].missing(Backend.NAMESPACES):
                pytest.skip(f"{fault}: {missing.reason} ({missing.remedy})")
        asyncio.run(main(work, faults))

    return run


@pytest.mark.parametrize("fault", [fault.name for fault in PACKETS])
def test_it_takes_hold_on_these_links_alone_and_heals(
    with_nodes: Callable[..., None], fault: str
) -> None:
    async def work(at: Deployment) -> None:
        before = await at.left()
        started = await at.start(fault, {"targets": ["n1"], "way": "out"})
        during = await at.left()
        stopped = await at.stop(fault)

        held, healed = started.value["evidence"], stopped.value["evidence"]
        assert held["held"] is True, started.value
        assert set(held["during"]) == {"n1->n2", "n1->n3"}
        assert held["counted"]["rules"] == 2
        assert healed["healed"] is True, stopped.value
        assert set(healed["after"]) == {"n1->n2", "n1->n3"}
        assert before == await at.left() != during

    with_nodes(work, fault)


def test_what_a_cut_hides_is_still_counted(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        await at.start("partition", {"targets": ["n1"]})
        hidden = await at.start("packet-loss", {"targets": ["n1"], "percent": 40})
        lossy = await at.start("packet-loss", {"targets": ["n2"], "way": "in", "percent": 40})
        await at.start("packet-loss", {"spec": "all", "percent": 20})
        cut = await at.stop("partition")
        healed = await at.stop("packet-loss")

        assert hidden.value["evidence"]["held"] is True, hidden.value
        assert hidden.value["evidence"]["during"] == {}
        assert hidden.value["evidence"]["counted"]["lost"] > 0
        # n1 is cut off, so only n3 reaches n2, and only that link is measured.
        assert lossy.value["evidence"]["held"] is True, lossy.value
        assert set(lossy.value["evidence"]["during"]) == {"n3->n2"}
        assert cut.value["evidence"]["healed"] is True, cut.value
        assert len(healed.value["evidence"]["after"]) == 6
        assert healed.value["evidence"]["healed"] is True

    with_nodes(work, "partition", "packet-loss")


def test_a_second_fault_of_packets_is_refused_and_teardown_leaves_nothing(
    with_nodes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.nemesis.packets.rules.FREED_LIMIT_S", 0.1)

    async def work(at: Deployment) -> None:
        before = await at.left()
        await at.start("packet-loss", {"spec": "all", "percent": 20})
        with pytest.raises(TimeoutError, match="packet-rate cannot strike while packet-loss is in"):
            await at.start("packet-rate", {"spec": "one"})
        for nemesis in at.nemeses.values():
            await nemesis.heal()
            await nemesis.heal()
        after_loss = await at.left()
        limited = await at.start("packet-rate", {"spec": "link", "rate_kb_s": 50})
        for nemesis in at.nemeses.values():
            await nemesis.heal()

        assert after_loss == before == await at.left()
        assert limited.value["evidence"]["held"] is True, limited.value

    with_nodes(work, "packet-loss", "packet-rate")


def test_a_second_fault_of_packets_waits_for_a_late_healing(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        await at.start("packet-loss", {"spec": "one", "percent": 20})
        late = asyncio.create_task(at.start("packet-rate", {"spec": "one"}))
        await asyncio.sleep(0.05)
        healed = await at.stop("packet-loss")
        limited = await late

        assert healed.value["evidence"]["healed"] is True
        assert limited.value["evidence"]["held"] is True, limited.value

    with_nodes(work, "packet-loss", "packet-rate")


LIES: Mapping[str, tuple[str, str]] = {
    "packet-loss": ("dissever.nemesis.packets.rules.loss_ruleset", "add table inet x"),
    "packet-rate": (
        "dissever.nemesis.packets.shaping.shaping",
        "qdisc add dev lo root handle 1: htb",
    ),
}
"""Fault -> who says what the kernel is told, and something that does nothing."""


@pytest.mark.parametrize("fault", LIES)
def test_a_rule_that_does_nothing_is_no_fault(
    with_nodes: Callable[..., None], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, lie = LIES[fault]
    monkeypatch.setattr(where, lambda *_: lie)
    monkeypatch.setattr("dissever.nemesis.packets.fault.LOOKS", 1)

    async def work(at: Deployment) -> None:
        started = await at.start(fault, {"spec": "one"})

        assert started.value["evidence"]["held"] is False
        assert started.error == f"start-{fault} did not take hold"

    with_nodes(work, fault)


def test_a_rule_that_stays_is_no_healing(
    with_nodes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(at: Deployment) -> None:
        await at.start("packet-loss", {"spec": "one", "percent": 40})
        monkeypatch.setattr("dissever.nemesis.packets.rules.HEAL_LOSS", "add table inet x")
        monkeypatch.setattr("dissever.nemesis.packets.fault.LOOKS", 1)
        stopped = await at.stop("packet-loss")

        assert stopped.value["evidence"]["healed"] is False
        assert stopped.error == "stop-packet-loss did not heal"

    with_nodes(work, "packet-loss")
