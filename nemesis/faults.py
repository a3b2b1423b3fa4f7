"""
The faults by name. To add one, write a file that ends with FAULTS, and name the file here.

A user asks for `kill`, which leaves the choice of targets to the seed, or for `kill:leader`.
`kill:one` with `kill:leader` is one fault that draws one of the two targets each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Final

from dissever.harness.options import unknown
from dissever.nemesis.fault import Fault, FaultSpec

__all__ = ["FAULTS", "healing_order", "parse"]

FILES: Final = (
    "partitions.partition",
    "partitions.swizzle",
    "connections.toxic",
    "packets.fault",
    "clients.cut",
    "nodes.signals",
    "nodes.upgrade",
    "nodes.membership",
    "nodes.resources",
    "disks.full",
    "disks.faulty",
    "disks.truncate",
    "disks.power_failure",
    "clocks.clock",
    "partitions.deposed_leader",
)
"""A new fault is a file that ends with its FAULTS, and its name here."""

_EVERY: Final = chain.from_iterable(
    import_module(f"dissever.nemesis.{file}").FAULTS for file in FILES
)

FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in _EVERY}
"""Every fault by its name, which is also its process."""


def parse(names: Iterable[str]) -> tuple[FaultSpec, ...]:
    """
    The faults of `kill`, `partition:leader`, …: one for each name, in the order of first mention.

    Raises:
        ValueError: For a name or a target that there is not (the message says which is nearest),
            and for faults that no cluster can have both.
    """
    asked: dict[str, list[str]] = {}
    for text in names:
        name, colon, target = text.partition(":")
        _check("fault", name, tuple(FAULTS))
        targets = asked.setdefault(name, [])
        if colon:
            _check(f"target of {name}", target, tuple(FAULTS[name].targets))
            targets.extend([] if target in targets else [target])
    specs = tuple(FaultSpec(FAULTS[name], tuple(targets)) for name, targets in asked.items())
    _check_clocks(specs)
    return specs


def healing_order(names: Iterable[str]) -> tuple[Fault, ...]:
    """
    The faults that are asked for, in the order in which they must heal.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = {spec.name for spec in parse(names)}
    return tuple(
        sorted(
            (fault for fault in FAULTS.values() if fault.name in asked),
            key=lambda fault: fault.heals,
        )
    )


def _check(what: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise ValueError(unknown(what, given, allowed))


def _check_clocks(specs: Sequence[FaultSpec]) -> None:
    """A node's monotonic clock either follows its wall clock, or is left alone."""
    clocks = [spec for spec in specs if spec.fault.hosts.own_clocks]
    wall = sorted(spec.name for spec in clocks if not spec.fault.hosts.own_monotonic)
    both = sorted(spec.name for spec in clocks if spec.fault.hosts.own_monotonic)
    if wall and both:
        raise ValueError(
            f"expected {wall[0]} or {both[0]}, not both in one plan: "
            "where the monotonic clock follows the wall clock, it must not go back"
        )
