"""Which names nodes may have: they also name folders and hosts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["NODES_MAX", "check_names"]

NODES_MAX: Final = 100

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_names(nodes: Sequence[str]) -> None:
    """Raise ValueError unless these are 1 to `NODES_MAX` different names, fit for folders."""
    unfit = [node for node in nodes if not _NAME.fullmatch(node)]
    if unfit or len(set(nodes)) != len(nodes) or not 1 <= len(nodes) <= NODES_MAX:
        raise ValueError(f"expected 1 to {NODES_MAX} different names fit for folders: {nodes}")
