"""Random numbers: one seed per run, and an independent stream for each purpose, by name."""

from __future__ import annotations

from random import Random


def stream(seed: int, name: str) -> Random:
    """The stream of that name; drawing from one stream does not shift the others."""
    return Random(f"{seed}/{name}")
