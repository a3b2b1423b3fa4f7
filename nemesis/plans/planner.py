"""
When which fault strikes: a schedule drawn from the seed before the run. Pure.

The run begins quietly, then come episodes of equal length. In each some faults strike at random
times, for a short, middling or long time, and all are healed before the recovery window that ends
it: a system that never has time to recover shows little more than that it is unavailable. Faults
that take nodes down share a budget, which an episode never exceeds, whatever overlaps.

Source: etcd's robustness tests and Jepsen's `nemesis/combined.clj` for the faults; the budget, the
episodes and their windows are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from dissever.nemesis.fault import FaultSpec, down_least
from dissever.nemesis.faults import parse
from dissever.nemesis.plans.schedule import PlannedOp
from dissever.nemesis.targets import TargetSpec, minority_size, target_count

__all__ = ["Timing", "plan", "timing"]

QUIET_S = 2.0
QUIET_SHARE = 0.1
RECOVERY_S = 1.5
RECOVERY_SHARE = 0.35
ACTIVE_S = 1.0
EPISODE_S = RECOVERY_S + ACTIVE_S
"""No episode is shorter: below, evidence alone takes longer than the fault."""

DURATIONS = ((0.1, 0.2), (0.3, 0.55), (0.6, 1.0))
"""Short, middling, long: shares of the time in which faults may strike, least and most."""

SCRIPT_DURATION = (0.7, 1.0)
"""A script of several steps needs most of that time."""

SCRIPT_STEPS = (0.0, 0.6, 1.0)
"""When its steps come: at 45 % and 75 % of an episode that would last a third longer."""

Pack = tuple[FaultSpec, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """The frame of a plan, in ns: faults strike in the first `active_ns` of each episode."""

    quiet_ns: int
    episode_ns: int
    recovery_ns: int
    episodes: int

    @property
    def active_ns(self) -> int:
        """How long faults may strike in an episode."""
        return self.episode_ns - self.recovery_ns

    def start_ns(self, episode: int) -> int:
        """When an episode begins, counted from 0."""
        return self.quiet_ns + episode * self.episode_ns


def plan(
    faults: Sequence[str],
    *,
    nodes: Sequence[str],
    seed: int,
    interval_s: float,
    time_limit_s: float,
    budget: int | None = None,
) -> tuple[PlannedOp, ...]:
    """
    The operations of all faults, in the order of their offsets; each fault strikes at least once.

    Args:
        faults: Names with or without a spec, such as `kill` and `partition:leader`.
        interval_s: About the length of an episode: a whole number of them fills the time, and there
            are enough for every fault to strike.
        budget: At most this many nodes are down at a time; None: a minority.

    Raises:
        ValueError: When a fault is unknown, does not fit the nodes or the budget, or when the limit
            is too short for every fault to strike once.
    """
    asked = parse(faults)
    if not asked:
        return ()
    rng = Random(f"{seed}/faults")
    count = len(nodes)
    budget = minority_size(count) if budget is None else budget
    packs = _packs(asked, count, budget)
    frame = timing(interval_s=interval_s, time_limit_s=time_limit_s, rounds=len(packs))
    if frame.episodes >= len(asked):
        packs = [(fault,) for fault in asked]
    rng.shuffle(packs)
    ops: list[PlannedOp] = []
    for episode in range(frame.episodes):
        must = packs[episode] if episode < len(packs) else (rng.choice(asked),)
        chosen = _chosen(must, asked, count, budget, rng)
        start_ns = frame.start_ns(episode)
        for fault, share in chosen:
            ops += _ops(fault, share, count, budget, start_ns, frame.active_ns, rng)
    return tuple(sorted(ops, key=lambda op: (op.offset_ns, op.process)))


def timing(*, interval_s: float, time_limit_s: float, rounds: int) -> Timing:
    """
    The frame of a plan with equal episodes that fill the time: at least `rounds` of them.

    Raises:
        ValueError: When the limit is too short for them.
    """
    quiet_s = min(QUIET_S, QUIET_SHARE * time_limit_s)
    room_s = time_limit_s - quiet_s
    most = int(room_s / EPISODE_S + 1e-9)
    episodes = max(rounds, min(most, round(room_s / interval_s)))
    if episodes > most:
        need_s = rounds * EPISODE_S
        least_s = min(need_s / (1 - QUIET_SHARE), need_s + QUIET_S)
        raise ValueError(
            f"expected a time limit of at least {least_s:.1f} s, so that every fault strikes once,"
            f" got {time_limit_s:g} s"
        )
    episode_s = room_s / episodes
    recovery_s = max(RECOVERY_S, RECOVERY_SHARE * episode_s)
    return Timing(_ns(quiet_s), _ns(episode_s), _ns(recovery_s), episodes)


def _packs(asked: Sequence[FaultSpec], count: int, budget: int) -> list[Pack]:
    """The faults in as few groups as the budget allows to strike at once, first fit."""
    packs: list[list[FaultSpec]] = []
    for fault in asked:
        least = fault.least(count, budget)
        for pack in packs:
            if fault.clashes(pack):
                continue
            if sum(other.least(count, budget) for other in pack) + least <= budget or not least:
                pack.append(fault)
                break
        else:
            packs.append([fault])
    return [tuple(pack) for pack in packs]


def _chosen(
    must: Pack, asked: Sequence[FaultSpec], count: int, budget: int, rng: Random
) -> list[tuple[FaultSpec, int]]:
    """The faults of an episode, each with its share of the budget."""
    others = [fault for fault in asked if fault not in must]
    rng.shuffle(others)
    extra = [fault for fault in others if rng.random() < 0.5]
    chosen: list[tuple[FaultSpec, int]] = []
    left = budget
    for fault in (*must, *extra):
        least = fault.least(count, budget)
        if least <= left and not fault.clashes(other for other, _ in chosen):
            chosen.append((fault, least))
            left -= least
    takers = [i for i, (fault, _) in enumerate(chosen) if fault.fault.takes_down]
    for _ in range(left if takers else 0):
        i = rng.choice(takers)
        chosen[i] = (chosen[i][0], chosen[i][1] + 1)
    return chosen


def _ops(
    fault: FaultSpec,
    share: int,
    count: int,
    budget: int,
    start_ns: int,
    active_ns: int,
    rng: Random,
) -> list[PlannedOp]:
    """One fault in one episode: its steps, with their times and their targets."""
    steps = fault.fault.steps
    is_script = len(steps) > 2
    least, most = SCRIPT_DURATION if is_script else rng.choice(DURATIONS)
    duration_ns = int(active_ns * rng.uniform(least, most))
    first_ns = start_ns + rng.randint(0, active_ns - duration_ns)
    value = _value(fault, share, count, budget, rng)
    shares = SCRIPT_STEPS if is_script else (0.0, 1.0)
    return [
        PlannedOp(first_ns + int(part * duration_ns), fault.name, f, None if i else value)
        for i, (f, part) in enumerate(zip(steps, shares, strict=True))
    ]


def _value(fault: FaultSpec, share: int, count: int, budget: int, rng: Random) -> dict[str, Any]:
    """Whom to strike: a spec, how many at most, the seed that settles who; and how."""
    specs = fault.fitting(count, budget)
    seed = rng.getrandbits(32)
    drawn = fault.fault.draw(rng)
    if not fault.fault.takes_down:
        return {"spec": rng.choice(specs), "seed": seed, **drawn}
    spec = rng.choice([spec for spec in specs if down_least(spec, count) <= share])
    target = TargetSpec(spec)
    most = 1 if target is TargetSpec.LEADER else target_count(target, count)
    return {"spec": spec, "count": min(most, share), "seed": seed, **drawn}


def _ns(duration_s: float) -> int:
    return int(duration_s * 1e9)
