"""
A one-line notation for histories.

One event a line: `[@MS] PROCESS TYPE [KEY/]F [VALUE]`. Without @MS, an event comes 1 ms after the
one before. A value is a Python literal, to the end of the line. A process that is no number is a
nemesis.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type

_LINE = re.compile(
    r"(?:@(?P<ms>\d+)\s+)?(?P<process>\S+)\s+(?P<type>invoke|ok|fail|info)\s+"
    r"(?:(?P<key>[^/\s]+)/)?(?P<f>[\w-]+)\s*(?P<value>.*)"
)


def _history(text: str) -> History:
    events: list[Event] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _LINE.fullmatch(line)
        assert match, line
        before_ns = events[-1].time if events else -1_000_000
        ms, process = match["ms"], match["process"]
        value: Any = ast.literal_eval(match["value"]) if match["value"] else None
        events.append(
            Event(
                index=len(events),
                time=int(ms) * 1_000_000 if ms else before_ns + 1_000_000,
                process=int(process) if process.isdigit() else process,
                type=Type(match["type"]),
                f=match["f"],
                value=value,
                key=match["key"],
            )
        )
    return History(tuple(events))


@pytest.fixture(scope="session")
def history() -> Callable[[str], History]:
    """The function from the notation to a history."""
    return _history
