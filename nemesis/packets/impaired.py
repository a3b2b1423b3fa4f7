"""
What happens to packets between simulated hosts, which have no kernel with rules of its own.

Evidence. The network lists the links that are impaired, and counts what went over each. Datagrams
of ours over these links show the effect, which they did not show before, and do not afterwards.
Chance is judged over all links together, so that few datagrams are enough. A link that a partition
cuts at that moment carries none; it must still be listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import msgspec

from dissever.harness.cluster import PROBE_BYTES, Impairment, Impairments, Traffic
from dissever.harness.values import listed
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Simulated
from dissever.nemesis.parameters import Request, Settings
from dissever.nemesis.partitions.grudges import Link, arrow, cut_links, merge
from dissever.nemesis.targets import Choice

__all__ = [
    "BLACK_HOLE",
    "CORRUPTION",
    "DELAYS",
    "DUPLICATES",
    "LIMITS",
    "LOSSES",
    "QUEUE_MS",
    "REORDERING",
    "Sample",
    "Sign",
    "impairing",
]

LOOKS: Final = 10
"""How often to send datagrams before it counts that they do not show what they should."""

EXPECTED: Final = 6.0
"""So many datagrams of a look are expected to be struck: one in four hundred looks shows none."""

SETTLE_S: Final = 0.3
QUEUE_MOST_S: Final = 2.0
"""A datagram that waits for longer in a queue shows the queue."""

RATE_COUNT: Final = 10
"""Datagrams over each link that show its rate."""


QUEUE_MS: Final = 60_000.0
"""What waits for a slow link waits this long, where nothing is to be lost."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Datagrams over several links. `delays_ms`: of each copy that arrived."""

    sent: int
    delays_ms: tuple[float, ...]

    @property
    def lost(self) -> int:
        """How many more were sent than arrived."""
        return self.sent - len(self.delays_ms)

    def as_json(self) -> dict[str, Any]:
        """What the history keeps."""
        shown: dict[str, Any] = {"sent": self.sent, "arrived": len(self.delays_ms)}
        if self.delays_ms:
            ends = min(self.delays_ms), max(self.delays_ms)
            shown["delay_ms"] = [round(end, 2) for end in ends]
        return shown


@dataclass(frozen=True, slots=True)
class Sign:
    """
    How an impairment shows: what is seen of datagrams, and what the network counts.

    `counter`: of `Traffic`. `count`: how many datagrams are enough, of all links together and of
    each link.
    """

    counter: str
    shows: Callable[[Impairment, Sample], bool]
    count: Callable[[Impairment], tuple[int, int]] = lambda _: (RATE_COUNT, 1)


def _enough(how: Impairment) -> tuple[int, int]:
    """Datagrams of which some are struck most likely."""
    share = max(how.loss, how.duplicate, how.corrupt, min(how.reorder, 1 - how.reorder))
    return math.ceil(EXPECTED * how.burst_packets / share), 1


def _is_slow(how: Impairment, sample: Sample) -> bool:
    """The last one waited for those before it, or the queue had no room."""
    least_ms = (RATE_COUNT - 1) * PROBE_BYTES / how.rate_kb_s
    return sample.lost > 0 or max(sample.delays_ms) >= least_ms


def _is_late(how: Impairment, sample: Sample) -> bool:
    return bool(sample.delays_ms) and min(sample.delays_ms) >= how.delay_ms - how.jitter_ms


def _is_mixed(how: Impairment, sample: Sample) -> bool:
    """Some wait, others overtake them."""
    delays_ms = sample.delays_ms
    return bool(delays_ms) and max(delays_ms) - min(delays_ms) >= how.reorder_ms


LOSSES: Final = Sign("lost", lambda _, sample: sample.lost > 0, _enough)
BLACK_HOLE: Final = Sign("lost", lambda _, sample: not sample.delays_ms)
CORRUPTION: Final = Sign("corrupted", lambda _, sample: sample.lost > 0, _enough)
DUPLICATES: Final = Sign("duplicated", lambda _, sample: sample.lost < 0, _enough)
REORDERING: Final = Sign("reordered", _is_mixed, _enough)
DELAYS: Final = Sign("delayed", _is_late)
LIMITS: Final = Sign("sent", _is_slow, lambda _: (RATE_COUNT, RATE_COUNT))


@dataclass(frozen=True, slots=True)
class _InForce:
    """What was asked for, and what datagrams showed before; entered before the network is asked."""

    choice: Choice
    links: tuple[Link, ...]
    how: Impairment
    before: Sample
    sent: int = 0
    """What had gone over all links once it was seen to hold: ours among it."""


class ImpairedLinks:
    """Implements `Injector` for one fault of packets. A second injection replaces the first."""

    def __init__(
        self,
        fault: Fault,
        site: Environment,
        *,
        impairment: Callable[[Settings], Impairment],
        sign: Sign,
    ) -> None:
        self._name = fault.name
        self._impairment = impairment
        self._sign = sign
        self._cluster: AbleCluster = site.cluster
        self._aiming = site.aiming
        self._turn = site.packets
        self._cuts = site.cuts
        self._now: _InForce | None = None

    async def inject(self, request: Request) -> FaultEvidence:
        choice, how = await self._aiming.links(request), self._impairment(request.settings)
        toxicity = request.settings.get("toxicity", 1.0)
        links = [link for link in choice.links if request.rng.random() < toxicity]
        links = links or list(choice.links[:1])
        await self.release()
        await self._turn.take(self._name)
        before = await self._look(links, how, is_so=False)
        self._now = _InForce(choice, tuple(links), how, before)
        await self._cluster.impair(dict.fromkeys(links, how))
        during = await self._look(links, how, is_so=True)
        traffic = await self._cluster.traffic()
        counted = _total(traffic, links)
        self._now = replace(self._now, sent=counted.sent)
        wrong = self._wrong(traffic, during, counted)
        facts = {
            "links": len(links),
            "counted": msgspec.structs.asdict(counted),
            "before": before.as_json(),
            "during": during.as_json(),
            **choice.facts,
        }
        return FaultEvidence(choice.targets, bool(links) and not wrong, facts, choice.notes, wrong)

    async def look_again(self) -> FaultEvidence | None:
        """The links are listed, and datagrams show it; what went before is of nodes."""
        now = self._now
        if now is None:
            return None
        counted = _total(await self._cluster.traffic(), now.links)
        during = await self._look(now.links, now.how, is_so=True)
        traffic = await self._cluster.traffic()
        error = self._wrong(traffic, during, _total(traffic, now.links))
        met = counted.sent - now.sent
        facts = {"counted": msgspec.structs.asdict(counted), "met": met, "idle": met <= 0}
        return FaultEvidence(now.choice.targets, not error, facts, error=error)

    async def heal(self) -> FaultEvidence:
        now = self._now
        if now is None:
            return FaultEvidence((), True, {})
        counted = _total(await self._cluster.traffic(), now.links)
        await self._cluster.impair({})
        left = sorted(await self._cluster.traffic())
        after = await self._look(now.links, now.how, is_so=False, before=now.before)
        self._now = None
        await self._turn.give_back(self._name)
        facts = {
            "counted": msgspec.structs.asdict(counted),
            "left": list(map(arrow, left)),
            "after": after.as_json(),
        }
        is_healed = not left and not self._is_new(now.how, after, now.before)
        return FaultEvidence(now.choice.targets, is_healed, facts)

    async def release(self) -> None:
        """Take it off every link."""
        if self._now is not None:
            await self._cluster.impair({})
            self._now = None
        await self._turn.give_back(self._name)

    def _wrong(self, traffic: Mapping[Link, Traffic], during: Sample, counted: Traffic) -> str:
        """Why it is not believed to be in force, in words; empty when it is."""
        now = self._now
        assert now is not None
        if unlisted := [link for link in now.links if link not in traffic]:
            return f"not impaired: {listed(map(arrow, unlisted))}"
        if not during.sent:
            return ""  # All of them are cut.
        if not getattr(counted, self._sign.counter):
            return f"of {counted.sent} packets none counts as {self._sign.counter}"
        return "" if self._sign.shows(now.how, during) else "datagrams do not show it"

    def _is_new(self, how: Impairment, sample: Sample, before: Sample) -> bool:
        """Whether datagrams show it that did not show it before."""
        return self._shows(how, sample) and not self._shows(how, before)

    def _shows(self, how: Impairment, sample: Sample) -> bool:
        return sample.sent > 0 and self._sign.shows(how, sample)

    async def _look(
        self, links: Sequence[Link], how: Impairment, *, is_so: bool, before: Sample | None = None
    ) -> Sample:
        """
        What datagrams show of the links that nobody cuts, until that is what it should be.

        What should show adds up over all looks. For what should not, one look is enough.
        """
        in_all, of_each = self._sign.count(how)
        wait_s = SETTLE_S + (how.delay_ms + how.jitter_ms + how.reorder_ms) / 1000
        wait_s += min(QUEUE_MOST_S, how.queue_ms / 1000) if how.rate_kb_s else 0.0
        seen = Sample(0, ())
        for _ in range(LOOKS):
            cut = cut_links(merge(self._cuts.in_force.values()))
            open_ = [link for link in links if link not in cut]
            if not open_:
                return Sample(0, ())
            count = max(of_each, math.ceil(in_all / len(open_)))
            arrived = await self._cluster.probe(open_, count, wait_s)
            if cut != cut_links(merge(self._cuts.in_force.values())):
                continue  # What was cut meanwhile would look lost.
            delays_ms = tuple(ms for link in open_ for ms in arrived[link])
            fresh = Sample(count * len(open_), delays_ms)
            seen = Sample(seen.sent + fresh.sent, (*seen.delays_ms, *delays_ms)) if is_so else fresh
            if is_so and self._shows(how, seen):
                break
            if not is_so and not self._is_new(how, fresh, before or Sample(0, ())):
                break
        return seen


def _total(traffic: Mapping[Link, Traffic], links: Sequence[Link]) -> Traffic:
    """What went over these links together."""
    each = [msgspec.structs.asdict(traffic[link]) for link in links if link in traffic]
    return Traffic(**{name: sum(one[name] for one in each) for name in Traffic.__struct_fields__})


def impairing(impairment: Callable[[Settings], Impairment], sign: Sign, held: str) -> Simulated:
    """How a fault of packets strikes simulated hosts."""
    return Simulated(
        needs=(Impairments,),
        group="packets",
        make=partial(ImpairedLinks, impairment=impairment, sign=sign),
        held=f"{held}; the network counts them",
        healed="datagrams say no, and no link is listed",
    )
