"""
A short notation for histories of transactions, after that of Elle's tests.

One transaction a line: `[pPROCESS] START..END TYPE MICROS`. The times are in ms; END is `-` of one
that is open at the end. `ax1` appends 1 to the list x, `rx12` reads it as [1, 2], `wx1` writes 1 to
the register x and `rx1` reads it. `rx_` reads nothing: the empty list, or nil. Without pPROCESS
each line is a process of its own. At one time invocations come after completions.
"""

from __future__ import annotations

import re
from typing import Any

from dissever.harness.history import Event, History, Type

_LINE = re.compile(r"(?:p(\d+) )?(\d+)\.\.(\d+|-) (ok|fail|info) (.*)")
_MICRO = re.compile(r"([raw])([a-z])(\d+|_)")


def recorded(text: str, *, rules: str) -> History:
    """The history that the text describes; `rules` are those of the checker."""
    events: list[tuple[int, bool, int, Type, list[Any]]] = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines()))):
        match = _LINE.fullmatch(line)
        assert match, line
        process = int(match[1]) if match[1] else 100 + number
        micros = [_micro(each, rules) for each in match[5].split()]
        asked = [[f, key, None if f == "r" else value] for f, key, value in micros]
        kind = Type(match[4])
        events.append((int(match[2]), True, process, Type.INVOKE, asked))
        if match[3] != "-":
            events.append((int(match[3]), False, process, kind, micros if kind == "ok" else asked))
    events.sort(key=lambda event: event[:2])
    return History(
        Event(index, time * 1_000_000, process, kind, "txn", value)
        for index, (time, _, process, kind, value) in enumerate(events)
    )


def _micro(text: str, rules: str) -> list[Any]:
    match = _MICRO.fullmatch(text)
    assert match, text
    f, key, value = match.groups()
    if f == "r" and rules == "append":
        return ["r", key, [] if value == "_" else [int(digit) for digit in value]]
    return [{"a": "append"}.get(f, f), key, None if value == "_" else int(value)]
