"""From the value of an injection to what it asks for: to check a plan, and to strike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from dissever.harness.values import plain, quoted
from dissever.nemesis.fault import Fault
from dissever.nemesis.parameters import COMMON, GRUDGE, NAMED, Request, check_count

__all__ = ["read_request"]


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
        raise ValueError(f"expected a mapping with a spec or targets, got {quoted(value)}")
    known = (*COMMON, *(each.name for each in fault.parameters))
    if unknown := sorted(str(name) for name in set(fields) - set(known)):
        came = ", ".join(plain(name) for name in unknown)
        raise ValueError(f"expected {', '.join(known[:-1])} or {known[-1]}, got {came}")
    given = {name: fields[name] for name in fields if name not in COMMON}
    settings = fault.filled(given, Random(f"{seed}/{fault.name}"))
    rng = Random(str(fields.get("seed", f"{seed}/{fault.name}/{number}")))
    count, targets = fields.get("count"), fields.get("targets")
    check_count(count, nodes)
    if targets is not None and not isinstance(targets, str):
        return Request(NAMED, rng, count, _named(targets), settings)
    if GRUDGE in settings:
        return Request(NAMED, rng, count, None, settings)
    spec = str(targets or fields.get("spec", fault.default_target))
    allowed = tuple(dict.fromkeys((*fault.targets, fault.default_target)))
    if spec not in allowed:
        raise ValueError(f"expected {' or '.join(allowed)} as the target, got {quoted(spec)}")
    return Request(spec, rng, count, None, settings)


def _named(targets: Any) -> tuple[str, ...]:
    if isinstance(targets, list | tuple) and all(isinstance(node, str) for node in targets):
        return tuple(targets)
    raise ValueError(f"expected targets as a list of names of nodes, got {quoted(targets)}")
