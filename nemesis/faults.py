"""
The faults by name. To add one, write a file that ends with FAULTS, and name the file here.

A user asks for `kill`, which leaves the choice of targets to the seed, or for `kill:leader`.
`kill:one` with `kill:leader` is one fault that draws one of the two targets each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import chain, combinations
from typing import Any, Final

from dissever.harness.cluster.backends import Backend
from dissever.harness.options import unknown
from dissever.harness.plugins import Kind, Registry
from dissever.harness.references import read_reference
from dissever.nemesis.fault import Fault, FaultSpec

__all__ = ["FAMILIES", "FAULTS", "healing_order", "parse", "without_target"]

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
    "nodes.memory",
    "disks.full",
    "disks.faulty",
    "disks.truncate",
    "disks.power_failure",
    "disks.simulated",
    "clocks.clock",
    "partitions.deposed_leader",
)
"""A new fault is a file that ends with its FAULTS, and its name here."""

_BY_FILE: Final[Mapping[str, Sequence[Fault]]] = {
    file: import_module(f"dissever.nemesis.{file}").FAULTS for file in FILES
}

OURS: Final[dict[str, Fault | str]] = {
    fault.name: fault for fault in chain.from_iterable(_BY_FILE.values())
}
"""Ours by their names."""

_FAMILIES: Final = {
    "partitions": "network",
    "connections": "network",
    "packets": "network",
    "clients": "network",
    "nodes": "processes",
    "nodes.membership": "members",
    "nodes.resources": "resources",
    "nodes.memory": "resources",
}
"""A folder, or a file of it -> what its faults strike, where the folder's name does not say it."""

FAMILIES: Final[Mapping[str, str]] = {
    fault.name: _FAMILIES.get(file) or _FAMILIES.get(folder, folder)
    for file, faults in _BY_FILE.items()
    for folder in (file.partition(".")[0],)
    for fault in faults
}
"""Each of our faults -> its family: those that a reader looks at together."""


def _is_one(value: Any) -> bool:
    return isinstance(value, Fault)


def _made(found: Any, reference: str) -> Fault:
    """Its reference is its name: so it is its process, too, and a schedule can be replayed."""
    if not isinstance(found, Fault):
        raise ValueError(f"expected a Fault, got a {type(found).__name__}")
    return replace(found, name=reference)


FAULTS: Final = Registry(Kind("fault", "dissever.faults", _is_one, _made), OURS)
"""By a name of ours or of an installed package, by a path, or by `package:Name`."""


def parse(names: Iterable[str], backend: Backend = Backend.NAMESPACES) -> tuple[FaultSpec, ...]:
    """
    The faults of `kill`, `partition:leader`, `slow.py:SLOW:leader`, …: one for each name, in the
    order of first mention, as they are on the hosts of that backend.

    Raises:
        ValueError: For a name or a target that there is not (the message says which is nearest),
            and for faults that no cluster can have both.
    """
    asked: dict[str, tuple[Fault, list[str]]] = {}
    for text in names:
        fault, target = _split(text)
        fault = (
            _ours_on(fault.name, backend) if fault is OURS.get(fault.name) else fault.on(backend)
        )
        _, targets = asked.setdefault(fault.name, (fault, []))
        if target is not None:
            if target not in fault.targets:
                raise ValueError(unknown(f"target of {fault.name}", target, tuple(fault.targets)))
            targets.extend([] if target in targets else [target])
    specs = tuple(FaultSpec(fault, tuple(targets)) for fault, targets in asked.values())
    _check_different(specs)
    _check_clocks(specs)
    return specs


@cache
def _ours_on(name: str, backend: Backend) -> Fault:
    fault = OURS[name]
    assert isinstance(fault, Fault), "all of ours are loaded"
    return fault.on(backend)


def without_target(text: str) -> str:
    """The name or the reference of a fault, perhaps of none that there is."""
    try:
        return _split(text)[0].name
    except ValueError:
        return text.partition(":")[0]


def healing_order(names: Iterable[str]) -> tuple[Fault, ...]:
    """
    The faults that are asked for, in the order in which they must heal; ours before others.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = [spec.fault for spec in parse(names)]
    places = {name: place for place, name in enumerate(OURS)}
    asked.sort(key=lambda fault: places.get(fault.name, len(places)))
    return tuple(sorted(asked, key=lambda fault: fault.heals))


def _split(text: str) -> tuple[Fault, str | None]:
    """
    The fault, and what follows it after a colon.

    Raises:
        ValueError: When there is no such fault. The target is not looked at.
    """
    name, colon, target = text.partition(":")
    if name in FAULTS.names or read_reference(text) is None:
        return FAULTS.find(name), target if colon else None
    try:
        return FAULTS.find(text), None
    except ValueError as error:
        shorter, _, target = text.rpartition(":")
        reference = read_reference(shorter)
        if reference is None and "." not in name:  # It is more likely a misspelt name.
            raise ValueError(unknown("fault", name, FAULTS.names)) from error
        if reference is None:
            raise
        try:
            fault = FAULTS.find(shorter)
        except ValueError:
            raise error from None
        if reference.name or target in fault.targets:
            return fault, target
        raise


def _check_different(specs: Sequence[FaultSpec]) -> None:
    """Raises ValueError when two references lead to one fault."""
    for first, second in combinations(specs, 2):
        if replace(first.fault, name="") == replace(second.fault, name=""):
            raise ValueError(f"{first.name} and {second.name} are the same fault: say one of them")


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
