"""
A counter: what was added, together.
"""

from __future__ import annotations

from collections.abc import Hashable

from dissever.checkers.models.core import REFUSED, After, Family, Misfit, Model, State
from dissever.harness.values import show


def counter(initial: int = 0) -> Model:
    """`add` an int, also a negative one; `read` -> the sum."""
    return Model(
        "counter",
        initial,
        _counter,
        noun="counter",
        family=Family.COUNTER,
        is_endless=True,
        description="add n, read -> the sum",
    )


def _counter(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, int)
    if f == "read":
        return state if state == value_out else REFUSED
    if f != "add":
        raise Misfit(f"a counter has no {f!r}")
    if type(value_in) is not int:
        raise Misfit(f"add wants an int, got {show(value_in)}")
    return state + value_in
