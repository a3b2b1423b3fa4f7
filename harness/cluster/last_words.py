"""Why a node ended: what it said last."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dissever.harness.cluster import Cluster, NodeStatus
from dissever.harness.values import printable

__all__ = ["why_it_ended"]

_LINES_MAX: Final = 3
_BYTES_MAX: Final = 2000


def why_it_ended(cluster: Cluster, node: str, status: NodeStatus) -> str:
    """
    One line for a node whose process has ended: its exit status, and its last lines.

    Those are of its standard error, or of its standard output if it said nothing there.
    """
    said: list[str] = []
    for name in ("stderr", "stdout"):
        log = cluster.directory(node) / f"{name}-{status.incarnation}.log"
        said = said or (_tail(log).split("\n") if log.is_file() else [])
        said = [line for line in said if line.strip()]
    # The node's own words, which must not drive a terminal.
    words = "; ".join(printable(line.strip()) for line in said[-_LINES_MAX:])
    return f"{node} ended with status {status.exit_status}: {words or 'it said nothing'}"


def _tail(log: Path) -> str:
    """The end of a file that may be of any length, and is a node's."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES_MAX))
        return file.read(_BYTES_MAX).decode(errors="replace")
