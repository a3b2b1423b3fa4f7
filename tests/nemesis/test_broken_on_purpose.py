"""
Each fault broken on purpose: what breaks things does nothing, and says that it did. No evidence.

Here are the faults that need real hosts; those of processes, links, members, limits, packets and
versions have a test of this kind beside the others of theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dissever.checkers import Evidence
from dissever.harness.client import Invocation
from dissever.harness.cluster import Command, Hosts, Program, clock, faultfs
from dissever.harness.cluster.backends import Backend
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.nemesis import (
    FAULTS,
    Environment,
    hosts,
    make_nemeses,
)
from dissever.nemesis.clocks import clock as clock_faults
from dissever.nemesis.clocks.clock import TURN_CLOCK, ClockFault, Turn
from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.connections.toxic import FAULTS as TOXICS
from dissever.nemesis.connections.toxic import ToxicFault
from dissever.nemesis.disks import faulty as faulty_disk
from dissever.nemesis.disks import full as disk_full
from dissever.nemesis.disks.full import BALLOON
from dissever.nemesis.host_commands import run_script
from dissever.nemesis.toxiproxy import server

pytestmark = pytest.mark.cluster

PROGRAM = Program(["sh", "-c", "head -c 100000 /dev/zero > data/file; exec sleep 600"], {})
SURE: Mapping[str, Mapping[str, Any]] = {
    "disk-error": {"probability": 1.0},
    "disk-torn": {"probability": 1.0},
    "disk-flip": {"probability": 1.0},
    "clock-jump": {"offset_s": 60.0},
    "clock-strobe": {"offset_s": 60.0, "period_s": 0.1},
    "clock-drift": {"rate": 0.5},
    "monotonic-jump": {"offset_s": 60.0},
    "monotonic-drift": {"rate": 0.5},
}
"""Where chance could say that nothing was hit, and be right."""

NOTICED_LIMIT_S = 5.0
"""What turns a clock ends this soon after somebody else has set it."""

LIES: Mapping[str, str] = {
    BALLOON: '{"bytes": 1, "refusals": 1, "refills": 1}',
    TURN_CLOCK: '{"turns": 9}',
}
"""Script -> what it would have said."""


class Deaf(NamespacesCluster):
    """Hosts on which nothing breaks a disk or a clock while `is_deaf`."""

    is_deaf = True

    async def command(self, node: str, argv: Sequence[str], stdin: str = "") -> Command:
        words = [str(word) for word in argv]
        if self.is_deaf:
            lie = next((LIES[word] for word in words if word in LIES), None)
            if words[1:2] == ["send"] and words[3] in ("rule", "off"):
                lie = '{"lost_bytes": 65536}'
            if lie is not None:
                await asyncio.sleep(0.05)
                return Command(0, lie, "")
            words = [word.replace("os.truncate(path, size)", "pass") for word in words]
        return await super().command(node, words, stdin)


@pytest.fixture(autouse=True)
def _possible(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = probe()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    # It never comes, so it need not be waited for.
    monkeypatch.setattr(faulty_disk, "HIT_LIMIT_S", 0.3)
    monkeypatch.setattr(clock_faults, "HOLD_LIMIT_S", 0.3)
    monkeypatch.setattr(disk_full, "FULL_LIMIT_S", 0.3)


def of_group(group: str, prefix: str = "") -> tuple[str, ...]:
    virtual = Backend.SIMULATED.abilities - Backend.NAMESPACES.abilities
    found = [
        name
        for name, fault in FAULTS.items()
        if fault.group == group and virtual.isdisjoint(fault.needs)
    ]
    assert found
    return tuple(name for name in found if name.startswith(prefix))


def _needed(faults: Sequence[str]) -> Hosts:
    """What the hosts need for these faults; skips the test where this machine lacks it."""
    needed = hosts(faults, 4)
    for lacking in (
        faultfs.missing() if needed.faulty_disks else None,
        clock.missing() if needed.own_clocks else None,
    ):
        if lacking is not None:
            pytest.skip(f"{lacking.reason} ({lacking.remedy})")
    return needed


@pytest.mark.parametrize(
    "faults",
    [of_group("disks"), of_group("clocks", "clock-"), of_group("clocks", "monotonic-")],
    ids=["disks", "wall clocks", "monotonic clocks"],
)
def test_disks_and_clocks_that_nothing_breaks(faults: tuple[str, ...], tmp_path: Path) -> None:
    needed = _needed(faults)

    async def main() -> None:
        async with await Deaf.open(["n1"], tmp_path, needed) as cluster:
            await cluster.start("n1", PROGRAM)
            nemeses = make_nemeses(faults, Environment(cluster, None, 1, budget=1))
            for fault in faults:
                for is_deaf in (True, False):
                    cluster.is_deaf = is_deaf
                    value = {"spec": "one", **SURE.get(fault, {})}
                    seen = await _struck(nemeses[fault], fault, value)
                    cluster.is_deaf = False
                    seen += await _healed(nemeses[fault], fault)
                    assert _verdict(seen) is (Verdict.UNKNOWN if is_deaf else Verdict.VALID), seen

    asyncio.run(main())


async def _put_nothing(proxies: Proxies, node: str, fault: str, toxics: Any) -> None:
    """The server is never told."""


async def _put_without_twin(fault: Any, node: str, now: Any) -> None:
    """The server has all that it should, and what is measured does not suffer."""
    await fault._proxies.put(node, fault._name, now.toxics[node])


@pytest.mark.parametrize(
    ("where", "name", "broken"),
    [(Proxies, "put", _put_nothing), (ToxicFault, "_put", _put_without_twin)],
    ids=["never told", "without effect"],
)
def test_toxics_that_do_nothing(
    where: type, name: str, broken: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(server.find(), Path):
        pytest.skip("there is no toxiproxy-server")
    monkeypatch.setattr(where, name, broken)

    async def main() -> None:
        async with await NamespacesCluster.open(["n1", "n2"], tmp_path) as cluster:
            environment = Environment(cluster, None, 1, peer_ports=(7000,))
            nemeses = make_nemeses([fault.name for fault in TOXICS], environment)
            for fault in (each.name for each in TOXICS):
                seen = await _struck(nemeses[fault], fault, {"spec": "one"})
                await nemeses[fault].heal()

                assert _verdict(seen) is Verdict.UNKNOWN, seen

    asyncio.run(main())


async def _struck(nemesis: Any, fault: str, value: Any) -> tuple[Event, ...]:
    """The events of one strike."""
    return await _done(nemesis, fault, FAULTS[fault].steps[0], value, 0)


async def _healed(nemesis: Any, fault: str) -> tuple[Event, ...]:
    """The events of its healing."""
    return await _done(nemesis, fault, FAULTS[fault].steps[-1], None, 2)


async def _done(nemesis: Any, fault: str, f: str, value: Any, index: int) -> tuple[Event, ...]:
    done = await nemesis.invoke(Invocation(f, value, process=fault))
    return (
        Event(index, index, fault, Type.INVOKE, f, value),
        Event(index + 1, index + 1, fault, Type.INFO, f, done.value, error=done.error),
    )


def _verdict(events: tuple[Event, ...]) -> Verdict:
    """
    Whether the faults held, by their evidence.

    That nodes met them is not asked for: here they do nothing.
    """
    result = Evidence()(History(events), Budget())
    if any("met anything" not in doubt for doubt in result.details["doubts"]):
        return result.verdict
    return Verdict.VALID


async def _ends(cluster: NamespacesCluster, fault: str) -> None:
    """Somebody else ends a fault of disks or clocks on n1, in the way that is at hand."""
    if fault == "power-failure":
        await faulty_disk.ask(cluster, "n1", "on")
    elif fault.startswith("disk-"):
        await faulty_disk.ask(cluster, "n1", "clear", fault)
    else:
        clock = cluster.clock("n1")
        assert clock is not None
        # Without its lock what turns the clock may overwrite this.
        await run_script(cluster, "n1", TURN_CLOCK, clock.file, Turn.JUMP.value, 0, 0, 0.0)
        if turning := [each for each in asyncio.all_tasks() if _is_turning(each)]:
            await asyncio.wait(turning, timeout=NOTICED_LIMIT_S)


def _is_turning(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == ClockFault._turn_on.__name__


LASTING = [
    tuple(f for f in of_group("disks") if f not in ("disk-truncate", "disk-full")),
    of_group("clocks", "clock-"),
    of_group("clocks", "monotonic-"),
]


@pytest.mark.parametrize("faults", LASTING, ids=["disks", "clocks", "monotonic"])
def test_disks_and_clocks_that_somebody_mends_before_they_heal(
    faults: tuple[str, ...], tmp_path: Path
) -> None:
    needed = _needed(faults)

    async def main() -> None:
        async with await NamespacesCluster.open(["n1"], tmp_path, needed) as cluster:
            await cluster.start("n1", PROGRAM)
            nemeses = make_nemeses(faults, Environment(cluster, None, 1, budget=1))
            for fault in faults:
                for is_ended in (True, False):
                    value = {"spec": "one", **SURE.get(fault, {})}
                    seen = await _struck(nemeses[fault], fault, value)
                    if is_ended:
                        await _ends(cluster, fault)
                    seen += await _healed(nemeses[fault], fault)
                    lasted = seen[-1].value["evidence"]["still_held"]

                    assert lasted is not is_ended, (fault, seen[-1].value)
                    assert _verdict(seen) is (Verdict.UNKNOWN if is_ended else Verdict.VALID), seen

    asyncio.run(main())
