"""
Values as keys and as texts: JSON values made hashable, and whatever a message shows made safe.

Keys are equal by type and by value: 1, 1.0 and True differ, as they do in a database. Ints, texts
and None stay what they are, so that a model reads naturally.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from typing import Any, Final

SHOWN_CHARS_MAX: Final = 80
"""Of one value in a message."""

LISTED_MAX: Final = 3
"""Of the elements of a list in a message."""


def freeze(value: Any) -> Hashable:
    """A hashable stand-in: lists become tuples; bools, floats and dicts carry their type."""
    if value is None or type(value) is int or type(value) is str:
        return value
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, dict):
        items = sorted(((str(key), freeze(item)) for key, item in value.items()), key=repr)
        return (dict, tuple(items))
    is_nan = isinstance(value, float) and value != value  # It does not even equal itself.
    return (type(value), "NaN" if is_nan else value)


def thaw(value: Any) -> Any:
    """A frozen value as people write it: bools, floats and maps again, and lists as tuples."""
    if not isinstance(value, tuple):
        return value
    if len(value) == 2 and isinstance(value[0], type):
        kind, content = value
        if kind is dict:
            return {key: thaw(item) for key, item in content}
        return float("nan") if content == "NaN" else content
    return tuple(thaw(item) for item in value)


def show(value: Any) -> str:
    """A value as people read it: JSON, `nothing` for None, at most SHOWN_CHARS_MAX characters."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return shorten(text)


def quoted(value: Any) -> str:
    """What came instead of what was expected: texts in quotes, on one line, not too long."""
    text = str(value) if isinstance(value, str) else value  # So that no enum shows its class.
    return shorten(printable(repr(text)))


def plain(name: Any) -> str:
    """A name for a list of names: without quotes, on one line, not too long."""
    return shorten(printable(str(name)))


def shorten(text: str, characters_max: int = SHOWN_CHARS_MAX) -> str:
    """The text, its end replaced by … when it is too long."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def listed(names: Iterable[object], separator: str = ", ") -> str:
    """A list in a message: all of up to LISTED_MAX elements, or `n1, n2, n3 and 2 more`."""
    texts = [str(name) for name in names]
    shown = separator.join(texts[:LISTED_MAX])
    left_out = len(texts) - LISTED_MAX
    before = " " if separator == ", " else separator  # So that a list of lists can be read.
    return f"{shown}{before}and {left_out:,} more" if left_out > 0 else shown


def count_text(number: int, noun: str) -> str:
    """`1 anomaly`, `2 anomalies`, `3 replays`, `5,000 operations`."""
    if number == 1:
        return f"1 {noun}"
    is_after_vowel = noun.endswith(("ay", "ey", "oy", "uy"))
    plural = noun[:-1] + "ies" if noun.endswith("y") and not is_after_vowel else noun + "s"
    return f"{number:,} {plural}"


def reason(error: BaseException) -> str:
    """Its message, or its name when it has none."""
    return str(error) or type(error).__name__


def show_ns(time_ns: int) -> str:
    """A time of a history in seconds, to the millisecond."""
    return f"{time_ns / 1e9:.3f} s"


def printable(text: str, *, keep: str = "") -> str:
    """
    A text in which nothing drives a terminal, hides, or turns the direction of reading.

    Control characters, marks of direction, halves of surrogate pairs and the like are written as
    Python would write them in a string: `\\x1b`, `\\u202e`.

    Args:
        keep: Characters that stay what they are, such as line ends.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text
    )
