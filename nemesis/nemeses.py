"""What carries out the faults of a run: their nemeses, and the hosts and plan entries they need."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

import msgspec

from dissever.harness.client import Nemesis
from dissever.harness.cluster import Hosts
from dissever.harness.episodes import Action
from dissever.nemesis.dispatcher import Dispatcher
from dissever.nemesis.environment import Environment, Site
from dissever.nemesis.faults import FAULTS, Registry, healing_order, parse
from dissever.nemesis.partitions.majority_only import MAJORITY_ONLY_FAULT
from dissever.nemesis.plans.triggers import Triggered

__all__ = ["actions", "hosts", "make_nemeses"]


def make_nemeses(
    faults: Iterable[str], environment: Environment, registry: Registry = FAULTS
) -> dict[str, Nemesis]:
    """
    A nemesis for each fault that is asked for, in the order in which they must heal, and last the
    one that heals a majority first; nothing when no fault is asked for.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = healing_order(faults, registry)
    site = Site(environment)
    made: dict[str, Nemesis] = {fault.name: Dispatcher(fault, site) for fault in asked}
    if environment.watched is not None:
        watched = environment.watched
        made = {name: Triggered(nemesis, watched) for name, nemesis in made.items()}
    last = Dispatcher(MAJORITY_ONLY_FAULT, site)
    return {**made, MAJORITY_ONLY_FAULT.name: last} if made else {}


def hosts(faults: Iterable[str], disk_mb: int, registry: Registry = FAULTS) -> Hosts:
    """
    What the hosts must be made with so that all of the faults can strike.

    Raises:
        ValueError: For a name that there is not.
    """
    nothing = Hosts(changes_network=False)  # With faults, there is the majority that heals first.
    needed = reduce(or_, (spec.fault.hosts for spec in parse(faults, registry)), nothing)
    if needed.disk_mb is None:
        return needed
    return msgspec.structs.replace(needed, disk_mb=disk_mb)


def actions(faults: Iterable[str], registry: Registry = FAULTS) -> dict[str, dict[str, Action]]:
    """
    What each operation of their nemeses is for, as `Plan.actions` keeps it.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = healing_order(faults, registry)
    every = (*asked, MAJORITY_ONLY_FAULT) if asked else ()
    return {fault.name: dict(fault.actions) for fault in every}
