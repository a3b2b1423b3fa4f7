"""Every fault that strikes simulated hosts by means of their own, on hosts that may lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import DiskCall, DiskRule, Impairment, Link, Traffic
from dissever.harness.cluster.simulated import Append, Put, SimulatedCluster, SimulatedDisk
from dissever.nemesis import FAULTS, Backend, Environment, make_nemeses

NODES = ("n1", "n2", "n3")

BEAT_S = 0.05
SOME = {"percent": 20.0}
ALLOCATIONS_A_BEAT = 5

PACKETS: dict[str, dict[str, Any]] = {
    "packet-loss": {"percent": 5.0},
    "packet-rate": {"rate_kb_s": 50.0},
    "netem-delay": {"delay_ms": 50.0, "jitter_ms": 20.0},
    "netem-loss": {"percent": 5.0, "burst_packets": 10.0},
    "netem-duplicate": {"percent": 5.0},
    "netem-corrupt": {"percent": 2.0},
    "netem-reorder": {"percent": 25.0, "delay_ms": 20.0},
    "netem-rate": {"rate_kb_s": 50.0},
    "latency": {"delay_ms": 50, "jitter_ms": 0, "toxicity": 0.5},
    "bandwidth": {"rate_kb_s": 10},
    "black-hole": {},
}
DISKS: dict[str, dict[str, Any]] = {
    "disk-slow": {"ms": 50},
    "disk-error": {"call": "append", "probability": 0.3},
    "disk-torn": {"probability": 0.3},
    "disk-full": {},
    "snapshot-error": {"probability": 1.0},
}
CLOCKS: dict[str, dict[str, Any]] = {
    "clock-jump": {"offset_s": -1.0},
    "clock-strobe": {"offset_s": 0.5, "period_s": 0.05},
    "clock-drift": {"rate": -0.2},
    "monotonic-jump": {"offset_s": 2.0},
    "monotonic-drift": {"rate": -0.5},
}
OTHERS: dict[str, dict[str, Any]] = {"power-failure": {}, "out-of-memory": {"nth": 12}}
CLIENTS: dict[str, dict[str, Any]] = {
    "client-cut": {},
    "client-reset": {"every_ms": 1.0},
}
EVERY = PACKETS | DISKS | CLOCKS | OTHERS | CLIENTS


class Beating:
    """A node that tells all others of itself, writes to its disk and allocates, again and again."""

    def __init__(self, name: str, disk: SimulatedDisk, cluster: SimulatedCluster) -> None:
        self._name, self._disk, self._cluster = name, disk, cluster
        self._cluster.set_timer(name, BEAT_S, self._beat)

    def handle(self, source: str | None, request: Any) -> str:
        return self._name

    def _beat(self) -> None:
        assert isinstance(self._cluster, Hosts)
        if self._cluster.beats:
            for peer in self._cluster.nodes:
                if peer != self._name:
                    self._cluster.post(self._name, peer, "beat")
            for call in (DiskCall.APPEND, DiskCall.METADATA, DiskCall.SNAPSHOT):
                change = Append("log", 0, ("x",)) if call is DiskCall.APPEND else Put("file", "x")
                self._disk.write(call, (change,), lambda _: None)
            self._cluster.allocate(self._name)
            self._cluster.send(None, self._name, "who are you")
        self._cluster.set_timer(self._name, BEAT_S, self._beat)


class Hosts(SimulatedCluster):
    """Simulated hosts whose allocations can fail; each of `lies` names what it does not do."""

    def __init__(self, directory: Path, lies: set[str], *, beats: bool) -> None:
        self.lies = lies
        self.beats = beats
        self._left: dict[str, int] = {}
        self._failed = dict.fromkeys(NODES, 0)
        super().__init__(NODES, Beating, Random(1), directory)

    async def cut_clients(self, node: str, *, to_node: bool, from_node: bool) -> None:
        if ("not on" if to_node or from_node else "not off") not in self.lies:
            await super().cut_clients(node, to_node=to_node, from_node=from_node)

    async def reset_clients(self, node: str) -> int:
        return 0 if "not on" in self.lies else await super().reset_clients(node)

    def allocate(self, node: str) -> None:
        for _ in range(ALLOCATIONS_A_BEAT if node in self._left else 0):
            self._left[node] -= 1
            self._failed[node] += self._left[node] == 0

    async def fail_allocation(self, node: str, number: int) -> None:
        self._left[node] = number

    async def failed_allocations(self, node: str) -> int:
        return self._failed[node]

    async def impair(self, links: Mapping[Link, Impairment]) -> None:
        if ("not on" if links else "not off") in self.lies:
            return
        if "half" in self.lies:
            links = dict(list(links.items())[1:])
        await super().impair(links)

    async def traffic(self) -> Mapping[Link, Traffic]:
        return {} if "listed off" in self.lies else await super().traffic()

    async def set_disk_rule(self, node: str, name: str, rule: DiskRule | None) -> None:
        if ("not on" if rule else "not off") not in self.lies:
            await super().set_disk_rule(node, name, rule)

    async def turn_clock(self, node: str, offset_s: float, rate: float) -> None:
        if ("not on" if offset_s or rate != 1 else "not off") not in self.lies:
            await super().turn_clock(node, offset_s, rate)

    async def fail_power(self, node: str) -> Mapping[str, int]:
        if "not on" in self.lies:
            return {"lost": 0, "kept": 0}
        return await super().fail_power(node)


def struck(
    tmp_path: Path,
    fault: str,
    value: Mapping[str, Any],
    *,
    lies: str = "",
    late_lies: str = "",
    beats: bool = True,
    meanwhile: Callable[[Hosts], None] | None = None,
) -> tuple[Completion, Completion]:
    """The completions of an injection and of its healing a second later."""

    async def main() -> tuple[Completion, Completion]:
        hosts = Hosts(tmp_path, set(filter(None, [lies])), beats=beats)
        for node in NODES:
            await hosts.start(node)
        nemesis = make_nemeses([fault], Environment(hosts, None, 1))[fault]
        assert nemesis.probe() is None
        first, *_, last = FAULTS[fault].steps
        await asyncio.sleep(0.1)
        injected = await nemesis.invoke(Invocation(first, value, process=fault))
        await asyncio.sleep(1.0)
        if meanwhile is not None:
            meanwhile(hosts)
        hosts.lies |= set(filter(None, [late_lies]))
        healed = await nemesis.invoke(Invocation(last, process=fault))
        await nemesis.heal()
        await hosts.close()
        return injected, healed

    return clock.run(main(), is_virtual=True)


def evidence(completion: Completion) -> Mapping[str, Any]:
    found: Mapping[str, Any] = completion.value["evidence"]
    return found


def test_they_are_all_that_have_means_of_their_own() -> None:
    own = {
        name
        for name, fault in FAULTS.items()
        if fault.simulated or (not fault.unfit(Backend.SIMULATED) and fault.unfit(Backend.COMPOSE))
    }

    assert own == set(EVERY)


@pytest.mark.parametrize("fault", EVERY)
def test_a_fault_takes_hold_is_met_and_heals(tmp_path: Path, fault: str) -> None:
    injected, healed = struck(tmp_path, fault, {"spec": "one", **EVERY[fault]})

    assert evidence(injected)["held"] is True, injected
    assert injected.error is None
    assert evidence(healed)["still_held"] is True
    assert "idle" not in evidence(healed)
    assert evidence(healed)["healed"] is True, healed


@pytest.mark.parametrize("fault", [*PACKETS, *DISKS, *CLIENTS, "out-of-memory"])
def test_a_fault_that_nothing_meets_is_idle(tmp_path: Path, fault: str) -> None:
    injected, healed = struck(tmp_path, fault, {"spec": "one", **EVERY[fault]}, beats=False)

    assert evidence(injected)["held"] is True
    assert evidence(healed)["idle"] is True
    assert evidence(healed)["healed"] is True


@pytest.mark.parametrize("fault", [*PACKETS, *DISKS, *CLOCKS, *CLIENTS, "power-failure"])
def test_a_fault_that_is_not_applied_does_not_hold(tmp_path: Path, fault: str) -> None:
    injected, _ = struck(tmp_path, fault, {"spec": "one", **EVERY[fault]}, lies="not on")

    assert evidence(injected)["held"] is False
    assert injected.error


# A clock that is wrong and right by turns may be right at that moment.
@pytest.mark.parametrize(
    "fault", [*PACKETS, *DISKS, *(c for c in CLOCKS if c != "clock-strobe"), "client-cut"]
)
def test_a_fault_that_is_not_removed_does_not_heal(tmp_path: Path, fault: str) -> None:
    _, healed = struck(tmp_path, fault, {"spec": "one", **EVERY[fault]}, late_lies="not off")

    assert evidence(healed)["healed"] is False
    assert healed.error


@pytest.mark.parametrize("fault", ["packet-loss", "latency", "netem-rate"])
def test_a_link_that_is_left_out_is_named(tmp_path: Path, fault: str) -> None:
    value = {"spec": "one", **EVERY[fault], **({"toxicity": 1.0} if fault == "latency" else {})}
    injected, _ = struck(tmp_path, fault, value, lies="half")

    assert evidence(injected)["held"] is False
    assert "not impaired: n" in str(injected.error)


@pytest.mark.parametrize("fault", ["netem-delay", "black-hole", "netem-duplicate"])
def test_a_network_that_denies_what_it_does_is_not_believed(tmp_path: Path, fault: str) -> None:
    """It lists no link any more, and goes on: datagrams show it."""

    async def keep(self: Hosts, links: Mapping[Link, Impairment]) -> None:
        self.lies.add("listed off")

    def lie(hosts: Hosts) -> None:
        hosts.impair = partial(keep, hosts)  # type: ignore[method-assign]

    _, healed = struck(tmp_path, fault, {"spec": "one", **EVERY[fault]}, meanwhile=lie)

    assert evidence(healed)["left"] == []
    assert evidence(healed)["healed"] is False


def test_a_rule_that_somebody_else_takes_away_is_noticed(tmp_path: Path) -> None:
    def mend(hosts: Hosts) -> None:
        for node in NODES:
            hosts.disk_of(node).set_rule("disk-full", None)

    _, healed = struck(tmp_path, "disk-full", {"spec": "all"}, meanwhile=mend)

    assert evidence(healed)["still_held"] is False
    assert "no longer in force" in evidence(healed)["lapsed"]


def test_settings_are_those_of_simulated_disks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected .*call, probability or rule_seed, got op"):
        struck(tmp_path, "disk-error", {"op": "write"})


def test_two_faults_of_links_wait_for_each_other(tmp_path: Path) -> None:
    async def main() -> list[bool]:
        hosts = Hosts(tmp_path, set(), beats=True)
        for node in NODES:
            await hosts.start(node)
        nemeses = make_nemeses(["latency", "packet-loss"], Environment(hosts, None, 1))
        latency, loss = nemeses["latency"], nemeses["packet-loss"]
        await latency.invoke(Invocation("start-latency", {"delay_ms": 50, "jitter_ms": 0}))
        second = asyncio.create_task(loss.invoke(Invocation("start-packet-loss", SOME)))
        await asyncio.sleep(2.0)
        was_done = second.done()
        await latency.invoke(Invocation("stop-latency"))
        held = evidence(await second)["held"]
        return [was_done, held]

    assert clock.run(main(), is_virtual=True) == [False, True]
