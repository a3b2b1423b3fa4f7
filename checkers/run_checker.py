"""What a checker that judges every run is given, and its record in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dissever.harness.episodes import Actions
from dissever.harness.results import Checker


@dataclass(frozen=True, slots=True)
class NodeLog:
    """
    What one node left behind.

    `lines` are of the file at `path`, the first one being line 1. `exit_signals` are the signals
    that ended its processes, in order; exits that were no signal are not among them.
    """

    node: str
    path: str
    lines: Sequence[str] = ()
    exit_signals: tuple[int, ...] = ()


Make: TypeAlias = Callable[[Actions, Sequence[NodeLog]], Checker]
"""From the operations of the run's nemeses, and from what its nodes left behind."""


@dataclass(frozen=True, slots=True)
class RunChecker:
    """A checker of every run. Its file calls this record RUN_CHECKER."""

    name: str
    description: str
    make: Make
