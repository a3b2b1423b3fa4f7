"""
The faults by name: which operations each has, and whom it can strike. Pure.

A user asks for `kill`, which leaves the choice of targets to the seed, or for `kill:leader`.
`kill:one` with `kill:leader` is one fault that draws one of the two specs each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import IntEnum
from random import Random
from typing import Any

from dissever.nemesis.clients.kinds import CLIENT_KINDS
from dissever.nemesis.clocks.turns import CLOCK_DRAWS, MONOTONIC, WALL
from dissever.nemesis.connections.kinds import TOXIC_KINDS
from dissever.nemesis.disks.draws import DISK_DRAWS
from dissever.nemesis.links import LINK_SPECS
from dissever.nemesis.packets.kinds import PACKET_KINDS
from dissever.nemesis.partitions.grudges import PartitionSpec
from dissever.nemesis.targets import TargetSpec, majority_size, minority_size

__all__ = ["FAULTS", "HEALING_ORDER", "Fault", "Heals", "Shape", "down_least", "parse"]

_TARGETS: dict[str, int] = {spec.value: 1 for spec in TargetSpec} | {
    TargetSpec.MINORITY.value: 3,
    TargetSpec.FOLLOWERS.value: 2,
}
_ONLY_IF_NAMED = frozenset({TargetSpec.VOTERS.value, TargetSpec.STAND_BYS.value})
_PARTITIONS: dict[str, int] = {spec.value: 2 for spec in PartitionSpec} | {
    PartitionSpec.MAJORITY.value: 3,
    PartitionSpec.MAJORITIES_RING.value: 3,
    PartitionSpec.BRIDGE.value: 3,
}


class Heals(IntEnum):
    """When a fault heals, at the end of a run."""

    CLIENTS = 0
    RESUME = 1
    LINKS = 2
    CLOCKS = 3
    DISKS = 4
    RESOURCES = 5
    START = 6
    MEMBERS = 7


def _gap(rng: Random) -> Mapping[str, Any]:
    """How long a cluster stays as it is between one node and the next."""
    return {"gap_s": round(rng.uniform(0.2, 2.0), 2)}


def _nothing(rng: Random) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Shape:
    """
    What the planner knows of a kind of fault.

    `steps` are its operations in order: the first injects, the last heals. `nodes_min`: spec -> how
    many nodes it needs. `takes_down`: its targets count against the budget. Faults heal in the
    order of `heals`: no step may wait for what a later one heals. `draw` gives what the injection
    is told beside its targets, such as how long a delay is; `told` is what it may be told as well,
    each with an example; `fits` raises ValueError when what it is told makes no sense. Of the
    faults of one `group`, which would undo each other, no two strike at a time.
    """

    steps: tuple[str, ...]
    nodes_min: Mapping[str, int]
    takes_down: bool
    heals: Heals
    draw: Callable[[Random], Mapping[str, Any]] = _nothing
    group: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    fits: Callable[[Mapping[str, Any]], object] = dict

    @property
    def specs(self) -> tuple[str, ...]:
        """What may follow the colon after its name."""
        return tuple(self.nodes_min)


FAULTS: Mapping[str, Shape] = {
    "partition": Shape(
        ("start-partition", "stop-partition"),
        _PARTITIONS,
        takes_down=False,
        heals=Heals.LINKS,
        told={"grudge": {}},
    ),
    "swizzle": Shape(
        ("start-swizzle", "stop-swizzle"),
        {"minority": 3, "majority": 3, "all": 2},
        takes_down=False,
        heals=Heals.LINKS,
    ),
    **{
        name: Shape(
            (f"start-{name}", f"stop-{name}"),
            LINK_SPECS,
            takes_down=False,
            heals=Heals.LINKS,
            draw=kind.draw,
            told={"toxicity": 0.5},
            fits=kind.fits,
        )
        for name, kind in TOXIC_KINDS.items()
    },
    **{
        name: Shape(
            (f"start-{name}", f"stop-{name}"),
            LINK_SPECS,
            takes_down=False,
            heals=Heals.LINKS,
            draw=kind.draw,
            group="packets",
            fits=kind.fits,
        )
        for name, kind in PACKET_KINDS.items()
    },
    **{
        name: Shape(
            (f"start-{name}", f"stop-{name}"),
            _TARGETS,
            takes_down=False,
            heals=Heals.CLIENTS,
            draw=kind.draw,
            group="clients",
            fits=kind.fits,
        )
        for name, kind in CLIENT_KINDS.items()
    },
    "kill": Shape(("kill", "start"), _TARGETS, takes_down=True, heals=Heals.START),
    "stop": Shape(("terminate", "start"), _TARGETS, takes_down=True, heals=Heals.START),
    "upgrade": Shape(
        ("start-upgrade", "stop-upgrade"),
        {"one": 1, "rolling": 1},
        takes_down=False,  # It waits until the ledger has room for one more.
        heals=Heals.START,
        draw=_gap,
    ),
    "crash-loop": Shape(
        ("start-crash-loop", "stop-crash-loop"),
        _TARGETS,
        takes_down=True,
        heals=Heals.START,
        told={"gap_s": 0.5},
    ),
    "remove-member": Shape(
        ("start-remove-member", "stop-remove-member"),
        _TARGETS,
        takes_down=True,
        heals=Heals.MEMBERS,
    ),
    "replace-member": Shape(
        ("start-replace-member", "stop-replace-member"),
        _TARGETS,
        takes_down=True,
        heals=Heals.MEMBERS,
    ),
    "demote": Shape(
        ("start-demote", "stop-demote"),
        _TARGETS,
        takes_down=True,
        heals=Heals.MEMBERS,
        told={"role": "spare"},
    ),
    "transfer": Shape(
        ("start-transfer", "stop-transfer"),
        {TargetSpec.FOLLOWERS.value: 2},
        takes_down=True,
        heals=Heals.MEMBERS,
    ),
    "limit-cpu": Shape(
        ("start-limit-cpu", "stop-limit-cpu"),
        _TARGETS,
        takes_down=True,
        heals=Heals.RESOURCES,
        told={"cpus": 0.1},
    ),
    "limit-memory": Shape(
        ("start-limit-memory", "stop-limit-memory"),
        _TARGETS,
        takes_down=True,
        heals=Heals.RESOURCES,
        told={"memory_bytes": 1 << 24},
    ),
    "pause": Shape(("pause", "resume"), _TARGETS, takes_down=True, heals=Heals.RESUME),
    **{
        name: Shape(
            (f"start-{name}", f"stop-{name}"),
            _TARGETS,
            takes_down=name == "power-failure",
            heals=Heals.DISKS,
            draw=draw,
            group="disks",
        )
        for name, draw in DISK_DRAWS.items()
    },
    **{
        name: Shape(
            (f"start-{name}", f"stop-{name}"),
            _TARGETS,
            takes_down=name in MONOTONIC,
            heals=Heals.CLOCKS,
            draw=draw,
            group="clocks",
        )
        for name, draw in CLOCK_DRAWS.items()
    },
    "deposed-leader": Shape(
        ("start-deposed-leader", "resume-deposed-leader", "stop-deposed-leader"),
        {TargetSpec.LEADER.value: 3},
        takes_down=True,
        heals=Heals.RESUME,
    ),
}

HEALING_ORDER: tuple[str, ...] = tuple(sorted(FAULTS, key=lambda name: FAULTS[name].heals))
"""The faults by name, in the order in which they must heal."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was asked for. `specs` is empty when the user named none."""

    name: str
    specs: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Its kind."""
        return FAULTS[self.name]

    @property
    def drawn(self) -> tuple[str, ...]:
        """What the seed may choose from: not who votes, which most systems have no choice in."""
        return tuple(spec for spec in self.shape.specs if spec not in _ONLY_IF_NAMED)

    def clashes(self, others: Iterable[Fault]) -> bool:
        """Whether one of the others would undo what it does, and it what that one does."""
        group = self.shape.group
        return bool(group) and any(other.shape.group == group for other in others)

    def fitting(self, count: int, budget: int) -> tuple[str, ...]:
        """
        The specs that it may draw on so many nodes and within the budget.

        Raises:
            ValueError: When the user asked for one that does not fit, or none fits.
        """
        needs = {spec: _need(self, spec, count, budget) for spec in self.specs or self.drawn}
        unfit = {spec: need for spec, need in needs.items() if need}
        if unfit and (self.specs or len(unfit) == len(needs)):
            spec, need = next(iter(unfit.items()))
            raise ValueError(f"{self.name}:{spec} {need}")
        return tuple(spec for spec, need in needs.items() if not need)

    def least(self, count: int, budget: int) -> int:
        """How much of the budget it takes at least."""
        if not self.shape.takes_down:
            return 0
        return min(down_least(spec, count) for spec in self.fitting(count, budget))


def parse(names: Iterable[str]) -> tuple[Fault, ...]:
    """
    The faults of `kill`, `partition:leader`, …: one for each kind, in the order of first mention.

    Raises:
        ValueError: For a name or a spec that there is not (the message says which is nearest), and
            for faults that no cluster can have both.
    """
    specs: dict[str, list[str]] = {}
    for text in names:
        name, colon, spec = text.partition(":")
        _check("fault", name, tuple(FAULTS))
        known = specs.setdefault(name, [])
        if colon:
            _check(f"spec of {name}", spec, FAULTS[name].specs)
            known.extend([] if spec in known else [spec])
    own, both = (sorted(specs.keys() & names) for names in (WALL, MONOTONIC))
    if own and both:
        raise ValueError(
            f"expected {own[0]} or {both[0]}, not both in one plan: "
            "where the monotonic clock follows the wall clock, it must not go back"
        )
    return tuple(Fault(name, tuple(known)) for name, known in specs.items())


def down_least(spec: str, count: int) -> int:
    """How many of so many nodes must go down for a spec to be worth its name."""
    sizes = {
        TargetSpec.MINORITY.value: minority_size(count),
        TargetSpec.MAJORITY.value: majority_size(count),
        TargetSpec.ALL.value: count,
    }
    return sizes.get(spec, 1)


def _need(fault: Fault, spec: str, count: int, budget: int) -> str:
    """What a spec lacks, in words; nothing when it fits."""
    nodes = fault.shape.nodes_min.get(spec, 1)
    if count < nodes:
        return f"needs at least {nodes} nodes, got {count}"
    least = down_least(spec, count) if fault.shape.takes_down else 0
    if least > budget:
        return f"takes {least} of {count} nodes down, and the budget is {budget} at a time"
    return ""


def _check(what: str, given: str, allowed: Sequence[str]) -> None:
    if given in allowed:
        return
    near = get_close_matches(given, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"expected a {what}: {', '.join(allowed)}; got {given!r}{hint}")
