"""
When which fault strikes: a schedule drawn from the seed before the run. Pure.

The run begins quietly, then come episodes of equal length. In each some faults strike at random
times, for a short, middling or long time, and all are healed before the recovery window that ends
it: a system that never has time to recover shows little more than that it is unavailable. Faults
that take nodes down share a budget, which an episode never exceeds, whatever overlaps. A fault
whose steps take long keeps its share in the next episodes, too. A drawn target never needs a node
that another fault has taken down. Around the steps of a steady fault, such as a change of members,
nothing else strikes or heals. Mixed with other faults, those that damage nodes for good always
strike the same one: a cluster that has lost its majority for good would show nothing of the other
faults.

Source: etcd's robustness tests and Jepsen's `nemesis/combined.clj` for the faults; the budget, the
episodes and their windows are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from dissever.harness.cluster.backends import Backend
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

EXTRA_MEAN = 2.0
"""
How many faults on average join those of an episode. With more, links that are slow, cut and reset
at the same time leave no majority in any episode, and the run tests a system that is down.
"""

SCRIPT_DURATION = (0.7, 1.0)
"""A script of several steps needs most of that time."""

SCRIPT_STEPS = (0.0, 0.6, 1.0)
"""When its steps come: at 45 % and 75 % of an episode that would last a third longer."""

STEADY_S = 1.0
"""How long nothing else strikes after a steady fault has struck, or heals before it heals."""

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
    backend: Backend = Backend.NAMESPACES,
) -> tuple[PlannedOp, ...]:
    """
    The operations of all faults, in the order of their offsets; each fault strikes at least once.

    Args:
        faults: Names with or without a spec, such as `kill` and `partition:leader`.
        interval_s: About the length of an episode: a whole number of them fills the time, and there
            are enough for every fault to strike.
        budget: At most this many nodes are down at a time; None: a minority.
        backend: Where the nodes run: some faults have other settings on simulated hosts.

    Raises:
        ValueError: When a fault is unknown, does not fit the nodes or the budget, or when the limit
            is too short for every fault to strike once.
    """
    asked = parse(faults, backend)
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
    spared = _spared(asked, nodes, seed)
    is_wide = frame.active_ns >= (2 * STEADY_S + ACTIVE_S) * 1e9
    ops: list[PlannedOp] = []
    slow: list[tuple[FaultSpec, int, int]] = []
    """Who may still keep a share of the budget, until when, and how much."""

    for episode in range(frame.episodes):
        must = packs[episode] if episode < len(packs) else (rng.choice(asked),)
        start_ns = frame.start_ns(episode)
        kept = sum(
            share for fault, until_ns, share in slow if until_ns > start_ns and fault not in must
        )
        if spared and any(fault.fault.is_steady for fault in must):
            kept += 1
        room = _Room(count, budget, kept, is_wide=is_wide)
        chosen = _chosen(must, asked, room, rng)
        window = (start_ns, frame.active_ns)
        if any(fault.fault.is_steady for fault, _ in chosen) and len(chosen) > 1:
            window = (start_ns + _ns(STEADY_S), frame.active_ns - 2 * _ns(STEADY_S))
        down = sum(share for _, share in chosen)
        for fault, share in chosen:
            is_steady = fault.fault.is_steady and len(chosen) > 1
            within = (start_ns, frame.active_ns) if is_steady else window
            ops += _ops(fault, share, room, down - share, within, rng, is_steady=is_steady)
            if fault.fault.slow_s and share:
                slow.append((fault, ops[-1].offset_ns + _ns(fault.fault.slow_s), share))
    ops = [_sparing(op, spared) for op in ops]
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


@dataclass(frozen=True, slots=True)
class _Room:
    """
    What an episode has room for.

    `kept`: how much of the budget earlier faults may still keep. `is_wide`: other faults fit in
    between the steps of a steady one.
    """

    count: int
    budget: int
    kept: int = 0
    is_wide: bool = True

    def takes(self, fault: FaultSpec, others: Pack) -> bool:
        """Whether a fault can strike in an episode with the others; `kept` is not looked at."""
        if fault.clashes(others):
            return False
        every = (*others, fault)
        steady = sum(each.fault.is_steady for each in every)
        if steady > 1 or (steady and len(every) > 1 and not self.is_wide):
            return False
        down = sum(self.least(each) for each in every)
        if down > self.budget:
            return False
        return all(each.upright(self.count, self.budget, down - self.least(each)) for each in every)

    def least(self, fault: FaultSpec) -> int:
        """How much of the budget a fault takes at least."""
        return fault.least(self.count, self.budget)

    def leaves_upright(self, down: int, faults: Pack) -> bool:
        """Whether each fault that takes no node down has a target while `down` nodes are down."""
        return all(each.upright(self.count, self.budget, down) for each in faults)


def _spared(asked: Sequence[FaultSpec], nodes: Sequence[str], seed: int) -> Mapping[str, str]:
    """Fault -> the only node that it strikes; empty where faults are not mixed."""
    damaging = [fault.name for fault in asked if fault.fault.damages and not fault.targets]
    if len(asked) < 2 or not damaging:
        return {}
    return dict.fromkeys(damaging, Random(f"{seed}/damage").choice(nodes))


def _sparing(op: PlannedOp, spared: Mapping[str, str]) -> PlannedOp:
    """The operation, with the only node that a fault which damages nodes may strike."""
    if op.process not in spared or op.value is None:
        return op
    value = {name: each for name, each in op.value.items() if name != "spec"}
    return msgspec.structs.replace(op, value={"targets": [spared[op.process]], **value})


def _packs(asked: Sequence[FaultSpec], count: int, budget: int) -> list[Pack]:
    """The faults in as few groups as can strike at once, first fit; a steady one is alone."""
    packs: list[Pack] = []
    room = _Room(count, budget, is_wide=False)
    for fault in asked:
        fits = (i for i, pack in enumerate(packs) if room.takes(fault, pack))
        if (i := next(fits, None)) is None:
            packs.append((fault,))
        else:
            packs[i] = (*packs[i], fault)
    return packs


def _chosen(
    must: Pack, asked: Sequence[FaultSpec], room: _Room, rng: Random
) -> list[tuple[FaultSpec, int]]:
    """The faults of an episode, each with its share of the budget."""
    others = [fault for fault in asked if fault not in must]
    rng.shuffle(others)
    chance = min(0.5, EXTRA_MEAN / max(1, len(others)))
    extra = [fault for fault in others if rng.random() < chance]
    chosen: Pack = ()
    left = room.budget
    for fault in (*must, *extra):
        least = room.least(fault)
        is_kept = least and fault not in must and left - least < room.kept
        if least <= left and not is_kept and room.takes(fault, chosen):
            chosen = (*chosen, fault)
            left -= least
    shares = [room.least(fault) for fault in chosen]
    takers = [i for i, fault in enumerate(chosen) if fault.fault.takes_down]
    for _ in range(left - room.kept if takers else 0):
        i = rng.choice(takers)
        if room.leaves_upright(sum(shares) + 1, chosen):
            shares[i] += 1
    return list(zip(chosen, shares, strict=True))


def _ops(
    fault: FaultSpec,
    share: int,
    room: _Room,
    down: int,
    window: tuple[int, int],
    rng: Random,
    *,
    is_steady: bool,
) -> list[PlannedOp]:
    """
    One fault in one episode: its steps, with their times and their targets.

    Args:
        down: How many nodes other faults may have down meanwhile.
        window: When the time in which it may strike begins, and how long it is.
        is_steady: It lasts for the whole window.
    """
    start_ns, active_ns = window
    steps = fault.fault.steps
    is_script = len(steps) > 2
    first_ns, duration_ns = window
    if not is_steady:
        least, most = SCRIPT_DURATION if is_script else rng.choice(DURATIONS)
        duration_ns = int(active_ns * rng.uniform(least, most))
        first_ns = start_ns + rng.randint(0, active_ns - duration_ns)
    value = _value(fault, share, room, down, rng)
    shares = SCRIPT_STEPS if is_script else (0.0, 1.0)
    return [
        PlannedOp(first_ns + int(part * duration_ns), fault.name, f, None if i else value)
        for i, (f, part) in enumerate(zip(steps, shares, strict=True))
    ]


def _value(fault: FaultSpec, share: int, room: _Room, down: int, rng: Random) -> dict[str, Any]:
    """Whom to strike: a spec, how many at most, the seed that settles who; and how."""
    count = room.count
    specs = fault.upright(count, room.budget, down)
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
