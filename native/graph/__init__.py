"""
The graph of dependencies between operations: its order, its components, its cycles by name.

The one decision that is not obvious: the engines of transactions use the functions of C directly,
without a list of edges in Python. What is here serves tests, benchmarks and small graphs.

Source: `graph.h`, which defines vertices, kinds, rungs and levels.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from dissever.native._search import ffi, lib


class Kind(IntEnum):
    """Of an edge; an edge that leaves an auxiliary vertex is a LINK."""

    WW = lib.GRAPH_WW
    WR = lib.GRAPH_WR
    RW = lib.GRAPH_RW
    PROCESS = lib.GRAPH_PROCESS
    REALTIME = lib.GRAPH_REALTIME
    SESSION = lib.GRAPH_SESSION
    COMMIT = lib.GRAPH_COMMIT
    LINK = lib.GRAPH_LINK


class Rung(IntEnum):
    """Which data edges a cycle has, from the worst on; CYCLE is any, of `shortest`."""

    G0 = lib.GRAPH_G0
    G1C = lib.GRAPH_G1C
    G_SINGLE = lib.GRAPH_G_SINGLE
    G_NONADJACENT = lib.GRAPH_G_NONADJACENT
    G2 = lib.GRAPH_G2
    CYCLE = lib.GRAPH_CYCLE


class Level(IntEnum):
    """Which other edges a cycle needs."""

    DATA = lib.GRAPH_DATA
    PROCESS = lib.GRAPH_WITH_PROCESS
    REALTIME = lib.GRAPH_WITH_REALTIME


ALL: Final[int] = lib.GRAPH_MASK_ALL
"""The mask of all kinds; the bit of a kind is `1 << kind`."""

NO_KEY: Final[int] = lib.GRAPH_NO_KEY
"""The key of an edge that no data make."""

CYCLES_MAX: Final = 8
VECTORS_MAX: Final = 1 << 26
STEPS_MAX: Final = 1 << 25
"""Budgets: witnesses of a class, vectors of 512 bits, and edges looked at; see `graph_options`."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """
    A closed walk; `graph_cycle` in `graph.h` says what each field holds.

    `steps` are (from, to, kind, key), from the least operation of the walk on.
    """

    rung: Rung
    level: Level
    component: int
    closing: int
    is_shortest: bool
    is_simple: bool
    is_certain: bool
    steps: tuple[tuple[int, int, Kind, int], ...]


@dataclass(frozen=True, slots=True)
class Cycles:
    """
    The cycles of a graph; `graph_cycles` in `graph.h` says what each field holds.

    `counts` is by level and rung, without those that are zero.
    """

    cycles: tuple[Cycle, ...]
    counts: dict[tuple[Level, Rung], int]
    components: int
    largest: int
    undetermined: int
    vectors: int
    steps: int


@dataclass(frozen=True, slots=True)
class Sorted:
    """Vertices in topological order, and by vertex the number of its component."""

    components: int
    component: array[int]
    order: array[int]


class Graph:
    """
    Edges as arrays.

    Args:
        operations: How many vertices are operations, from 0 on.
        edges: (from, to, kind, key) each.
        vertices: With the auxiliary ones behind; as many as operations unless given.
    """

    def __init__(
        self,
        operations: int,
        edges: Iterable[tuple[int, int, int, int]],
        vertices: int | None = None,
    ) -> None:
        self.operations = operations
        self.vertices = operations if vertices is None else vertices
        columns = tuple(zip(*edges, strict=True)) or ((), (), (), ())
        self._from, self._to = (array("I", column) for column in columns[:2])
        self._kind = array("B", columns[2])
        self._key = array("i", columns[3])

    def __len__(self) -> int:
        """Edges."""
        return len(self._kind)

    def sort(self, mask: int = ALL, roots: Sequence[int] | None = None) -> Sorted:
        """
        Components in topological order; see `graph_sort`.

        Raises:
            ValueError: When the edges are malformed, or a root does not exist.
            MemoryError: When it does not fit into memory.
        """
        component, order = (array("I", bytes(4 * self.vertices)) for _ in range(2))
        first = ffi.NULL if roots is None else _words(array("I", roots))
        with self._built() as (graph, _):
            n = lib.graph_sort(
                graph, mask, first, len(roots or ()), _words(component), _words(order)
            )
        _raise_for(n)
        return Sorted(n, component, order)

    def classify(
        self,
        *,
        level: Level = Level.REALTIME,
        cycles_max: int = CYCLES_MAX,
        vectors_max: int = VECTORS_MAX,
        steps_max: int = STEPS_MAX,
    ) -> Cycles:
        """
        Name every class of cycles, up to a level; see `graph_classify`.

        Raises:
            ValueError: When the edges are malformed.
            MemoryError: When it does not fit into memory.
        """
        options = (cycles_max, level, vectors_max, steps_max)
        return self._found(lib.graph_classify, options)

    def shortest(self, mask: int = ALL, *, cycles_max: int = CYCLES_MAX) -> Cycles:
        """
        A shortest cycle of each component by the edges of a mask; see `graph_shortest`.

        Raises:
            ValueError: When the edges are malformed.
            MemoryError: When it does not fit into memory.
        """
        return self._found(lib.graph_shortest, (cycles_max, 0, 0, STEPS_MAX), mask)

    def _found(self, function: Any, options: tuple[int, ...], *more: int) -> Cycles:
        found = ffi.new("struct graph_cycles *")
        with self._built() as (graph, edges):
            try:
                asked = ffi.new("struct graph_options *", options)
                _raise_for(function(graph, edges, *more, asked, found))
                return cycles_of(found)
            finally:
                lib.graph_cycles_free(found)

    @contextmanager
    def _built(self) -> Iterator[tuple[Any, Any]]:
        """A `struct graph *` and its `struct graph_edges *`, for as long as they are needed."""
        edges = ffi.new("struct graph_edges *", {"n": len(self), "capacity": len(self)})
        edges.__setattr__("from", _words(self._from))
        edges.to = _words(self._to)
        edges.kind = ffi.from_buffer("uint8_t[]", self._kind)
        edges.key = ffi.from_buffer("int32_t[]", self._key)
        graph = ffi.new("struct graph *")
        try:
            _raise_for(lib.graph_build(graph, edges, self.operations, self.vertices))
            yield graph, edges
        finally:
            lib.graph_free(graph)


def _words(values: array[int]) -> Any:
    return ffi.from_buffer("uint32_t[]", values)


def _raise_for(answer: int) -> None:
    if answer == lib.GRAPH_MEMORY:
        raise MemoryError("the graph does not fit into memory")
    if answer < 0:
        raise ValueError("expected edges between vertices that exist, as graph.h describes them")


def cycles_of(found: Any) -> Cycles:
    """Those of a `struct graph_cycles *`, copied."""
    counts = {
        (level, rung): found.counts[level * lib.GRAPH_RUNGS + rung]
        for level in Level
        for rung in list(Rung)[: lib.GRAPH_RUNGS]
    }
    return Cycles(
        tuple(_cycle(found.cycles[i], found.walk) for i in range(found.n)),
        {name: n for name, n in counts.items() if n},
        found.components,
        found.largest,
        found.undetermined,
        found.vectors,
        found.steps,
    )


def _cycle(cycle: Any, walk: Any) -> Cycle:
    steps = walk[cycle.first : cycle.first + cycle.length]
    return Cycle(
        Rung(cycle.rung),
        Level(cycle.level),
        cycle.component,
        cycle.closing,
        bool(cycle.is_shortest),
        bool(cycle.is_simple),
        bool(cycle.is_certain),
        tuple((getattr(each, "from"), each.to, Kind(each.kind), each.key) for each in steps),
    )
