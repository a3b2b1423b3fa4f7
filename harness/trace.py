"""
What only a simulation knows, such as messages between servers: the lines of `simulation.jsonl`.

A line is an object with its `time` and `kind`; docs/simulation.md lists the kinds. Lines are kept
in memory while a run goes on, because the moment from which a run counts its time is known only
once its first operation begins. What happened before that has a negative time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

LINES_MAX: Final = 200_000
"""Past these only violations are kept, and a note says so."""

NOTE: Final = "note"
VIOLATION: Final = "violation"
END: Final = "end"
"""The last line of a simulator: what it counted, and the hash of all its events."""

HASH: Final = "hash"

_KEPT: Final = (VIOLATION, END)

_TIME: Final = b'{"time":'

_Line: TypeAlias = Mapping[str, Any] | tuple[int, bytes]
"""An object; or a simulator's time, and its text after the time."""


class Trace:
    """
    Lines in the order in which they happened.

    Args:
        is_on: False keeps violations, which verdicts depend on, and the last line: everything else
            explains.
    """

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        """Whether it is of any use to make a line that is no violation."""
        self.begun_ns = 0
        """When the time of a simulator began, on the clock of the event loop."""
        self._lines: list[_Line] = []

    @property
    def lines(self) -> Sequence[_Line]:
        """What it holds, as it came."""
        return tuple(self._lines)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line. `time` is in ns on the clock of the event loop."""
        if line["kind"] in _KEPT:
            self._lines.append(line)
        elif self.is_on:
            self._lines.append(line)
            self._limit(line["time"])

    def add_text(self, time_ns: int, line: bytes) -> None:
        """
        Take a line as JSON that begins with its time, as a simulator writes it.

        Args:
            time_ns: The same time, on the simulator's clock.

        Raises:
            ValueError: When it begins in another way.
        """
        if self.is_on:
            end = line.find(b",")
            if end < 0 or not line.startswith(_TIME):
                raise ValueError(f"expected a line that begins with its time, got {line[:80]!r}")
            self._lines.append((time_ns, line[end:]))
            self._limit(time_ns + self.begun_ns)

    def end(self, time_ns: int, summary: Mapping[str, str]) -> None:
        """Take what a simulator says at its end, if it does: the hash of all its events, counts."""
        if not summary:
            return
        counts = {
            name: int(value) if value.isdecimal() else value
            for name, value in summary.items()
            if name != HASH
        }
        self.add({"time": time_ns, "kind": END, HASH: summary.get(HASH, ""), "counts": counts})

    def _limit(self, time_ns: int) -> None:
        if len(self._lines) >= LINES_MAX:
            self.is_on = False
            text = f"this file ends with its {LINES_MAX:,} lines; only violations are added"
            self._lines.append({"time": time_ns, "kind": NOTE, "node": None, "text": text})

    def content(self, origin_ns: int) -> bytes:
        """The file. Times are counted from the origin, a time on the clock of the event loop."""
        encode = msgspec.json.Encoder().encode
        shift_ns = self.begun_ns - origin_ns
        written = [
            b"%b%d%b" % (_TIME, line[0] + shift_ns, line[1])
            if isinstance(line, tuple)
            else encode({**line, "time": line["time"] - origin_ns})
            for line in self._lines
        ]
        return b"".join(line + b"\n" for line in written)
