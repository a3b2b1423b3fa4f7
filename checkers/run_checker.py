"""What a checker that judges every run is given, and its record in the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from dissever.harness.episodes import Actions
from dissever.harness.results import Checker


class Lines(Protocol):
    """The lines of a log, as often as they are asked for; a list of texts is one."""

    def __iter__(self) -> Iterator[str]:
        """Every line, the first one being line 1."""

    def __len__(self) -> int:
        """How many there are."""


@runtime_checkable
class Searchable(Protocol):
    """Lines that are read in parts and never held: a log may be larger than the memory."""

    def containing(self, words: Collection[str]) -> Iterator[tuple[int, str]]:
        """Those that hold one of the words, with their numbers. Words have at least 4 letters."""

    def last(self, count: int) -> list[tuple[int, str]]:
        """The last ones with their numbers, at most `count`."""


@dataclass(frozen=True, slots=True)
class NodeLog:
    """
    A log that one node left behind: `lines` of the file at `path`, the first one being line 1.

    Every iteration over `lines` may read the file once more.
    """

    node: str
    path: str
    lines: Lines = ()

    def containing(self, words: Collection[str]) -> Iterator[tuple[int, str]]:
        """The lines that hold one of the words, with their numbers; it reads the log once."""
        if isinstance(self.lines, Searchable):
            yield from self.lines.containing(words)
            return
        for number, line in enumerate(self.lines, 1):
            if any(word in line for word in words):
                yield number, line

    def last(self, count: int) -> list[tuple[int, str]]:
        """The last lines with their numbers, at most `count`."""
        if isinstance(self.lines, Searchable):
            return self.lines.last(count)
        return list(enumerate(self.lines, 1))[-count:]


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
