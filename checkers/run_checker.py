"""What a checker that judges every run is given, and its record in the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dissever.harness.episodes import Actions
from dissever.harness.results import Checker


@dataclass(frozen=True, slots=True)
class NodeLog:
    """
    A log that one node left behind: `lines` of the file at `path`, the first one being line 1.
    """

    node: str
    path: str
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NodeEnd:
    """
    The end of a node's process.

    `exit_status` is negative for a signal. `is_asked`: the harness caused it. `time_ns` is counted
    since the run began; None when nobody knows. `next_ns` is when the node's next process had
    begun; None when none has, or nobody knows.
    """

    node: str
    incarnation: int
    exit_status: int
    is_asked: bool
    time_ns: int | None = None
    next_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that a simulation saw broken. `node` None: it is about no single one."""

    name: str
    node: str | None
    text: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Remains:
    """
    What is known of a run in addition to its history: what it left, and what it had to reach.

    `nodes` are all nodes of the run. `lost_ns` is the time at which a part of the harness was found
    gone; None when all of it lasted. `ok_min` is how many operations of each kind must have
    succeeded while faults were in force. `aimed` are the faults that somebody asked to strike the
    leader or followers; None when nobody knows which targets were drawn. `violations` are those
    that a simulation saw; None when nobody looked.
    """

    nodes: Sequence[str] = ()
    logs: Sequence[NodeLog] = ()
    ends: Sequence[NodeEnd] = ()
    lost_ns: int | None = None
    ok_min: int = 1
    aimed: Collection[str] | None = None
    violations: Sequence[Violation] | None = None


Make: TypeAlias = Callable[[Actions, Remains], Checker]
"""From the operations of the run's nemeses, and from what else is known of the run."""


@dataclass(frozen=True, slots=True)
class RunChecker:
    """
    A checker of every run. Its file calls this record RUN_CHECKER.

    `applies`: whether it has anything to say of a run that left this behind.
    """

    name: str
    description: str
    make: Make
    applies: Callable[[Remains], bool] = lambda _: True
