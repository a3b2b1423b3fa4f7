"""What a machine or a system lacks: the answer of every probe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """Why something cannot be done here, and what would help."""

    reason: str
    remedy: str
