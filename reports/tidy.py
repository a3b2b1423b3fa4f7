"""
JSON values as something to read: pairs, tables and words in place of braces.

The shapes are what checkers and nemeses put in their details and evidence. A key that ends in a
unit (`_ns`, `_ms`, `_s`, `_bytes`, `_kb_s`) gives the unit to its number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dissever.harness.values import shorten
from dissever.reports.labels import NS_PER_MS, NS_PER_S, duration_text

ROWS_MAX = 100
WORDS_MAX = 60
DEPTH_MAX = 6
COLUMNS_MAX = 12
INNER_COLUMNS_MAX = 5
TEXT_CHARACTERS_MAX = 2_000

# Numbers that are names: their digits are not grouped.
NAMES = frozenset({"pid", "pid_before", "port", "seed"})

KB_A_SECOND = "kb_s"
"""A key that ends so holds kilobytes a second, and no time."""

NS_PER_UNIT = {"ns": 1, "ms": NS_PER_MS, "s": NS_PER_S}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and what they stand for; `more` counts the rows that were left out."""

    rows: tuple[tuple[str, Tidy], ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal shape; `more` counts the rows that were left out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


Tidy: TypeAlias = str | Pairs | Table
"""A text is one line of words."""


def tidy(value: Any, *, name: str = "", depth: int = 0) -> Tidy:
    """The readable shape of a JSON value that stands under a key called name."""
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, (list, tuple)):
        return _sequence(value, name, depth)
    return _scalar(value, name)


def words(name: str) -> str:
    """A key as words, without its unit: `time_to_heal_ns` is `time to heal`."""
    if name.endswith(KB_A_SECOND):
        return name.removesuffix(KB_A_SECOND).replace("_", " ").strip() or "rate"
    stem, _, unit = name.rpartition("_")
    if stem and (unit in NS_PER_UNIT or unit == "bytes"):
        name = stem
    return name.replace("_", " ")


def _mapping(value: Mapping[Any, Any], depth: int) -> Tidy:
    if not value:
        return "none"
    if depth >= DEPTH_MAX:
        return _json(value)
    if all(_arrow(key) for key in value) and all(_is_scalar(part) for part in value.values()):
        return _matrix(value)
    rows = list(value.items())
    shown, more = rows[:ROWS_MAX], max(0, len(rows) - ROWS_MAX)
    columns = _shared_columns([inner for _, inner in rows])
    if depth and columns and (len(rows) == 1 or len(columns) > INNER_COLUMNS_MAX):
        return Pairs(tuple((str(key), _inline(inner)) for key, inner in shown), more)
    if columns and len(rows) > 1:
        head = ("", *(words(column) for column in columns))
        return Table(head, tuple((str(key), *_cells(inner, columns)) for key, inner in shown), more)
    pairs = [(words(str(key)), tidy(inner, name=str(key), depth=depth + 1)) for key, inner in shown]
    return Pairs(tuple(pairs), more)


def _sequence(value: Sequence[Any], name: str, depth: int) -> Tidy:
    if not value:
        return "none"
    if all(_is_edge(part) or _arrow(part) for part in value):
        return _edges([_arrow(part) or part for part in value])
    if all(_is_scalar(part) for part in value):
        return _enumerate([_scalar(part, name) for part in value])
    shown, more = value[:ROWS_MAX], max(0, len(value) - ROWS_MAX)
    columns = _shared_columns(value)
    if columns:
        head = tuple(words(column) for column in columns)
        return Table(head, tuple(_cells(part, columns) for part in shown), more)
    if depth >= DEPTH_MAX:
        return _json(value)
    pairs = [
        (str(number), tidy(part, name=name, depth=depth + 1))
        for number, part in enumerate(shown, 1)
    ]
    return Pairs(tuple(pairs), more)


def _shared_columns(values: Sequence[Any]) -> tuple[str, ...]:
    """The keys of mappings of scalars, in order of first use; empty when they are not such."""
    if not all(isinstance(value, Mapping) and value for value in values):
        return ()
    if not all(_is_scalar(cell) for value in values for cell in value.values()):
        return ()
    columns = tuple(dict.fromkeys(str(key) for value in values for key in value))
    return columns if len(columns) <= COLUMNS_MAX else ()


def _inline(value: Mapping[Any, Any]) -> str:
    """`state gone, pid 412`: for what is too wide for a table; leaves out what is none."""
    parts = [
        f"{words(str(key))} {_scalar(cell, str(key))}"
        for key, cell in value.items()
        if cell is not None
    ]
    return _enumerate(parts) or "none"


def _cells(value: Mapping[Any, Any], columns: Sequence[str]) -> tuple[str, ...]:
    by_name = {str(key): cell for key, cell in value.items()}
    return tuple(_scalar(by_name[name], name) if name in by_name else "" for name in columns)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _is_edge(value: Any) -> bool:
    """Whether the value is a pair of nodes: from where to where."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
    )


def _arrow(value: Any) -> tuple[str, str] | None:
    """The two nodes of a link that is written `n1->n2`."""
    if not isinstance(value, str):
        return None
    start, arrow, end = value.partition("->")
    return (start, end) if start and arrow and end else None


def _matrix(value: Mapping[Any, Any]) -> Table:
    """Numbers per link as a table: a row per start, a column per end."""
    links = {_arrow(key): _scalar(part, "") for key, part in value.items()}
    starts = dict.fromkeys(link[0] for link in links if link)
    ends = sorted({link[1] for link in links if link})
    rows = tuple((start, *(links.get((start, end), "") for end in ends)) for start in starts)
    return Table(("from, to", *ends), rows[:ROWS_MAX], max(0, len(rows) - ROWS_MAX))


def _edges(pairs: Sequence[Sequence[str]]) -> str:
    """`n1 → n3 n4, n2 → n3`: the pairs by where they start."""
    ends: dict[str, list[str]] = {}
    for start, end in pairs:
        ends.setdefault(start, []).append(end)
    return _enumerate([f"{start} → {' '.join(reached)}" for start, reached in ends.items()])


def _scalar(value: Any, name: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(value, name)
    return shorten(str(value), TEXT_CHARACTERS_MAX)


def _number(value: float, name: str) -> str:
    stem, _, unit = name.rpartition("_")
    if name.endswith(KB_A_SECOND):
        return f"{value:,.4g} kB/s"
    if stem and unit in NS_PER_UNIT and value >= 0:
        return duration_text(value * NS_PER_UNIT[unit])
    if name in NAMES:
        return str(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f"{text} bytes" if stem and unit == "bytes" else text


def _enumerate(parts: Sequence[str]) -> str:
    text = ", ".join(parts[:WORDS_MAX])
    return f"{text} and {len(parts) - WORDS_MAX:,} more" if len(parts) > WORDS_MAX else text


def _json(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), TEXT_CHARACTERS_MAX)
