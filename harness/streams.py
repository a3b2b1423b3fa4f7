"""Random numbers: one seed per run, and an independent stream for each purpose, by name."""

from __future__ import annotations

from random import Random


def stream(seed: int, name: str) -> Random:
    """The stream of that name; the others do not shift when one is drawn from more often."""
    return Random(f"{seed}/{name}")
