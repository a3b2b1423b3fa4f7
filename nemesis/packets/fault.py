"""
Lose, delay, duplicate, damage, reorder or hold up packets between nodes.

Evidence. The kernels list a rule on every link, and count the packets that passed it. A burst over
each link shows the effect: not before the fault, in force it does, and not afterwards. A link that
a partition cuts at that moment carries no burst; its rule still counts.

`netem-*` need the kernel's sch_netem; `packet-loss` is nft's and `packet-rate` is tbf's, which most
kernels have. Values are those of the history: `percent`, `*_ms`, `rate_kb_s` (thousands of bytes
per second).

Source: tc-netem(8), tc-tbf(8), nft(8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from dissever.harness.cluster import HostCommands, Impairment
from dissever.harness.values import listed
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals, Simulated
from dissever.nemesis.needs import Need
from dissever.nemesis.packets.bursts import HEADERS_BYTES, Burst, Bursts, Size
from dissever.nemesis.packets.impaired import (
    CORRUPTION,
    DELAYS,
    DUPLICATES,
    LIMITS,
    LOSSES,
    QUEUE_MS,
    REORDERING,
    impairing,
)
from dissever.nemesis.packets.rules import Packets
from dissever.nemesis.packets.shaping import Means
from dissever.nemesis.parameters import Parameter, Request, Settings, number, one_of
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import Link, arrow, cut_links, merge
from dissever.nemesis.targets import LINK_TARGETS, WAY, Choice

__all__ = ["FAULTS"]

Words: TypeAlias = Callable[[Settings], Sequence[str]]
"""Settings -> the arguments of the queueing discipline for tc, if any; may raise ValueError."""

LOOKS: Final = 5
"""How often to look before a wrong thing counts, which chance or a busy host may show."""


COUNT: Final = 300
SMALL_BYTES: Final = 200
FULL_BYTES: Final = 1400
GAP_US: Final = 200

SHARE_LEAST: Final = 0.4
"""Of `COUNT` datagrams chance may take less than was asked for, or more."""

RATE_MOST: Final = 1.5
PACE_MOST: Final = 3.0
"""A kernel whose timer is late lets two through at a time."""

RATE_TIME_S: Final = 0.4
_TICK_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Measure:
    """
    How a burst shows a fault.

    `shown` is the field of `Burst` that it shows in, and `acts` says whether it is as the settings
    ask. `bytes`: of a datagram.
    """

    shown: str
    acts: Callable[[Settings, Burst], bool]
    bytes: int = SMALL_BYTES

    def size(self, settings: Settings) -> Size:
        """The burst: what shows the fault in half a second or so."""
        if "rate_kb_s" in settings:
            bytes_ = round(1000 * RATE_TIME_S * settings["rate_kb_s"])
            count = min(COUNT, 20 + 2 * bytes_ // (FULL_BYTES + HEADERS_BYTES))
            return Size(count, FULL_BYTES, gap_us=0, settle_s=RATE_TIME_S + 0.2)
        delay_s = (settings.get("delay_ms", 0) + settings.get("jitter_ms", 0)) / 1000
        return Size(COUNT, self.bytes, GAP_US, settle_s=0.1 + delay_s)

    def facts(self, burst: Burst) -> Mapping[str, Any]:
        """What the history keeps of a burst: what it was sent for."""
        return {"sent": burst.sent, self.shown: getattr(burst, self.shown)}


def _is_lossy(settings: Settings, burst: Burst) -> bool:
    return _share(settings) <= burst.lost < burst.sent


def _is_late(settings: Settings, burst: Burst) -> bool:
    least_ms = settings["delay_ms"] - settings["jitter_ms"] - _TICK_MS
    return burst.delay_ms is not None and burst.delay_ms[0] >= least_ms


def _is_limited(settings: Settings, burst: Burst) -> bool:
    if burst.kb_s is None or burst.pace_kb_s is None:
        return False
    rate = float(settings["rate_kb_s"])
    return burst.kb_s <= RATE_MOST * rate and burst.pace_kb_s <= PACE_MOST * rate


def _share(settings: Settings) -> float:
    return SHARE_LEAST * COUNT * float(settings["percent"]) / 100


LOST: Final = Measure("lost", _is_lossy)
LIMITED: Final = Measure("kb_s", _is_limited)
LATE: Final = Measure("delay_ms", _is_late)
DUPLICATED: Final = Measure("duplicated", lambda at, burst: burst.duplicated >= _share(at))
DAMAGED: Final = Measure("damaged", lambda at, burst: burst.damaged >= _share(at), FULL_BYTES)
REORDERED: Final = Measure("reordered", lambda at, burst: burst.reordered >= _share(at))


class PacketFault:
    """Implements `Injector` for one fault of packets. A second injection replaces the first."""

    def __init__(
        self, fault: Fault, site: Environment, *, means: Means, words: Words, measure: Measure
    ) -> None:
        self._name = fault.name
        self._means = means
        self._words = words
        self._measure = measure
        self._aiming = site.aiming
        self._packets: Packets = site.packets
        self._bursts: Bursts = site.bursts
        self._cuts: Cuts = site.cuts
        self._now: tuple[Choice, Settings] | None = None
        """What was asked for; entered before the kernels are asked."""
        self._counted: Mapping[str, int] = {}
        """What the kernels had counted once it was seen to hold: our bursts among it."""

    async def prepare(self) -> bool:
        """Have the helpers on the hosts that measure links."""
        await self._bursts.lay()
        return False

    async def inject(self, request: Request) -> FaultEvidence:
        settings, means = request.settings, self._means
        choice = await self._aiming.links(request)
        await self._bursts.lay()
        await self.release()
        await self._packets.take(self._name)
        before = await self._look(choice.links, settings, is_so=False)
        self._now = choice, settings
        percent = settings.get("percent", 0.0)
        await self._packets.put(means, self._words(settings), percent, choice.links)
        during = await self._look(choice.links, settings, is_so=True)
        counted = self._counted = await self._packets.counters(means, choice.links)
        wrong = self._wrong(before, settings, is_so=False) + self._wrong(
            during, settings, is_so=True
        )
        is_held = (
            bool(choice.links)
            and counted["rules"] == len(choice.links)
            and _is_counted(means, counted)
            and not wrong
        )
        evidence = {
            "links": len(choice.links),
            "counted": dict(counted),
            "before": self._facts(before),
            "during": self._facts(during),
            **choice.facts,
        }
        return FaultEvidence(choice.targets, is_held, evidence, choice.notes)

    async def look_again(self) -> FaultEvidence | None:
        """The rules are there, and a burst shows what they do; what passed before is of nodes."""
        if self._now is None:
            return None
        choice, settings = self._now
        counted = await self._packets.counters(self._means, choice.links)
        during = await self._look(choice.links, settings, is_so=True)
        wrong = [
            link
            for link in self._wrong(during, settings, is_so=True)
            if not await self._is_full(link, during[link], settings)
        ]
        passed = "came" if self._means is Means.NFT else "packets"
        met = counted.get(passed, 0) - self._counted.get(passed, 0)
        gone = len(choice.links) - counted["rules"]
        error = f"{gone} of {len(choice.links)} links have no rule" if gone else ""
        if wrong and not error:
            error = f"bursts do not show it: {listed(map(arrow, wrong))}"
        facts = {"rules": counted["rules"], "met": met, "idle": met <= 0}
        return FaultEvidence(choice.targets, not error, facts, error=error)

    async def _is_full(self, link: Link, burst: Burst, settings: Settings) -> bool:
        """Whether nodes had filled the queue, so that it dropped a burst instead of slowing it."""
        if self._means is not Means.TBF or burst.kb_s is not None:
            return False
        before = await self._packets.counters(self._means, (link,))
        await self._bursts.send((link,), self._measure.size(settings))
        return (await self._packets.counters(self._means, (link,)))["drops"] > before["drops"]

    async def heal(self) -> FaultEvidence:
        if self._now is None:
            return FaultEvidence((), True, {})
        choice, settings = self._now
        counted = await self._packets.counters(self._means, choice.links)
        await self._packets.remove(self._means, choice.links)
        left = (await self._packets.counters(self._means, choice.links))["rules"]
        after = await self._look(choice.links, settings, is_so=False)
        self._now = None
        await self._packets.give_back(self._name)
        evidence = {"rules": left, "counted": dict(counted), "after": self._facts(after)}
        is_healed = not left and not self._wrong(after, settings, is_so=False)
        return FaultEvidence(choice.targets, is_healed, evidence)

    async def release(self) -> None:
        """Take this fault's rules off every host."""
        if self._now is not None:
            await self._packets.remove(self._means, self._now[0].links)
            self._now = None
        await self._packets.give_back(self._name)

    async def _look(
        self, links: Sequence[Link], settings: Settings, *, is_so: bool
    ) -> dict[Link, Burst]:
        """
        What bursts show of the links that nobody cuts, again over those that show the wrong thing.

        The first goes over all of them, so that what a cut hides is counted.
        """
        seen: dict[Link, Burst] = {}
        suspects = list(links)
        for _ in range(LOOKS):
            cut = self._cut()
            seen.update(await self._bursts.send(suspects, self._measure.size(settings)))
            cut |= self._cut()  # By then, too.
            seen = {link: burst for link, burst in seen.items() if link not in cut}
            suspects = [
                link for link in self._wrong(seen, settings, is_so=is_so) if link in suspects
            ]
            if not suspects:
                break
        return seen

    def _wrong(self, seen: Mapping[Link, Burst], settings: Settings, *, is_so: bool) -> list[Link]:
        return [link for link in seen if self._measure.acts(settings, seen[link]) != is_so]

    def _facts(self, seen: Mapping[Link, Burst]) -> dict[str, Any]:
        return {arrow(link): self._measure.facts(seen[link]) for link in sorted(seen)}

    def _cut(self) -> frozenset[Link]:
        return cut_links(merge(self._cuts.in_force.values()))


def _is_counted(means: Means, counted: Mapping[str, int]) -> bool:
    """Whether packets went by the rules, and those that lose some lost some."""
    if means is Means.NFT:
        return counted["lost"] > 0
    return counted["packets"] > 0 and (means is not Means.TBF or counted["overlimits"] > 0)


PERCENT_MAX: Final = 90.0
"""A fault that lets nothing pass at all is a partition."""

TBF_LATENCY_MS: Final = 400
"""A packet that would wait for longer is dropped."""

BURST_BYTES_LEAST: Final = 5_000
TICKS_PER_S: Final = 50
"""A 50th of the rate is let through at once, so that a kernel's timer can keep the rate up."""

_NEEDS: Final[Mapping[Means, Need]] = {
    Means.NFT: Need.LOSS,
    Means.TBF: Need.TBF,
    Means.NETEM: Need.NETEM,
}


_RATE: Final = number("rate_kb_s", "what a link passes", 1.0, 100_000.0, one_of(20, 50, 200, 500))


def _percent(*drawn: int) -> Parameter:
    return number("percent", "share of packets", 1.0, PERCENT_MAX, one_of(*drawn))


def _ms(name: str, description: str, least: float, *drawn: int) -> Parameter:
    return number(name, description, least, 10_000.0, one_of(*drawn))


def _delay(settings: Settings) -> Sequence[str]:
    delay_ms, jitter_ms = settings["delay_ms"], settings["jitter_ms"]
    if jitter_ms >= delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return ("delay", f"{delay_ms}ms", *([f"{jitter_ms}ms"] if jitter_ms else []))


def _bursts_of_loss(settings: Settings) -> Sequence[str]:
    """Gilbert's model: in its bad state all is lost; `burst_packets` is its mean length."""
    share = settings["percent"] / 100
    leave = 1 / settings["burst_packets"]
    enter = min(1.0, leave * share / (1 - share))
    return ("loss", "gemodel", f"{100 * enter:.4f}%", f"{100 * leave:.4f}%")


def _reorder(settings: Settings) -> Sequence[str]:
    """That share overtakes the others, which wait."""
    return ("delay", f"{settings['delay_ms']}ms", "reorder", f"{settings['percent']}%")


def _netem_rate(settings: Settings) -> Sequence[str]:
    return ("rate", f"{round(8000 * settings['rate_kb_s'])}bit")


def _tbf(settings: Settings) -> Sequence[str]:
    rate = round(1000 * settings["rate_kb_s"])
    burst = max(BURST_BYTES_LEAST, rate // TICKS_PER_S)
    return ("rate", f"{8 * rate}bit", "burst", str(burst), "latency", f"{TBF_LATENCY_MS}ms")


def _packet(
    name: str,
    description: str,
    means: Means,
    words: Words,
    measure: Measure,
    held: str,
    *parameters: Parameter,
    simulated: Simulated,
) -> Fault:
    return Fault(
        name=name,
        description=description,
        targets=LINK_TARGETS,
        parameters=(WAY, *parameters),
        heals=Heals.LINKS,
        group="packets",
        needs=(HostCommands, _NEEDS[means]),
        check=words,
        prepares=True,
        make=partial(PacketFault, means=means, words=words, measure=measure),
        held=held,
        healed="a burst says no, and no rule is left",
        simulated=simulated,
    )


def _rate(settings: Settings) -> Impairment:
    return Impairment(rate_kb_s=settings["rate_kb_s"], queue_ms=TBF_LATENCY_MS)


FAULTS: Final[tuple[Fault, ...]] = (
    _packet(
        "packet-loss",
        "lose a share of what nodes send each other",
        Means.NFT,
        lambda _: (),
        LOST,
        "about that share of datagrams is lost; the rule counts what came and what was lost",
        _percent(5, 10, 20, 40),
        simulated=impairing(
            lambda at: Impairment(loss=at["percent"] / 100), LOSSES, "some datagrams are lost"
        ),
    ),
    _packet(
        "packet-rate",
        "let a node send each peer only that much per second, and drop what would wait over 0.4 s",
        Means.TBF,
        _tbf,
        LIMITED,
        "throughput is at most 1.5 times the rate; the queue counts what it held back",
        _RATE,
        simulated=impairing(_rate, LIMITS, "datagrams wait for each other, or are lost"),
    ),
    _packet(
        "netem-delay",
        "delay packets, more or less a jitter that may reorder them",
        Means.NETEM,
        _delay,
        LATE,
        "none is faster than the delay",
        _ms("delay_ms", "delay of a packet", 1.0, 25, 50, 100, 200),
        _ms("jitter_ms", "the delay varies by this much; must be below it", 0.0, 0, 5, 20),
        simulated=impairing(
            lambda at: Impairment(delay_ms=at["delay_ms"], jitter_ms=at["jitter_ms"]),
            DELAYS,
            "no datagram is faster than the delay",
        ),
    ),
    _packet(
        "netem-loss",
        "lose packets in bursts, by Gilbert's model",
        Means.NETEM,
        _bursts_of_loss,
        LOST,
        "about that share of datagrams is lost",
        _percent(5, 10, 20),
        number("burst_packets", "mean length of a burst", 1.0, 100.0, one_of(2, 5, 10)),
        simulated=impairing(
            lambda at: Impairment(loss=at["percent"] / 100, burst_packets=at["burst_packets"]),
            LOSSES,
            "some datagrams are lost",
        ),
    ),
    _packet(
        "netem-duplicate",
        "let a share of packets arrive twice",
        Means.NETEM,
        lambda settings: ("duplicate", f"{settings['percent']}%"),
        DUPLICATED,
        "about that share comes twice",
        _percent(5, 20, 50),
        simulated=impairing(
            lambda at: Impairment(duplicate=at["percent"] / 100),
            DUPLICATES,
            "some datagrams arrive twice",
        ),
    ),
    _packet(
        "netem-corrupt",
        "flip a bit in a share of packets",
        Means.NETEM,
        lambda settings: ("corrupt", f"{settings['percent']}%"),
        DAMAGED,
        "about that share arrives damaged",
        _percent(2, 5, 20),
        simulated=impairing(
            lambda at: Impairment(corrupt=at["percent"] / 100),
            CORRUPTION,
            "some datagrams do not arrive whole",
        ),
    ),
    _packet(
        "netem-reorder",
        "let a share of packets overtake those before them, which wait",
        Means.NETEM,
        _reorder,
        REORDERED,
        "about that share arrives after a later one",
        _percent(10, 25, 50),
        _ms("delay_ms", "delay of those that wait", 1.0, 10, 20, 50),
        simulated=impairing(
            lambda at: Impairment(reorder=1 - at["percent"] / 100, reorder_ms=at["delay_ms"]),
            REORDERING,
            "some datagrams wait, others do not",
        ),
    ),
    _packet(
        "netem-rate",
        "let a node send its peers only that much per second, and queue the rest",
        Means.NETEM,
        _netem_rate,
        LIMITED,
        "throughput is at most 1.5 times the rate",
        _RATE,
        simulated=impairing(
            lambda at: Impairment(rate_kb_s=at["rate_kb_s"], queue_ms=QUEUE_MS),
            LIMITS,
            "datagrams wait for each other",
        ),
    ),
)
