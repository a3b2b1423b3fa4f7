"""
Spoil what nodes send each other, with Toxiproxy: a fault for each type of toxic.

A link is a direction, no matter which node connected: what n1 sends n2 goes upstream through the
proxy of n1's connections to n2, and downstream through that of n2's connections to n1. The toxic is
put on both.

Evidence. The server has the toxics on the proxies of these links, in the direction of each link,
read back, and none after. On a twin, a proxy of the same server before an echo of its own host,
the same toxics are measured: before the fault the effect is not there, in force it is, afterwards
it is not. What nodes themselves sent is counted in the kernel as it enters the real proxies and as
it leaves them, for each direction. Where nothing entered, the fault was idle. Toxics that let
nothing pass must have let nothing pass. Where data are delayed, they must be seen to wait in the
direction that was asked for. Nothing may go past the proxies.

Values are those of the history: `*_ms`, `*_bytes`, `rate_kb_s` (thousands of bytes per second).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any, Final, TypeAlias

from dissever.harness.cluster import HostCommands, Hosts, Impairment, Sockets
from dissever.harness.values import listed
from dissever.nemesis.connections import measures
from dissever.nemesis.connections.flows import Crossed, Traffic, crossed
from dissever.nemesis.connections.measures import Measure, Measured
from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals, Simulated
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.packets.impaired import BLACK_HOLE, DELAYS, LIMITS, QUEUE_MS, impairing
from dissever.nemesis.parameters import Parameter, Request, Settings, number, one_of
from dissever.nemesis.partitions.grudges import Link, arrow
from dissever.nemesis.targets import LINK_TARGETS, WAY
from dissever.nemesis.toxiproxy import Direction, NoAnswer, Toxic

__all__ = ["FAULTS"]

LOOKS: Final = 12
"""How often to look before a wrong measure counts: a busy host may measure wrongly."""

LEAK_S: Final = 0.5
LEAK_PACKETS: Final = 10

DELAY_SEEN_S: Final = 0.04
"""A shorter delay cannot be seen while data wait: nobody looks that often."""

ERROR_GAP_S: Final = 0.2
"""A server that was replaced meanwhile is there again."""


class Shows(Enum):
    """What the counters of the real proxies can show of a toxic."""

    HELD_UP = auto()
    """Data wait in the proxy."""

    NOTHING_PASSES = auto()
    """No data come out of the proxy."""

    CROSSED = auto()
    """Only that data met it."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What was asked for: server -> proxy -> its toxics. Entered before the servers are asked."""

    targets: tuple[str, ...]
    links: tuple[Link, ...]
    settings: Settings
    toxics: Mapping[str, Mapping[str, tuple[Toxic, ...]]]
    traffic: Traffic
    replaced: Counter[str]
    since: Traffic = field(default_factory=dict)
    """What had crossed the proxies once the toxics were on them."""

    def ways(self, node: str) -> tuple[Toxic, ...]:
        """The toxics of a server, one for each direction: what its twin gets."""
        every = {t.direction: t for toxics in self.toxics[node].values() for t in toxics}
        return tuple(every[direction] for direction in sorted(every))


Attributes: TypeAlias = Callable[[Settings], Mapping[str, int]]
"""
Settings -> the toxic's attributes, all of them: in ms, kB/s and bytes, the pauses of a slicer in
µs. Raises ValueError when the settings do not fit together.
"""


class ToxicFault:
    """Implements `Injector` for one type of toxic. A second injection replaces the first."""

    def __init__(
        self,
        fault: Fault,
        site: Environment,
        *,
        type_: str,
        attributes: Attributes,
        measure: Measure,
        shows: Shows,
    ) -> None:
        self._name = fault.name
        self._type = type_
        self._attributes = attributes
        self._measure_one = measure
        self._shows = shows
        self._twin = f"twin of {fault.name}"
        self._aiming = site.aiming
        self._proxies: Proxies = site.proxies
        self._now: InForce | None = None

    async def prepare(self) -> bool:
        """Put every link behind a proxy, and do without the connections that there were."""
        if self._proxies.is_laid:
            return False
        await self._proxies.lay()
        return True

    async def inject(self, request: Request) -> FaultEvidence:
        settings = request.settings
        await self._proxies.lay()
        await self.release()
        choice = await self._aiming.links(request)
        toxics = self._toxics(choice.links, settings)
        traffic, replaced = await self._proxies.traffic(), Counter(self._proxies.replaced)
        now = InForce(choice.targets, choice.links, settings, toxics, traffic, replaced)
        twins = (self._proxies.twin(node, self._twin) for node in toxics)
        await asyncio.gather(*twins)
        before = await self._measure(now, is_so=False)
        self._now = now
        await asyncio.gather(*(self._put(node, now) for node in toxics))
        self._now = replace(now, since=await self._proxies.traffic())
        found = await self._found(now)
        during = await self._measure(now, is_so=True)
        wrong = sorted(node for node in now.toxics if not during[node].is_so or before[node].is_so)
        wanted = sum(len(toxics) for of in now.toxics.values() for toxics in of.values())
        evidence = {
            "links": len(choice.links),
            "toxics": found,
            "before": _facts(before),
            "during": _facts(during),
            **choice.facts,
        }
        is_held = bool(wanted) and found == wanted and not wrong
        return FaultEvidence(choice.targets, is_held, evidence, choice.notes)

    async def look_again(self) -> FaultEvidence | None:
        now = self._now
        if now is None:
            return None
        through = crossed(now.since, await self._proxies.traffic(), now.links)
        facts: dict[str, Any] = {
            "crossed": {arrow(link): through[link] for link in sorted(through)},
            "idle": not any(counts["came"] for counts in through.values()),
        }
        try:
            facts["toxics"] = await self._found(now)
        except NoAnswer as hangs:  # Healing replaces such a server.
            facts["hangs"] = str(hangs)
        error = await self._lapse(now, facts, through)
        return FaultEvidence(now.targets, not error, facts, error=error)

    async def _lapse(self, now: InForce, facts: dict[str, Any], through: Crossed) -> str:
        """Why the toxics are not believed to act on the links, in words; nothing when they do."""
        wanted = sum(len(toxics) for of in now.toxics.values() for toxics in of.values())
        if (found := facts.get("toxics", wanted)) != wanted:
            return f"the servers have {found} of {wanted} toxics"
        if now.settings["toxicity"] < 1 or self._proxies.replaced != now.replaced:
            return ""  # Some connections are spared.
        if self._proxies.is_shared(now.toxics, self._name):
            return ""  # A toxic that comes or goes lets go of what others hold back.
        if self._shows is Shows.NOTHING_PASSES and _leaking(through):
            # What came before the fault may have gone since: look at what goes now.
            before = await self._proxies.traffic()
            await asyncio.sleep(LEAK_S)
            lately = crossed(before, await self._proxies.traffic(), now.links)
            facts["lately"] = {arrow(link): lately[link] for link in sorted(lately)}
            arrows = listed(map(arrow, _leaking(lately)))
            return f"data passed: {arrows}" if arrows else ""
        if self._shows is Shows.HELD_UP:
            return await self._not_held_up(now, facts)
        return ""

    async def _not_held_up(self, now: InForce, facts: dict[str, Any]) -> str:
        """Where data do not wait though they should, in words."""
        delay_s = (now.settings["delay_ms"] - now.settings["jitter_ms"]) / 1000
        if facts["idle"] or delay_s < DELAY_SEEN_S:
            return ""
        passing = await self._proxies.not_held_up(now.links, delay_s)
        arrows = listed(map(arrow, passing))
        return f"data came and were not held up: {arrows}" if arrows else ""

    async def heal(self) -> FaultEvidence:
        now = self._now
        if now is None:
            return FaultEvidence((), True, {})
        passed = _since(now.traffic, await self._proxies.traffic())
        await self._remove(now)
        left = await self._found(now)
        after = await self._measure(now, is_so=False)
        self._now = None
        past = sum(counts["past"] for counts in passed.values())
        evidence = {
            "toxics": left,
            "after": _facts(after),
            "servers_replaced": dict(self._proxies.replaced - now.replaced),
            "packets": {arrow(link): passed[link] for link in sorted(passed)},
        }
        is_healed = not left and not past and not any(each.is_so for each in after.values())
        return FaultEvidence(now.targets, is_healed, evidence)

    async def release(self) -> None:
        """Take this fault's toxics off every proxy."""
        if self._now is not None:
            await self._remove(self._now)
            self._now = None

    def _toxics(
        self, links: Iterable[Link], settings: Settings
    ) -> dict[str, dict[str, tuple[Toxic, ...]]]:
        """What goes on which proxy of which server."""
        attributes, toxicity = self._attributes(settings), float(settings["toxicity"])
        made: dict[str, dict[str, tuple[Toxic, ...]]] = {}
        for source, destination in links:
            for server, peer, direction in (
                (source, destination, Direction.UPSTREAM),
                (destination, source, Direction.DOWNSTREAM),
            ):
                name = f"{self._name}-{direction}"
                toxic = Toxic(name, self._type, attributes, direction, toxicity)
                of_server = made.setdefault(server, {})
                for proxy in self._proxies.names(server, peer):
                    of_server[proxy] = (*of_server.get(proxy, ()), toxic)
        return made

    async def _put(self, node: str, now: InForce) -> None:
        """The twin has it for certain, whatever the share of connections that are to suffer."""
        whole = tuple(replace(toxic, toxicity=1.0) for toxic in now.ways(node))
        await self._proxies.put(node, self._name, {**now.toxics[node], self._twin: whole})

    async def _remove(self, now: InForce) -> None:
        """Take toxics off all servers, also when one of them fails."""
        ends = await asyncio.gather(
            *(self._proxies.put(node, self._name, {}) for node in now.toxics),
            return_exceptions=True,
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _found(self, now: InForce) -> int:
        """
        How many toxics the servers say they have, as they should be, on proxies of these links.

        What a link's source sends goes upstream through its own proxies, and downstream through
        those of its peer.
        """
        nodes = sorted({node for link in now.links for node in link})
        there = dict(
            zip(nodes, await asyncio.gather(*map(self._proxies.there, nodes)), strict=True)
        )
        attributes, toxicity = self._attributes(now.settings), float(now.settings["toxicity"])
        found = 0
        for source, destination in now.links:
            for server, peer, direction in (
                (source, destination, Direction.UPSTREAM),
                (destination, source, Direction.DOWNSTREAM),
            ):
                for name in self._proxies.names(server, peer):
                    proxy = there[server].get(name)
                    found += any(
                        (toxic.name.startswith(self._name), toxic.direction) == (True, direction)
                        and (toxic.type, dict(toxic.attributes)) == (self._type, attributes)
                        and toxic.toxicity == toxicity
                        for toxic in (proxy.toxics if proxy else ())
                    )
        return found

    async def _measure(self, now: InForce, *, is_so: bool) -> dict[str, Measured]:
        """What each server's twin does, until it is as it should be or the looks are used up."""
        measures = (self._look(node, now, is_so) for node in now.toxics)
        return dict(zip(now.toxics, await asyncio.gather(*measures), strict=True))

    async def _look(self, node: str, now: InForce, is_so: bool) -> Measured:
        connect = partial(self._proxies.connect, node, self._twin)
        seen = Measured(not is_so, {})
        for _ in range(LOOKS):
            try:
                seen = await self._measure_one(connect, now.settings, len(now.ways(node)))
            except OSError as error:
                seen = Measured(not is_so, {"error": str(error)})
                await asyncio.sleep(ERROR_GAP_S)
            if seen.is_so == is_so:
                break
        return seen


def _leaking(through: Crossed) -> list[Link]:
    """The links on which more went out than a few packets that were on their way."""
    return [
        link
        for link, counts in through.items()
        if counts["went"] >= LEAK_PACKETS and counts["went"] > counts["came"] / 2
    ]


def _facts(measured: Mapping[str, Measured]) -> dict[str, Any]:
    return {node: dict(measured[node].facts) for node in sorted(measured)}


def _since(
    before: Mapping[Link, Mapping[str, int]], now: Mapping[Link, Mapping[str, int]]
) -> dict[Link, dict[str, int]]:
    """Packets of each link between two readings."""
    return {
        link: {what: count - before[link].get(what, 0) for what, count in counts.items()}
        for link, counts in now.items()
    }


BYTES_MAX: Final = 100_000_000
"""More than a connection of a run carries would never end one."""

SLICE_BYTES_MAX: Final = 16_384
"""The server passes on what it reads, 32 KiB at most: larger slices would cut nothing."""

_TOXICITY: Final = number(
    "toxicity", "the share of connections that suffer", 0.01, 1.0, default=1.0
)


def _ms(name: str, description: str, least: int, *drawn: int) -> Parameter:
    return number(name, description, least, 60_000, one_of(*drawn))


def _latency(settings: Settings) -> dict[str, int]:
    delay_ms, jitter_ms = settings["delay_ms"], settings["jitter_ms"]
    if jitter_ms >= delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return {"latency": delay_ms, "jitter": jitter_ms}


def _slicer(settings: Settings) -> dict[str, int]:
    size, delay_us = settings["slice_bytes"], round(1000 * settings["delay_ms"])
    return {"average_size": size, "size_variation": size // 4, "delay": delay_us}


def _toxic(
    name: str,
    description: str,
    type_: str,
    attributes: Attributes,
    measure: Measure,
    held: str,
    *parameters: Parameter,
    shows: Shows = Shows.CROSSED,
    simulated: Simulated | None = None,
) -> Fault:
    return Fault(
        name=name,
        description=description,
        targets=LINK_TARGETS,
        parameters=(WAY, *parameters, _TOXICITY),
        heals=Heals.LINKS,
        needs=(HostCommands, Sockets, Need.TOXIPROXY, Offer.PEER_PORTS),
        hosts=Hosts(proxies=True),
        check=attributes,
        prepares=True,
        make=partial(ToxicFault, type_=type_, attributes=attributes, measure=measure, shows=shows),
        held=held,
        healed="the measure says no, and the server lists no toxic",
        simulated=simulated,
    )


FAULTS: Final[tuple[Fault, ...]] = (
    _toxic(
        "latency",
        "delay what nodes send each other, more or less a jitter; order is kept",
        "latency",
        _latency,
        measures.latency,
        "no round trip is faster than the delay",
        _ms("delay_ms", "delay of what is sent", 1, 50, 100, 200, 400),
        _ms("jitter_ms", "the delay varies by this much; must be below it", 0, 0, 0, 5, 10, 20),
        shows=Shows.HELD_UP,
        simulated=impairing(
            lambda at: Impairment(delay_ms=at["delay_ms"], jitter_ms=at["jitter_ms"]),
            DELAYS,
            "no datagram is faster than the delay",
        ),
    ),
    _toxic(
        "bandwidth",
        "let nodes send each other only that much per second, and queue the rest",
        "bandwidth",
        lambda settings: {"rate": settings["rate_kb_s"]},
        measures.bandwidth,
        "throughput is at most 1.5 times the rate",
        number("rate_kb_s", "what a connection passes", 1, 100_000, one_of(10, 50, 200, 1000)),
        simulated=impairing(
            lambda at: Impairment(rate_kb_s=at["rate_kb_s"], queue_ms=QUEUE_MS),
            LIMITS,
            "datagrams wait for each other",
        ),
    ),
    _toxic(
        "slicer",
        "cut what nodes send each other into small pieces, with pauses between them",
        "slicer",
        _slicer,
        measures.slicer,
        "twenty pieces take twenty pauses",
        number(
            "slice_bytes",
            "about the size of a piece",
            1,
            SLICE_BYTES_MAX,
            one_of(16, 64, 256),
        ),
        number("delay_ms", "pause between two pieces", 1.0, 60_000.0, one_of(1, 2, 5)),
    ),
    _toxic(
        "slow-close",
        "pass the end of connections between nodes on later",
        "slow_close",
        lambda settings: {"delay": settings["delay_ms"]},
        measures.slow_close,
        "the end of a connection comes back that much later",
        _ms("delay_ms", "delay of the end", 50, 100, 300, 1000),
    ),
    _toxic(
        "reset",
        "reset connections between nodes as soon as they carry something",
        "reset_peer",
        lambda settings: {"timeout": settings["after_ms"]},
        measures.reset,
        "a reset, or an end, instead of an echo",
        _ms("after_ms", "time from the byte to the reset", 0, 0, 20, 100),
        shows=Shows.NOTHING_PASSES,
    ),
    _toxic(
        "limit",
        "end connections between nodes after a number of bytes",
        "limit_data",
        lambda settings: {"bytes": settings["limit_bytes"]},
        measures.limit,
        "no more bytes come back, then the end",
        number(
            "limit_bytes",
            "what a connection carries",
            0,
            BYTES_MAX,
            one_of(1_000, 10_000, 100_000),
        ),
    ),
    _toxic(
        "timeout",
        "lose what nodes send each other, and end connections that are silent for a while",
        "timeout",
        lambda settings: {"timeout": settings["after_ms"]},
        measures.timeout,
        "nothing comes back but the end",
        _ms("after_ms", "silence after which it ends", 1, 50, 200, 600),
        shows=Shows.NOTHING_PASSES,
    ),
    _toxic(
        "black-hole",
        "lose what nodes send each other on connections that stay open",
        "timeout",
        lambda _: {"timeout": 0},
        measures.black_hole,
        "nothing comes back, and no end",
        shows=Shows.NOTHING_PASSES,
        simulated=impairing(lambda _: Impairment(loss=1.0), BLACK_HOLE, "no datagram arrives"),
    ),
)
