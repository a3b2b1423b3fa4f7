"""
What was put into a container and taken out of it, where each value was put in once.

A crashed put may be moved to just before its take, and is dropped without one: taking a value that
nobody took out of a linearization leaves every answer right. A crashed take may have taken
anything: then no monitor applies.

Source: Bouajjani, Emmi, Enea, Hamza, "On reducing linearizability to state reachability" (2015).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from dissever.checkers.calls import NEVER, Call
from dissever.checkers.monitors.finding import Invalid

WITNESSES_MAX: Final = 200
"""Values in the part of a history that is given as a proof."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value: its put, and its take if there was one; NEVER stands for what did not come."""

    value: Hashable
    put: Call
    take: Call | None

    @property
    def calls(self) -> tuple[Call, ...]:
        """Its one or two calls."""
        return (self.put,) if self.take is None else (self.put, self.take)

    @property
    def in_at(self) -> int:
        """The position from which on it is surely in, unless it was taken already."""
        return self.put.ret if self.take is None else min(self.put.ret, self.take.ret)

    @property
    def in_until(self) -> int:
        """The position until which it is surely in."""
        return NEVER if self.take is None else max(self.take.inv, self.put.inv)

    @property
    def out_at(self) -> int:
        """The position from which on it is surely out."""
        return NEVER if self.take is None else self.take.ret


def gather(
    calls: Sequence[Call], put: str, take: str
) -> tuple[tuple[Item, ...], tuple[Call, ...]] | None:
    """
    The items by invocation of their put, and the takes that found nothing.

    None where this does not apply: a value that was put twice, a take that crashed.

    Raises:
        Invalid: When a value was taken that nobody put, before it was put, or twice.
    """
    puts: dict[Hashable, Call] = {}
    takes: dict[Hashable, Call] = {}
    empties = []
    again: list[Call] = []
    for call in calls:
        if call.f == put:
            if call.value_in in puts or call.value_in is None:
                return None
            puts[call.value_in] = call
        elif call.f != take or call.is_crashed:
            return None
        elif call.value_out is None:
            empties.append(call)
        elif takes.setdefault(call.value_out, call) is not call:
            again.append(call)
    for call in again:
        conflict = (takes[call.value_out], call)
        reason = "that value had been put in once and was taken already"
        whole = (puts[call.value_out],) if call.value_out in puts else ()
        raise Invalid("duplicate-delivery", "VRepet", reason, conflict, whole)
    for value, call in takes.items():
        if value not in puts:
            reason = "nobody ever asked to put that value in"
            raise Invalid("phantom", "VFresh", reason, (call,))
        if call.ret < puts[value].inv:
            reason = "that value was first asked to be put in later"
            raise Invalid("future-read", "VFresh", reason, (puts[value], call))
    items = [Item(value, call, takes.get(value)) for value, call in puts.items()]
    kept = tuple(item for item in items if item.take is not None or not item.put.is_crashed)
    return kept, tuple(empties)


Cover: TypeAlias = tuple[float, float]
"""A time, ends excluded, in which a container is surely not empty."""


def union(covers: Sequence[Cover]) -> list[Cover]:
    """The connected parts of some covers, in order of time."""
    joined: list[Cover] = []
    for start, end in sorted(covers):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def chain(items: Sequence[Item], start: int, end: int) -> tuple[Item, ...]:
    """As few items as possible that together are surely in from before `start` to after `end`."""
    ahead = sorted(items, key=lambda item: item.in_at)
    found: list[Item] = []
    reached, place = start, 0
    while reached <= end:
        best: Item | None = None
        while place < len(ahead) and ahead[place].in_at < reached:
            if best is None or ahead[place].in_until > best.in_until:
                best = ahead[place]
            place += 1
        assert best is not None, "the cover has no gap"
        found.append(best)
        reached = best.in_until
    return tuple(found)


def check_empties(items: Sequence[Item], empties: Sequence[Call]) -> dict[int, float]:
    """
    The position just after which each take that found nothing can stand, by its invocation.

    Raises:
        Invalid: VWit: the container was surely not empty during one of them.
    """
    covers = [(item.in_at, item.in_until) for item in items if item.in_at < item.in_until]
    free: dict[int, float] = {}
    joined = union(covers)
    place = 0
    for call in sorted(empties, key=lambda each: each.inv):
        while place < len(joined) and joined[place][1] < call.inv:
            place += 1
        is_covered = place < len(joined) and joined[place][0] < call.inv
        free[call.inv] = joined[place][1] if is_covered else call.inv
        if free[call.inv] > call.ret:
            inside = chain(items, call.inv, call.ret)
            every = [each for item in inside for each in item.calls]
            shown = every if len(inside) <= 2 else [*inside[0].calls, *inside[-1].calls]
            names = "a value was" if len(inside) == 1 else f"one of {len(inside)} values was always"
            reason = f"{names} surely there, put in before and taken later or never"
            part = every if len(inside) <= WITNESSES_MAX else []
            raise Invalid("false-empty", "VWit", reason, (*shown, call), part)
    return free
