"""What a program said last, which most often says why it ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dissever.harness.cluster import Cluster, NodeStatus
from dissever.harness.values import printable

__all__ = ["keep_last_words", "last_words", "why_it_ended"]

_LINES_MAX: Final = 3
_CHARS_MAX: Final = 2000
_KEPT_BYTES_MAX: Final = 1 << 20


def last_words(said: str) -> str:
    """The last lines of a program's output, on one line, and fit for a terminal."""
    lines = [line.strip() for line in said[-_CHARS_MAX:].split("\n") if line.strip()]
    return "; ".join(map(printable, lines[-_LINES_MAX:])) or "it said nothing"


def why_it_ended(cluster: Cluster, node: str, status: NodeStatus) -> str:
    """
    One line for a node whose process has ended: its exit status, and its last lines.

    Those are of its standard error, or of its standard output if it said nothing there.
    """
    said = ""
    for name in ("stderr", "stdout"):
        log = cluster.directory(node) / f"{name}-{status.incarnation}.log"
        if not said.strip() and log.is_file():
            said = _tail(log)
    return f"{node} ended with status {status.exit_status}: {last_words(said)}"


def keep_last_words(log: Path, folder: Path, incarnation: int) -> None:
    """What a program that ran many nodes said becomes the log of the one that ended it."""
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("rb") as said:
        words = said.read(_KEPT_BYTES_MAX)
    (folder / f"stderr-{incarnation}.log").write_bytes(words)


def _tail(log: Path) -> str:
    """The end of a file that may be of any length, and is a node's."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _CHARS_MAX))
        return file.read(_CHARS_MAX).decode(errors="replace")
