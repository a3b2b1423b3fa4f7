"""
What a simulation recorded in `simulation.jsonl`, as far as signatures, campaigns, replays and
stories need it.

Lines that are none of ours are passed over: the file adds to a run, and decides nothing about it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from dissever.harness import store
from dissever.signature import Roles, nobody_knows

__all__ = ["Line", "lines_of", "roles_of"]

NO_ROLE: Final = "none"


class Line(msgspec.Struct, frozen=True):
    """What counts of a line. `time` in ns of the run; what a kind does not have is empty."""

    kind: str
    time: int = 0
    node: str | None = None
    role: str = ""
    term: int = 0
    why: str = ""
    how: str = ""
    id: int | None = None
    last: int = 0
    snapshot: int = 0
    lost: int = 0
    index: int | None = None
    name: str = ""
    text: str = ""


def lines_of(run: Path) -> Iterator[Line]:
    """The lines in their order; none where the run has no such file."""
    decode = msgspec.json.Decoder(Line).decode
    try:
        with (run / store.SIMULATION).open("rb") as file:
            for line in file:
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
    except OSError:
        return


def roles_of(run: Path) -> Roles:
    """
    The role of each node over time. The file is read when the first role is asked for.

    Args:
        run: The run directory.
    """
    if not (run / store.SIMULATION).is_file():
        return nobody_knows
    changes: dict[str, tuple[list[int], list[str]]] = {}

    def role(node: str, time_ns: int) -> str:
        if not changes:
            changes[""] = ([], [])
            for line in lines_of(run):
                if line.kind == "server" and line.node:
                    times, roles = changes.setdefault(line.node, ([], []))
                    times.append(line.time)
                    roles.append("" if line.role == NO_ROLE else line.role)
        times, roles = changes.get(node, ([], []))
        before = bisect_right(times, time_ns)
        return roles[before - 1] if before else ""

    return role
