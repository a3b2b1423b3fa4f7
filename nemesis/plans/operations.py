"""
What clients do, written down instead of drawn: the `operations` of a plan.

    operations:
      - {at: 1.2, client: 0, node: n2, f: write, key: 3, value: 17}
    final: false    # no reads at the end

Each client does its own in order, each at its time or as soon as the one before has ended. Clients
are counted from 0. A client talks to one node; where none is named, it is the one that it has in
any run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator import Generator, Thread, timetable
from dissever.harness.history import Key
from dissever.harness.names import strangers
from dissever.harness.options import unknown
from dissever.harness.plan import LIMITS
from dissever.nemesis.plans.document import Item

__all__ = ["ClientOp", "generator", "placement", "wrong_operation"]

CLIENTS_MAX: Final = int(LIMITS["concurrency"][1])
SECONDS_MAX: Final = LIMITS["time_limit_s"][1]


class ClientOp(msgspec.Struct, frozen=True, omit_defaults=True):
    """One invocation of a client, `at` seconds after the start; `client` counts from 0."""

    at: float
    client: int
    f: str
    key: Key | None = None
    value: Any = None
    node: str | None = None


def generator(ops: Sequence[ClientOp]) -> Generator:
    """Play the operations on the client threads that they name."""
    lanes: dict[Thread, list[Invocation]] = {}
    for op in sorted(ops, key=lambda op: op.at):
        step = Invocation(op.f, op.value, key=op.key, time=round(op.at * 1e9))
        lanes.setdefault(op.client, []).append(step)
    return timetable(lanes)


def placement(ops: Sequence[ClientOp], nodes: Sequence[str], concurrency: int) -> tuple[str, ...]:
    """
    The node of each client.

    Raises:
        ValueError: For a client or a node that there is not, and for a client with two nodes.
    """
    places = [nodes[client % len(nodes)] for client in range(concurrency)]
    named: dict[int, str] = {}
    for op in ops:
        where = f"{op.f} at {op.at:g} s"
        if op.client >= concurrency:
            expected = f"expected a client from 0 to {concurrency - 1} (concurrency {concurrency})"
            raise ValueError(f"{where}: {expected}, got {op.client}")
        if op.node is None:
            continue
        if lack := strangers([op.node], nodes):
            raise ValueError(f"{where}: {lack}")
        if named.setdefault(op.client, op.node) != op.node:
            both = f"{named[op.client]} and {op.node}"
            raise ValueError(f"{where}: expected one node for client {op.client}, got {both}")
        places[op.client] = op.node
    return tuple(places)


_FIELDS: Final[Mapping[str, str]] = {
    "at": f"from 0 to {SECONDS_MAX:g} seconds",
    "client": f"as a whole number from 0 to {CLIENTS_MAX - 1}",
    "f": "as the name of an operation",
    "key": "as a text or a whole number",
    "value": "as anything",
    "node": "as the name of a node",
}


def wrong_operation(item: Item) -> Iterator[str]:
    """A line for each field of an operation that is none, is missing, or has no value it may."""
    if not isinstance(item.value, Mapping):
        yield f"line {item.line}: expected a mapping with at, client and f, got {item.kind}"
        return
    for name in ("at", "client", "f"):
        if name not in item.value:
            yield f"line {item.line}: expected {name} of the operation, got none"
    for name, each in item.value.items():
        if name not in _FIELDS:
            yield f"line {each.line}: {unknown('field', name, tuple(_FIELDS))}"
        elif not _is_valid(name, each.value):
            yield f"line {each.line}: expected {name} {_FIELDS[name]}, got {each.kind}"


def _is_valid(name: str, value: Any) -> bool:
    if name == "at":
        return type(value) in (int, float) and 0 <= value <= SECONDS_MAX
    if name == "client":
        return type(value) is int and 0 <= value < CLIENTS_MAX
    if name == "key":
        return value is None or type(value) in (int, str)
    if name == "node":
        return value is None or isinstance(value, str)
    return name == "value" or (isinstance(value, str) and bool(value))
