"""
What happened in a run at least once, by name, so that a campaign can say what never did.

A search that never saw a snapshot installed says nothing about installing snapshots. Names are
`fault kill`, `read ok`, `recovery needed a restart`, and of a simulated run `leader changed` and
the like. What is looked for follows from the plan, so an absent name is one that could have been.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dissever.harness.history import History
from dissever.harness.plan import Plan
from dissever.native.columns import FAIL, INFO, OK

__all__ = ["possible_in", "reached"]

ENDINGS: Final = {OK: "ok", FAIL: "fail", INFO: "info"}


def reached(history: History, plan: Plan, run: Path) -> tuple[str, ...]:
    """What happened, each name once, in a fixed order."""
    return ()


def possible_in(plan: Plan) -> Iterator[str]:
    """What may happen in a run of this plan."""
    yield from ()
