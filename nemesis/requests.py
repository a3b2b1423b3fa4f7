"""
What an invocation asks of a nemesis, read from its JSON value.

`{"spec": "minority", "count": 2, "seed": 7}` is what the planner writes: chance is settled by the
seed, and only what depends on the run, such as who leads, is settled when the fault strikes.
`{"targets": ["n1"]}` and `{"grudge": {"n1": ["n2"]}}` name the nodes themselves, as a replay does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from dissever.harness.cluster import Grudge

__all__ = ["Request", "read_request"]


@dataclass(frozen=True, slots=True)
class Request:
    """
    At most one of `targets` and `grudge` is there; without both, `spec` counts.

    `count`: strike at most so many nodes; None leaves it to the spec.
    """

    spec: str
    rng: Random
    count: int | None = None
    targets: tuple[str, ...] | None = None
    grudge: Grudge | None = None


def read_request(value: Any, *, spec: str, stream: str) -> Request:
    """
    Read the value of an injecting invocation; None means the default spec.

    Args:
        spec: What counts when the value names none.
        stream: The name of the random stream when the value brings no seed.

    Raises:
        ValueError: When the value is no mapping, or has a key that means nothing.
    """
    fields = {} if value is None else value
    if not isinstance(fields, Mapping):
        raise ValueError(f"expected a mapping with a spec, targets or a grudge, got {value!r}")
    unknown = sorted(set(fields) - {"spec", "targets", "grudge", "count", "seed"})
    if unknown:
        raise ValueError(f"expected spec, targets, grudge, count or seed, got {', '.join(unknown)}")
    rng = Random(str(fields.get("seed", stream)))
    targets, count = fields.get("targets"), fields.get("count")
    if isinstance(targets, str):
        return Request(targets, rng, count)
    if targets is not None:
        return Request("named", rng, count, targets=tuple(targets))
    if "grudge" in fields:
        named = {node: frozenset(dropped) for node, dropped in fields["grudge"].items()}
        return Request("named", rng, count, grudge=named)
    return Request(fields.get("spec", spec), rng, count)
