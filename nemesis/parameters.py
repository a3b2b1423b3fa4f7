"""
What an injection can be given: whom to strike, and settings, each with its range in one place.

`{"spec": "minority", "count": 2, "seed": 7}` is what the planner writes: chance is settled by the
seed, and only what depends on the run, such as who leads, is settled when the fault strikes.
`{"targets": ["n1"]}` and `{"grudge": {"n1": ["n2"]}}` name the nodes themselves, as a replay does.

The reader of plans and the dispatcher both check against the ranges, and the documentation is made
of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeAlias

from dissever.harness.values import quoted

__all__ = [
    "BITS",
    "COMMON",
    "GRUDGE",
    "NAMED",
    "SEED_MAX",
    "Draw",
    "Parameter",
    "Request",
    "Settings",
    "check_count",
    "check_seed",
    "choice",
    "log_uniform",
    "number",
    "one_of",
    "uniform",
]

Settings: TypeAlias = Mapping[str, Any]
"""Name of a parameter -> its value."""

SEED_MAX: Final = (1 << 64) - 1

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


@dataclass(frozen=True, slots=True)
class Draw:
    """How the seed draws a value; `text` says it to people. `middle`: what is usual, if any is."""

    text: str
    draw: Callable[[Random], Any]
    middle: Any = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One setting of a fault.

    `accepts` says which values are valid. `drawn`: how the seed draws it; None: it never does.
    `default`: the value when an injection brings none; None: it is drawn, or left out where it
    cannot be.
    """

    name: str
    description: str
    accepts: str
    is_valid: Callable[[Any], bool]
    drawn: Draw | None = None
    default: Any = None

    @property
    def unit(self) -> str:
        """By the end of its name; nothing for a number without a unit, or a word."""
        return next((unit for end, unit in _UNITS.items() if self.name.endswith(end)), "")

    def check(self, value: Any) -> None:
        """Raises ValueError when the value is not valid."""
        if not self.is_valid(value):
            raise ValueError(f"expected {self.name} {self.accepts}, got {quoted(value)}")


_UNITS: Final = {
    "_kb_s": "kB/s",
    "ms": "ms",
    "_s": "s",
    "_bytes": "bytes",
    "percent": "%",
    "_packets": "packets",
}


def number(
    name: str,
    description: str,
    least: float,
    most: float,
    drawn: Draw | None = None,
    *,
    default: float | None = None,
) -> Parameter:
    """
    A number in a range that includes both ends; a whole one where both ends are ints.

    The default is the middle of what is drawn.
    """
    is_whole = isinstance(least, int) and isinstance(most, int)
    kinds = (int,) if is_whole else (int, float)

    def is_valid(value: Any) -> bool:
        return type(value) in kinds and least <= value <= most

    text = str if is_whole else "{:.10g}".format
    accepts = f"from {text(least)} to {text(most)}"
    usual = drawn.middle if default is None and drawn else default
    whole = "as a whole number " if is_whole else ""
    return Parameter(name, description, whole + accepts, is_valid, drawn, usual)


def choice(
    name: str,
    description: str,
    values: Collection[str],
    drawn: Draw | None = None,
    *,
    default: str | None = None,
    is_list: bool = False,
) -> Parameter:
    """One of the words; with `is_list` one or more of them, with commas between them."""

    def is_valid(value: Any) -> bool:
        words = value.split(",") if is_list and isinstance(value, str) else [value]
        return all(isinstance(word, str) and word in values for word in words)

    accepts = f"{'with words ' if is_list else ''}out of {', '.join(values)}"
    return Parameter(name, description, accepts, is_valid, drawn, default)


def one_of(*values: Any) -> Draw:
    """Each value as often as it is listed."""
    text = ", ".join(dict.fromkeys(map(str, values)))
    return Draw(text, lambda rng: rng.choice(values), values[len(values) // 2])


def uniform(least: float, most: float, digits: int) -> Draw:
    """Any number between the two, rounded."""
    return Draw(f"{least:g} to {most:g}", lambda rng: round(rng.uniform(least, most), digits))


def log_uniform(least: float, most: float, digits: int | None = None) -> Draw:
    """Any number between the two, each power of ten as likely as another, rounded."""

    def draw(rng: Random) -> float:
        return round(math.exp(rng.uniform(math.log(least), math.log(most))), digits)

    return Draw(f"{least:g} to {most:g}", draw)


BITS: Final = Draw("any", lambda rng: rng.getrandbits(32))
"""A seed."""


def check_seed(seed: Any) -> None:
    """Raises ValueError when it is no seed of an injection."""
    if type(seed) is not int or not 0 <= seed <= SEED_MAX:
        expected = f"expected seed as a whole number from 0 to {SEED_MAX}"
        raise ValueError(f"{expected}, got {quoted(seed)}")


def check_count(count: Any, nodes: Sequence[str]) -> None:
    """Raises ValueError when it is given, and not how many of the nodes to strike at most."""
    if count is None:
        return
    if type(count) is not int or not 1 <= count <= len(nodes):
        raise ValueError(
            f"expected count as a whole number from 1 to {len(nodes)}, got {quoted(count)}"
        )
