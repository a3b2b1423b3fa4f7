"""
Operations of faults that follow what clients did: "once key 3 had 17 answers, and 0.2 s later".

Time says little about a run on a busy machine, and the progress of its clients says more. What was
answered is seen in the events of the run, so waiting for it is for a generator, and needs no look
at the system. An operation that waits in vain comes when its time is up, and then its value says
so: the nemesis that waits for the other triggers reports it as it reports those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator import Generator
from dissever.harness.generator.core import NEVER_NS, PENDING, Answer, Context, Offers, place
from dissever.harness.history import Event, Key, Type

__all__ = ["OPERATIONS", "AnchoredOp", "Operations", "anchored", "anchored_op"]

OPERATIONS: Final = "operations"
"""The trigger that this file waits for."""


class Operations(msgspec.Struct, frozen=True):
    """When a key had so many operations that succeeded, and how long after that. None: any key."""

    key: Key | None
    number: int
    delay_ns: int = 0

    @property
    def moment(self) -> tuple[Key | None, int]:
        """What is waited for."""
        return self.key, self.number


class AnchoredOp(msgspec.Struct, frozen=True):
    """
    An operation of a fault. One with an anchor has `value` and comes from `earliest_ns` on, or it
    is `invocation`, when it has waited in vain.
    """

    invocation: Invocation
    anchor: Operations | None = None
    earliest_ns: int = 0
    value: Any = None


class Lanes(msgspec.Struct, frozen=True):
    """
    Every fault plays its operations in order, each at its time or after its anchor.

    `counts` are the operations that succeeded so far, of the keys that anchors speak of; `reached`
    says when each moment came.
    """

    lanes: tuple[tuple[AnchoredOp, ...], ...]
    counts: Mapping[Key | None, int]
    reached: Mapping[tuple[Key | None, int], int]

    def next(self, context: Context) -> Answer:
        offers, soonest, now = Offers(), NEVER_NS, context.time
        for number, lane in enumerate(self.lanes):
            if not lane:
                continue
            step = self._step(lane[0])
            if step.time > soonest:  # Most of them, most of the time.
                continue
            placed = place(step, context)
            if placed is not PENDING:
                soonest = max(step.time, now)
            offers.add(number, (placed, self))
        offer = offers.soonest(context.rng)
        return offers.otherwise(self) if offer is None else (offer.step, self._after(offer.member))

    def update(self, context: Context, event: Event) -> Generator:
        if not self.counts or event.type is not Type.OK or not event.is_client:
            return self
        counts, reached = dict(self.counts), dict(self.reached)
        for key in {event.key, None}:
            if key in counts:
                counts[key] += 1
                reached.setdefault((key, counts[key]), event.time)
        if counts == self.counts:
            return self
        wanted = {op.anchor.moment for lane in self.lanes for op in lane if op.anchor is not None}
        reached = {moment: time for moment, time in reached.items() if moment in wanted}
        return Lanes(self.lanes, counts, reached)

    def _step(self, op: AnchoredOp) -> Invocation:
        if op.anchor is None or op.anchor.moment not in self.reached:
            return op.invocation
        time = max(self.reached[op.anchor.moment] + op.anchor.delay_ns, op.earliest_ns)
        return msgspec.structs.replace(op.invocation, value=op.value, time=time)

    def _after(self, number: int) -> Lanes:
        lanes = list(self.lanes)
        lanes[number] = lanes[number][1:]
        return Lanes(tuple(lanes), self.counts, self.reached)


def anchored(lanes: Mapping[str, Sequence[AnchoredOp]]) -> Generator:
    """Play the operations of each fault, by its name."""
    anchors = (op.anchor for lane in lanes.values() for op in lane)
    counts = {each.key: 0 for each in anchors if each is not None}
    return Lanes(tuple(map(tuple, lanes.values())), counts, {})


def anchored_op(step: Invocation) -> AnchoredOp:
    """An operation at its planned time, with the anchor that its value speaks of, if it does."""
    value = step.value
    wish = value.get("after") if isinstance(value, Mapping) else None
    if not isinstance(wish, Mapping) or wish.get("event") != OPERATIONS:
        return AnchoredOp(step)
    within_ns = int(float(wish["within_s"]) * 1e9)
    delay_ns = int(float(wish.get("delay_s", 0.0)) * 1e9)
    anchor = Operations(wish.get("key"), int(wish.get("number", 1)), delay_ns)
    rest = {name: each for name, each in value.items() if name != "after"}
    in_vain = {"event": OPERATIONS, "within_s": 0, "waited_ms": within_ns // 1_000_000}
    late = msgspec.structs.replace(
        step, value={**rest, "after": in_vain}, time=step.time + within_ns
    )
    return AnchoredOp(late, anchor, step.time, rest or None)
