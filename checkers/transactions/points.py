"""
The start and commit points of transactions under snapshot isolation, as an order of both.

Every transaction has two points. One that depends on another starts after it committed, and one
that does not see the write of another starts before that commits. An order of the points exists
exactly if no cycle contradicts snapshot isolation, as far as the order of versions is known
(Cerone and Gotsman 2016). Where it is not, the writers of a key are taken in the order in which
they commit here; the validator then decides whether that explains every answer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from dissever.native.columns import FAIL, INFO, NONE, OK, READ, WRITE, Columns, Micro
from dissever.native.graph import Graph, Kind
from dissever.native.transactions import Edges

Arrow: TypeAlias = tuple[int, int]

DATA: Final = frozenset({Kind.WW, Kind.WR, Kind.RW})


def points_of(
    micro: Micro, edges: Edges, vertices: int, *, process: bool, realtime: bool
) -> list[tuple[int, bool]] | None:
    """
    An order of points, each the position of a transaction, and whether it is its commit.

    Args:
        edges: Of the engine, over `vertices`.
        process, realtime: What else the points must keep.

    Returns:
        None where there is no such order.
    """
    columns = micro.columns
    asked = ((Kind.PROCESS, process), (Kind.REALTIME, realtime))
    kept = DATA | frozenset(kind for kind, is_asked in asked if is_asked)
    arrows = list(_arrows(len(columns), edges, kept))
    size = 2 * vertices
    order = _sorted(arrows, size, columns)
    if order is None:
        return None
    seen = _seen(columns, edges)
    place = {point: at for at, point in enumerate(order)}
    arrows += _writers_in_order(micro, place, seen)
    order = _sorted(arrows, size, columns)
    if order is None:
        return None
    count = len(columns)
    return [
        (point % count, point >= count)
        for point in order
        if point < 2 * count and seen[point % count]
    ]


def _arrows(count: int, edges: Edges, kept: frozenset[Kind]) -> Iterator[Arrow]:
    """
    Between points: of transaction v the start is v and the commit count + v. Each auxiliary vertex
    has two places behind them: one on ways to a start, one on ways to a commit.
    """
    yield from ((each, count + each) for each in range(count))
    for source, target, kind, _ in zip(
        edges.sources, edges.targets, edges.kinds, edges.keys, strict=True
    ):
        if kind == Kind.LINK:
            for to_commit in (0, 1):
                yield 2 * source + to_commit, _end(target, count, to_commit)
        elif kind in kept:
            misses = int(kind == Kind.RW)
            yield source if misses else count + source, _end(target, count, misses)


def _end(target: int, count: int, to_commit: int) -> int:
    return target + count * to_commit if target < count else 2 * target + to_commit


def _sorted(arrows: list[Arrow], size: int, columns: Columns) -> array[int] | None:
    """The points in an order near to what happened, or None where there is a cycle."""
    count = len(columns)
    graph = Graph(size, ((source, target, Kind.WW, NONE) for source, target in arrows))
    times = [*columns.inv, *(ret if ret != NONE else 2**31 for ret in columns.ret)]
    roots = sorted(range(2 * count), key=times.__getitem__)
    found = graph.sort(roots=roots)
    return found.order if found.components == size else None


def _seen(columns: Columns, edges: Edges) -> list[bool]:
    """Whether a transaction took effect, as far as anybody saw: what is open and unseen did not."""
    seen = [kind == OK for kind in columns.type]
    for source, kind in zip(edges.sources, edges.kinds, strict=True):
        if kind in DATA and source < len(seen) and columns.type[source] == INFO:
            seen[source] = True
    return seen


def _writers_in_order(micro: Micro, place: dict[int, int], seen: list[bool]) -> Iterator[Arrow]:
    """That the writers of each key follow one another, and readers come before the next writer."""
    count = len(micro.columns)
    writers: dict[int, dict[int, None]] = {}
    last: dict[tuple[int, int], int] = {}  # Of a register: who wrote a value.
    reads: list[tuple[int, int, int]] = []
    for row in range(count):
        if micro.columns.type[row] == FAIL or not seen[row]:
            continue
        own: set[int] = set()
        for at in range(micro.first[row], micro.first[row + 1]):
            key, value = micro.key[at], micro.value[at]
            if micro.kind[at] != READ:
                writers.setdefault(key, {})[row] = None
                last[key, value] = row
                own.add(key)
            elif micro.list[at] == NONE and value != NONE and key not in own:
                reads.append((row, key, value))
    following: dict[tuple[int, int], int] = {}
    for key, rows in writers.items():
        ordered = sorted(rows, key=lambda row: place[count + row])
        following[key, NONE] = ordered[0]
        for one, other in pairwise(ordered):
            following[key, one] = other
            yield count + one, other
    if not any(kind == WRITE for kind in micro.kind):
        return
    for row, key, value in reads:
        writer = last.get((key, value), NONE)
        after = following.get((key, writer))
        if after is not None and after != row:
            yield row, count + after
