"""
Toxics that are on the wrong links, in the wrong direction, taken off too early, or met by nothing.

A twin suffers all the same, and a round trip takes as long whichever way is delayed. So what
crosses the real proxies is counted, for each direction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Program
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.nemesis import FAULTS, Environment, make_nemeses
from dissever.nemesis.connections import toxic
from dissever.nemesis.connections.flows import Samples, crossed, not_held_up
from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.connections.toxic import ToxicFault
from dissever.nemesis.toxiproxy import Direction, Proxy, Toxic, server
from tests.nemesis.echo import PORT, SERVER

TALK = """
import socket, sys, threading, time
end = time.monotonic() + float(sys.argv[2])
def read(connection):
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass
while time.monotonic() < end:
    try:
        connection = socket.create_connection((sys.argv[1], 7000), 1.0)
        threading.Thread(target=read, args=(connection,), daemon=True).start()
        while time.monotonic() < end:
            connection.sendall(bytes(50))
            time.sleep(0.01)
    except OSError:
        time.sleep(0.05)
"""
"""Sends another node something every 10 ms, which it sends back."""

TALK_S = 4.0

Break = Callable[[pytest.MonkeyPatch], None]


def _sound(_: pytest.MonkeyPatch) -> None:
    """Nothing is broken."""


def _wrong_direction(patch: pytest.MonkeyPatch) -> None:
    """The toxics are put on, and looked for, in the other direction."""
    swapped = SimpleNamespace(UPSTREAM=Direction.DOWNSTREAM, DOWNSTREAM=Direction.UPSTREAM)
    patch.setattr(toxic, "Direction", swapped)


def _wrong_links(patch: pytest.MonkeyPatch) -> None:
    """The toxics are on the links that the peers have with each other."""
    sound = ToxicFault._toxics

    def toxics(fault: Any, links: Any, settings: Any) -> Any:
        return sound(fault, [("n2", "n3")], settings)

    patch.setattr(ToxicFault, "_toxics", toxics)


def _twin_only(patch: pytest.MonkeyPatch) -> None:
    """What is measured suffers, and no link does."""

    async def put(fault: Any, node: str, now: Any) -> None:
        await fault._proxies.put(node, fault._name, {fault._twin: now.ways(node)})

    patch.setattr(ToxicFault, "_put", put)


def _gone_meanwhile(patch: pytest.MonkeyPatch) -> None:
    """Somebody takes the toxics off again."""
    sound = ToxicFault.inject

    async def inject(fault: ToxicFault, request: Any) -> Any:
        seen = await sound(fault, request)
        proxies: Proxies = fault._proxies
        for node in ("n1", "n2", "n3"):
            await proxies.put(node, fault._name, {})
        return seen

    patch.setattr(ToxicFault, "inject", inject)


Work = Callable[[Any, Any], Awaitable[None]]


@pytest.fixture
def strike(tmp_path: Path) -> Callable[..., tuple[Completion, Completion]]:
    """Strike what n1 sends while n1 talks to n2, then heal; the two completions."""
    for missing in (probe(), server.find()):
        if missing is not None and not isinstance(missing, Path):
            pytest.skip(f"{missing.reason} ({missing.remedy})")

    async def main(fault: str, settings: Any, talks: bool) -> tuple[Completion, Completion]:
        async with await NamespacesCluster.open(("n1", "n2", "n3"), tmp_path) as cluster:
            program = Program([cluster.python, "-I", "-S", "-c", SERVER], {})
            await asyncio.gather(*(cluster.start(node, program) for node in cluster.nodes))
            nemesis: Any = make_nemeses([fault], Environment(cluster, None, 1, peer_ports=(PORT,)))
            value = {"targets": ["n1"], "way": "out", **settings}
            await nemesis[fault].prepare()
            argv = [cluster.python, "-I", "-S", "-c", TALK, cluster.address("n2"), TALK_S]
            talk = (
                asyncio.create_task(cluster.command("n1", list(map(str, argv)))) if talks else None
            )
            began = await nemesis[fault].invoke(Invocation(f"start-{fault}", value, process=fault))
            await asyncio.sleep(0.5)
            ended = await nemesis[fault].invoke(Invocation(f"stop-{fault}", process=fault))
            if talk is not None:
                await talk
            return began, ended

    def run(fault: str, settings: Any, *, talks: bool = True) -> tuple[Completion, Completion]:
        return asyncio.run(main(fault, settings, talks))

    return run


STRUCK = {
    "latency": {"delay_ms": 150, "jitter_ms": 0},
    "black-hole": {},
}


@pytest.mark.cluster
@pytest.mark.parametrize("fault", STRUCK)
@pytest.mark.parametrize(
    ("broken", "held", "still_held"),
    [
        pytest.param(_sound, True, True, id="sound"),
        pytest.param(_wrong_direction, True, False, id="wrong direction"),
        pytest.param(_wrong_links, False, False, id="wrong links"),
        pytest.param(_twin_only, False, False, id="twin only"),
        pytest.param(_gone_meanwhile, True, False, id="gone meanwhile"),
    ],
)
def test_toxics_are_seen_on_the_links_themselves(
    fault: str,
    broken: Break,
    held: bool,
    still_held: bool,
    strike: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    began, ended = strike(fault, STRUCK[fault])

    assert began.value["evidence"]["held"] is held, began.value
    assert ended.value["evidence"]["still_held"] is still_held, ended.value
    assert "idle" not in ended.value["evidence"]
    assert ended.value["evidence"]["healed"] is True, ended.value


@pytest.mark.cluster
def test_toxics_that_nothing_met_were_idle(strike: Any) -> None:
    _, ended = strike("latency", STRUCK["latency"], talks=False)

    assert ended.value["evidence"]["still_held"] is True
    assert ended.value["evidence"]["idle"] is True


# The same without a kernel.


def test_what_crossed_a_link_is_of_its_direction() -> None:
    before = {("n1", "n2"): {"upstream-came": 5}, ("n2", "n1"): {}}
    now = {
        ("n1", "n2"): {"upstream-came": 8, "upstream-went": 2, "downstream-came": 9},
        ("n2", "n1"): {"upstream-came": 4, "downstream-went": 1},
    }

    assert crossed(before, now, [("n1", "n2")]) == {("n1", "n2"): {"came": 3, "went": 3}}
    assert crossed(before, now, [("n2", "n1")]) == {("n2", "n1"): {"came": 13, "went": 0}}


PLACES = {
    ("n1", "n2"): [("21001", "10.0.0.2:22000")],
    ("n2", "n1"): [("21000", "10.0.0.1:22000")],
}


def _samples(flow: list[tuple[int, int]], gap_s: float, pairs: int) -> dict[str, Samples]:
    """What n1 saw of its proxy to n2, upstream: bytes that came, and went."""
    seen = tuple({"21001": (came, 0, 1), "10.0.0.2:22000": (0, went, pairs)} for came, went in flow)
    times = tuple(number * gap_s for number in range(len(flow)))
    return {"n1": Samples(times, seen), "n2": Samples(times, ({},) * len(flow))}


STEADY = [5 * number for number in range(10)]


@pytest.mark.parametrize(
    ("flow", "is_passing"),
    [
        ([(n, n) for n in STEADY], True),
        ([(n, max(0, n - 5)) for n in STEADY], True),
        ([(n, max(0, n - 25)) for n in STEADY], False),
        ([(n, 0) for n in STEADY], False),
        ([(min(n, 10), min(n, 10)) for n in STEADY], False),
        ([(0, 0)] * 10, False),
    ],
    ids=["at once", "soon", "delayed", "never", "too little", "silence"],
)
def test_data_that_do_not_wait_are_seen(flow: list[tuple[int, int]], is_passing: bool) -> None:
    links, passing = [("n1", "n2")], _samples(flow, 0.02, pairs=1)

    assert not_held_up(passing, PLACES, links, 0.1) == (links if is_passing else [])
    assert not_held_up(passing, PLACES, [("n2", "n1")], 0.1) == []


@pytest.mark.parametrize(("gap_s", "pairs"), [(0.2, 1), (0.02, 2)], ids=["busy", "other pairs"])
def test_data_that_cannot_be_followed_accuse_no_toxic(gap_s: float, pairs: int) -> None:
    samples = _samples([(n, n) for n in STEADY], gap_s, pairs)

    assert not_held_up(samples, PLACES, [("n1", "n2")], 0.1) == []


class Listing:
    """Proxies of two hosts that say which toxics they have; nothing else is asked of them."""

    def __init__(self, toxics: dict[str, list[Toxic]]) -> None:
        self.toxics = toxics

    def names(self, source: str, destination: str) -> tuple[str, ...]:
        return (f"{source}->{destination}:{PORT}",)

    async def there(self, node: str) -> dict[str, Proxy]:
        return {
            name: Proxy(name, "10.0.0.1:1", "10.0.0.2:1", toxics=tuple(toxics))
            for name, toxics in self.toxics.items()
            if name.startswith(node)
        }


UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM


def _latency(direction: Direction, delay_ms: int = 100, toxicity: float = 1.0) -> Toxic:
    attributes = {"latency": delay_ms, "jitter": 0}
    return Toxic(f"latency-{direction}", "latency", attributes, direction, toxicity)


@pytest.mark.parametrize(
    ("own", "peers", "found"),
    [
        ([_latency(UP)], [_latency(DOWN)], 2),
        ([_latency(DOWN)], [_latency(UP)], 0),
        ([_latency(UP)], [_latency(UP)], 1),
        ([_latency(UP, delay_ms=1)], [_latency(DOWN, toxicity=0.5)], 0),
        ([], [_latency(UP), _latency(DOWN)], 1),
    ],
    ids=["sound", "wrong direction", "one of two", "too little", "one side alone"],
)
def test_toxics_are_looked_for_on_the_link_and_in_its_direction(
    own: list[Toxic], peers: list[Toxic], found: int
) -> None:
    proxies = Listing({f"n1->n2:{PORT}": own, f"n2->n1:{PORT}": peers})
    site: Any = SimpleNamespace(aiming=None, proxies=proxies)
    fault: Any = FAULTS["latency"].make(FAULTS["latency"], site)
    settings = {"delay_ms": 100, "jitter_ms": 0, "toxicity": 1.0}
    now: Any = SimpleNamespace(links=(("n1", "n2"),), settings=settings)

    assert asyncio.run(fault._found(now)) == found
