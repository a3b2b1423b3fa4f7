"""
Clients that users write, in whatever form, and what a system knows through them.

`plain.py` has clients that are plain classes with methods, blocking or async, and `program.py`
those that are programs. `kinds.py` tells them apart. `deployment.py` has the deployment that starts
from any kind: what it says of its nodes, it asks by way of their clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dissever.harness.forward import Forwarders
from dissever.harness.missing import Missing
from dissever.harness.system import Membership, Primaries, Replicas, Upgrades

__all__ = ["ABILITIES", "STORES", "ClientKind", "gives", "lacks", "stores_of"]

STORES: Mapping[str, tuple[str, ...]] = {
    "registers": ("read", "write", "compare_and_set"),
    "elements": ("add", "elements"),
}
"""A store that workloads ask for -> the methods that a client needs to be one."""

ABILITIES: Mapping[type, tuple[str, ...]] = {
    Primaries: ("is_leader",),
    Replicas: ("digest",),
    Membership: ("members", "add_member", "remove_member", "transfer"),
}
"""An ability of a deployment -> the methods that give it."""


@runtime_checkable
class ClientKind(Protocol):
    """
    What makes the clients of a system, such as a plain class or a program.

    What `open` returns has an `async` method for each name that `has` says, and `close`. With a
    method `invoke` it is a `harness.client.Client`, and takes the operations of any workload.
    """

    @property
    def stores(self) -> tuple[str, ...] | None:
        """What its clients offer to workloads; None: they take the operations of any workload."""

    def has(self, method: str) -> bool:
        """Whether its clients have a method, such as `ping`, `is_leader`, `tick` or `digest`."""

    def probe(self) -> Missing | None:
        """Why its clients cannot be made on this machine, or None. Blocks."""

    async def open(self, forwarders: Forwarders, *, store: str, directory: Path) -> Any:
        """
        A client of the node of `forwarders.endpoint`, which closes the forwarders with itself.

        Args:
            store: One of its `stores`; empty for a client that is asked what is no operation.
            directory: The folder of the node, for what a program says on standard error.

        Raises:
            Exception: Anything, when there can be none: nothing was sent then. The forwarders are
                closed.
        """


def stores_of(has: Any) -> tuple[str, ...]:
    """The stores that a client is whose methods are those that `has(name)` says it has."""
    return tuple(name for name, methods in STORES.items() if all(map(has, methods)))


def gives(has: Callable[[str], bool], ability: type) -> bool:
    """Whether clients with the methods that `has` says give a deployment an ability."""
    return all(map(has, ABILITIES[ability]))


def lacks(has: Callable[[str], bool]) -> dict[type, str]:
    """The abilities that deployments with such clients do not have, and why, in words."""
    found: dict[type, str] = {
        ability: f"its clients have no {', '.join(name for name in methods if not has(name))}"
        for ability, methods in ABILITIES.items()
        if not gives(has, ability)
    }
    return {**found, Upgrades: "its nodes run one version"}
