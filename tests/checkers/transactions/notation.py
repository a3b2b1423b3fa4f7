"""
Two notations for histories of transactions, one transaction a line.

`recorded` reads a short one, after that of Elle's tests: `[pPROCESS] START..END TYPE MICROS`. The
times are in ms; END is `-` of one that is open at the end. `ax1` appends 1 to the list x, `rx12`
reads it as [1, 2], `wx1` writes 1 to the register x and `rx1` reads it. `rx_` reads nothing: the
empty list, or nil. Without pPROCESS each line is a process of its own. At one time invocations come
after completions.

`history` reads that of docs/transactions.md: `0 0-1 ok r x [1], append y 2` has the process, the
first and the last second, how it ended, and the micro-operations. One that is `open` has no
completion. At one time invocations come before completions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from dissever.harness.history import Event, History, Type

_LINE = re.compile(r"(?:p(\d+) )?(\d+)\.\.(\d+|-) (ok|fail|info) (.*)")
_MICRO = re.compile(r"([raw])([a-z])(\d+|_)")

_Dated: TypeAlias = tuple[int, int, int, Type, list[Any]]
"""Time, place among those of that time, process, type and value."""


def recorded(text: str, *, rules: str) -> History:
    """The history that the short notation describes; `rules` are those of the checker."""
    events: list[_Dated] = []
    for number, line in enumerate(_lines(text)):
        match = _LINE.fullmatch(line)
        assert match, line
        process = int(match[1]) if match[1] else 100 + number
        micros = [_short(each, rules) for each in match[5].split()]
        kind = Type(match[4])
        events.append((int(match[2]), 1, process, Type.INVOKE, _asked(micros)))
        if match[3] != "-":
            value = micros if kind == "ok" else _asked(micros)
            events.append((int(match[3]), 0, process, kind, value))
    return _history(events, 1_000_000)


def history(text: str) -> History:
    """The history that the notation of docs/transactions.md describes."""
    events: list[_Dated] = []
    for line in _lines(text):
        process, times, ending, rest = line.split(maxsplit=3)
        first, last = map(int, times.split("-"))
        micros = [_spelled(part) for part in rest.split(", ")]
        events.append((first, 0, int(process), Type.INVOKE, _asked(micros)))
        if ending != "open":
            value = micros if ending == "ok" else _asked(micros)
            events.append((last, 1, int(process), Type(ending), value))
    return _history(events, 1_000_000_000)


def _lines(text: str) -> Iterator[str]:
    return filter(None, map(str.strip, text.splitlines()))


def _asked(micros: list[list[Any]]) -> list[list[Any]]:
    """As they were asked: nothing is read yet."""
    return [[f, key, None if f == "r" else value] for f, key, value in micros]


def _history(events: list[_Dated], unit_ns: int) -> History:
    return History(
        Event(index, time * unit_ns, process, kind, "txn", value)
        for index, (time, _, process, kind, value) in enumerate(sorted(events, key=_place))
    )


def _place(event: _Dated) -> tuple[int, int, int]:
    return event[:3]


def _short(text: str, rules: str) -> list[Any]:
    match = _MICRO.fullmatch(text)
    assert match, text
    f, key, value = match.groups()
    if f == "r" and rules == "append":
        return ["r", key, [] if value == "_" else [int(digit) for digit in value]]
    return [{"a": "append"}.get(f, f), key, None if value == "_" else int(value)]


def _spelled(text: str) -> list[Any]:
    f, key, *rest = text.split(maxsplit=2)
    return [f, key, json.loads(rest[0].replace(" ", ", ")) if rest else None]
