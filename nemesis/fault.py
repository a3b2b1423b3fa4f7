"""
The record of a fault: everything that is known of it before it strikes.

A fault is one file, with its record and the injector that carries it out. The planner, the reader
of plans, `doctor`, the dispatcher and the documentation take what they need from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dissever.harness.cluster import PLAIN, Hosts
from dissever.harness.cluster.backends import Backend
from dissever.harness.episodes import Action, Effect, Role
from dissever.harness.missing import Missing
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.needs import Need, Offer, lacking, missing
from dissever.nemesis.parameters import Parameter, Request, Settings
from dissever.nemesis.targets import (
    BY_LEADERSHIP,
    NODE_TARGETS,
    TargetSpec,
    majority_size,
    minority_size,
    target_count,
)

if TYPE_CHECKING:  # What makes a nemesis is not known where a plan is drawn.
    from dissever.nemesis.environment import Environment

__all__ = [
    "Fault",
    "FaultSpec",
    "Heals",
    "Injector",
    "Simulated",
    "Steps",
    "down_least",
    "steps",
    "struck_most",
]

Steps: TypeAlias = Mapping[str, Action]

_ONLY_IF_NAMED = frozenset({TargetSpec.VOTERS.value, TargetSpec.STAND_BYS.value})


class Heals(IntEnum):
    """When a fault heals at the end of a run: no healing may wait for what heals later."""

    CLIENTS = 0
    RESUME = 1
    LINKS = 2
    CLOCKS = 3
    DISKS = 4
    RESOURCES = 5
    START = 6
    MEMBERS = 7


class Injector(Protocol):
    """
    Carries out a fault on the cluster it was made for, and measures what comes of it.

    One with a `CONTINUE` step has a method `go_on` as well. One whose record says `prepares` has
    `prepare`, as `harness.client.Prepares` says.
    """

    async def inject(self, request: Request) -> FaultEvidence:
        """Strike. May raise OSError, or ValueError for what makes no sense on this cluster."""
        ...

    async def look_again(self) -> FaultEvidence | None:
        """
        Look whether what was injected is still in force; called just before `heal`.

        None when nothing is in force, or when the fault leaves nothing that could end by itself.
        `is_so` says whether it is, None that nobody can say; `error` says why it is not. A fact
        `idle` says that nothing met the fault since it was injected.
        """
        ...

    async def heal(self) -> FaultEvidence:
        """Heal whatever is in force, and look whether it did."""
        ...

    async def release(self) -> None:
        """Heal in a teardown: look at nothing. Idempotent; called whatever failed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """
    How a fault strikes simulated hosts, where that is otherwise than on real ones.

    The fields are those of `Fault`. `parameters` None: the same ones.
    """

    needs: tuple[type | Need | Offer, ...]
    make: Callable[[Fault, Environment], Injector]
    held: str
    healed: str
    parameters: tuple[Parameter, ...] | None = None
    group: str | None = None
    takes_down: bool | None = None
    check: Callable[[Settings], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    What is known of a fault.

    `description` completes "it can …". `actions`: its operations by `f`, in order; the first
    injects, the last heals; by default `start-<name>` and `stop-<name>`. `targets`: what may follow
    the colon, and how many nodes each needs at least; `default_target` counts when an injection
    names none. `takes_down`: its targets count against the budget. Of the faults of one `group`,
    which would undo each other, no two strike at the same time. `needs`: abilities of the cluster,
    what the machine must have, what the system must offer. `hosts`: what hosts must be made with; a
    `disk_mb` of 0 is of the size that the user asks for. `check` raises ValueError for settings
    that do not fit together. `is_steady`: its steps need a system that can decide, so in a drawn
    plan no other fault strikes or heals around them. `slow_s`: how much longer than planned its
    steps may keep their share of the budget. `held` and `healed` say in words what is measured.
    `prepares`: it puts something on the hosts before the first operation. `damages`: its nodes may
    never be themselves again. `simulated`: what is otherwise on simulated hosts; None: nothing, so
    the needs say whether it can strike there.
    """

    name: str
    description: str
    make: Callable[[Fault, Environment], Injector]
    heals: Heals
    held: str
    healed: str
    actions: Steps = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=lambda: NODE_TARGETS)
    default_target: str = TargetSpec.ONE.value
    parameters: tuple[Parameter, ...] = ()
    takes_down: bool = False
    group: str = ""
    needs: tuple[type | Need | Offer, ...] = ()
    hosts: Hosts = PLAIN
    check: Callable[[Settings], object] = dict
    prepares: bool = False
    is_steady: bool = False
    slow_s: float = 0.0
    damages: bool = False
    simulated: Simulated | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", self.actions or steps(self.name))

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of its operations, in order."""
        return tuple(self.actions)

    def on(self, backend: Backend) -> Fault:
        """Its record for the hosts of that backend."""
        if self.simulated is None or backend is not Backend.SIMULATED:
            return self
        other = {each.name: getattr(self.simulated, each.name) for each in fields(Simulated)}
        changed = {name: value for name, value in other.items() if value is not None}
        return replace(self, hosts=PLAIN, prepares=False, simulated=None, **changed)

    def draw(self, rng: Random) -> dict[str, Any]:
        """What the seed draws for an injection."""
        return {each.name: each.drawn.draw(rng) for each in self.parameters if each.drawn}

    def filled(self, given: Settings, rng: Random) -> dict[str, Any]:
        """
        Every setting of an injection: what is given, and for the others what is usual or drawn.

        Raises:
            ValueError: For a name that is no parameter, a value out of its range, or values that do
                not fit together.
        """
        known = {each.name: each for each in self.parameters}
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"expected {', '.join(known) or 'nothing'}, got {unknown[0]!r}")
        for name, value in given.items():
            known[name].check(value)
        usual = self.draw(rng) | {
            each.name: each.default for each in self.parameters if each.default is not None
        }
        settings = {name: given.get(name, usual.get(name)) for name in known}
        settings = {name: value for name, value in settings.items() if value is not None}
        self.check(settings)
        return settings

    def unfit(self, backend: Backend) -> Missing | None:
        """Why it can strike on that backend of no machine, or None; tries nothing out."""
        needs = self.on(backend).needs
        declared = (need for need in needs if not isinstance(need, Need))
        return next(filter(None, (missing(need, backend, needs) for need in declared)), None)

    def missing(self, backend: Backend) -> Missing | None:
        """Why it cannot strike on that backend of this machine, or None; tries it out."""
        needs = self.on(backend).needs
        return next(filter(None, (missing(need, backend, needs) for need in needs)), None)


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A fault that was asked for. `targets` is empty when the user named none."""

    fault: Fault
    targets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the fault."""
        return self.fault.name

    @property
    def drawn(self) -> tuple[str, ...]:
        """What the seed may choose from: not who votes, which most systems have no choice in."""
        return tuple(spec for spec in self.fault.targets if spec not in _ONLY_IF_NAMED)

    def lack_of(self, lacks: Mapping[type, str]) -> str:
        """Why it cannot strike a system that lacks these abilities; empty if it can."""
        asks_who_leads = any(each in BY_LEADERSHIP for each in self.targets)
        return lacking((*self.fault.needs, *([Offer.LEADERS] if asks_who_leads else [])), lacks)

    def clashes(self, others: Iterable[FaultSpec]) -> bool:
        """Whether it and one of the others would undo each other."""
        group = self.fault.group
        return bool(group) and any(other.fault.group == group for other in others)

    def upright(self, count: int, budget: int, down: int) -> tuple[str, ...]:
        """
        Of `fitting`, those that it can strike in full while other faults have `down` nodes down.

        Faults that take nodes down share the budget instead.
        """
        fitting = self.fitting(count, budget)
        if self.fault.takes_down or self.fault.targets is not NODE_TARGETS:
            return fitting
        return tuple(spec for spec in fitting if struck_most(spec, count) <= count - down)

    def fitting(self, count: int, budget: int) -> tuple[str, ...]:
        """
        The targets that it may draw of `count` nodes, within the budget.

        Raises:
            ValueError: When the user asked for one that does not fit, or none fits.
        """
        lacks = {spec: self._lack(spec, count, budget) for spec in self.targets or self.drawn}
        unfit = {spec: lack for spec, lack in lacks.items() if lack}
        if unfit and (self.targets or len(unfit) == len(lacks)):
            spec, lack = next(iter(unfit.items()))
            raise ValueError(f"{self.name}:{spec} {lack}")
        return tuple(spec for spec, lack in lacks.items() if not lack)

    def least(self, count: int, budget: int) -> int:
        """How much of the budget it takes at least."""
        if not self.fault.takes_down:
            return 0
        return min(down_least(spec, count) for spec in self.fitting(count, budget))

    def _lack(self, spec: str, count: int, budget: int) -> str:
        """What a target lacks, in words; nothing when it fits."""
        nodes = self.fault.targets.get(spec, 1)
        if count < nodes:
            return f"needs at least {nodes} nodes, got {count}"
        least = down_least(spec, count) if self.fault.takes_down else 0
        if least > budget:
            return (
                f"would stop {least} of {count} nodes, and the plan allows {budget} at a time:"
                f" use more nodes, or `budget: {least}` in a plan of your own"
            )
        return ""


def steps(name: str, on: Effect | None = None, off: Effect | None = None) -> Steps:
    """The operations `start-<name>` and `stop-<name>`, with their effects on nodes."""
    return {
        f"start-{name}": Action(Role.INJECT, on),
        f"stop-{name}": Action(Role.HEAL, off),
    }


def struck_most(spec: str, count: int) -> int:
    """How many of `count` nodes a target of nodes strikes when all of them run."""
    return 1 if spec == TargetSpec.LEADER else target_count(TargetSpec(spec), count)


def down_least(spec: str, count: int) -> int:
    """How many of `count` nodes must go down for a target to be worth its name."""
    if spec == TargetSpec.MINORITY:
        return minority_size(count)
    if spec == TargetSpec.MAJORITY:
        return majority_size(count)
    return count if spec == TargetSpec.ALL else 1
