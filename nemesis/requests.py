"""
What an invocation asks of a nemesis, read from its JSON value.

`{"spec": "minority", "count": 2, "seed": 7}` is what the planner writes: chance is settled by the
seed, and only what depends on the run, such as who leads, is settled when the fault strikes.
`{"targets": ["n1"]}` and `{"grudge": {"n1": ["n2"]}}` name the nodes themselves, as a replay does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from dissever.harness.cluster import Grudge

__all__ = ["Request", "read_request"]


@dataclass(frozen=True, slots=True)
class Request:
    """
    At most one of `targets` and `grudge` is there; without both, `spec` counts.

    `count`: strike at most so many nodes; None leaves it to the spec. `told`: what else the fault
    is told, such as how long a delay is.
    """

    spec: str
    rng: Random
    count: int | None = None
    targets: tuple[str, ...] | None = None
    grudge: Grudge | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


def read_request(value: Any, *, spec: str, stream: str, extra: Sequence[str] = ()) -> Request:
    """
    Read the value of an injecting invocation; None means the default spec.

    Args:
        spec: What counts when the value names none.
        stream: The name of the random stream when the value brings no seed.
        extra: Names of what else this fault may be told.

    Raises:
        ValueError: When the value is no mapping, or has a key that means nothing.
    """
    fields = {} if value is None else value
    if not isinstance(fields, Mapping):
        raise ValueError(f"expected a mapping with a spec, targets or a grudge, got {value!r}")
    known = ("spec", "targets", "grudge", "count", "seed", *extra)
    if unknown := sorted(set(fields) - set(known)):
        names = f"{', '.join(known[:-1])} or {known[-1]}"
        raise ValueError(f"expected {names}, got {', '.join(unknown)}")
    request = _read(fields, spec, stream)
    return replace(request, told={name: fields[name] for name in extra if name in fields})


def _read(fields: Mapping[str, Any], spec: str, stream: str) -> Request:
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
