"""
What an invocation asks of a nemesis.

`{"spec": "minority", "count": 2, "seed": 7}` is what the planner writes: chance is settled by the
seed, and only what depends on the run, such as who leads, is settled when the fault strikes.
`{"targets": ["n1"]}` and `{"grudge": {"n1": ["n2"]}}` name the nodes themselves, as a replay does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from dissever.nemesis.parameters import Settings

if TYPE_CHECKING:
    from dissever.nemesis.fault import Fault

__all__ = ["COMMON", "GRUDGE", "NAMED", "Request", "check_count", "read_request"]

GRUDGE: Final = "grudge"
NAMED: Final = "named"
"""The target of a request that names nodes or links itself."""

COMMON: Final = ("spec", "targets", "count", "seed")
"""What the value of every injection may hold."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    What to strike: `targets`, where they are named, and otherwise what `spec` means.

    `count`: strike at most this many nodes; None leaves it to the spec. `settings` has a value for
    each parameter of the fault that has one.
    """

    spec: str
    rng: Random
    count: int | None = None
    targets: tuple[str, ...] | None = None
    settings: Settings = field(default_factory=dict)


def read_request(
    fault: Fault, value: Any, *, nodes: Sequence[str], seed: int, number: int
) -> Request:
    """
    Read the value of an injecting invocation; None means the default target and settings.

    Args:
        seed: Of the run, for a value that brings none.
        number: Counts the injections of the fault, from 1.

    Raises:
        ValueError: When the value is no mapping, has a key that means nothing, or a value out of
            its range.
    """
    fields = {} if value is None else value
    if not isinstance(fields, Mapping):
        raise ValueError(f"expected a mapping with a spec or targets, got {value!r}")
    known = (*COMMON, *(each.name for each in fault.parameters))
    if unknown := sorted(set(fields) - set(known)):
        raise ValueError(
            f"expected {', '.join(known[:-1])} or {known[-1]}, got {', '.join(unknown)}"
        )
    given = {name: fields[name] for name in fields if name not in COMMON}
    settings = fault.filled(given, Random(f"{seed}/{fault.name}"))
    rng = Random(str(fields.get("seed", f"{seed}/{fault.name}/{number}")))
    count, targets = fields.get("count"), fields.get("targets")
    check_count(count, nodes)
    if targets is not None and not isinstance(targets, str):
        return Request(NAMED, rng, count, tuple(targets), settings)
    if GRUDGE in settings:
        return Request(NAMED, rng, count, None, settings)
    spec = str(targets or fields.get("spec", fault.default_target))
    allowed = tuple(dict.fromkeys((*fault.targets, fault.default_target)))
    if spec not in allowed:
        raise ValueError(f"expected {' or '.join(allowed)} as the target, got {spec!r}")
    return Request(spec, rng, count, None, settings)


def check_count(count: Any, nodes: Sequence[str]) -> None:
    """Raises ValueError when it is given, and not how many of the nodes to strike at most."""
    if count is None:
        return
    if type(count) is not int or not 1 <= count <= len(nodes):
        raise ValueError(f"expected count as a whole number from 1 to {len(nodes)}, got {count!r}")
