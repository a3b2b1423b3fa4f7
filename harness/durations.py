"""
How people write a duration: `90s`, `5m`, `1h30m`, `500ms`, `7d`; a plain number is in seconds.

The command line, configuration files, pytest markers, plans and ages of runs share this. Pure.
"""

from __future__ import annotations

import math
import re
from typing import Final

from dissever.harness.values import quoted

__all__ = ["EXAMPLES", "check_seconds", "seconds"]

EXAMPLES: Final = "90, 90s, 5m, 1h30m or 500ms"

CHARS_MAX: Final = 40

_UNITS_S: Final = {"w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_PARTS: Final = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in _UNITS_S))


def seconds(text: str) -> float:
    """
    A duration in seconds.

    Raises:
        ValueError: When it is none; an infinite one is none.
    """
    text = text.strip()
    number = math.nan
    if len(text) <= CHARS_MAX:
        try:
            number = float(text)
        except ValueError:
            number = _sum_of_parts(text)
    if math.isfinite(number):
        return number
    raise ValueError(f"expected a duration such as {EXAMPLES}, got {quoted(text)}")


def check_seconds(text: str, least: float, most: float) -> float:
    """
    A duration from `least` to `most` seconds, both included.

    Raises:
        ValueError: When it is none, or another one.
    """
    try:
        number = seconds(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        bounds = f"a duration from {least:,g} to {most:,g} seconds"
        raise ValueError(f"expected {bounds}, such as {EXAMPLES}, got {quoted(text)}")
    return number


def _sum_of_parts(text: str) -> float:
    """Of `1h30m`; nan when it has no such parts."""
    parts = _PARTS.fullmatch(text)
    if parts is None or not text:
        return math.nan
    numbers = map(float, parts.groups(default="0"))
    return math.fsum(map(math.prod, zip(numbers, _UNITS_S.values(), strict=True)))
