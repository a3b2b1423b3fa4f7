"""Order, components and cycles of graphs of dependencies; and against the definitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from dissever.native.graph import (
    NO_KEY,
    STEPS_MAX,
    VECTORS_MAX,
    Cycle,
    Cycles,
    Graph,
    Kind,
    Level,
    Rung,
)

from .comparisons import compared

WW, WR, RW, PROCESS, REALTIME, LINK = (
    Kind[name] for name in ("WW", "WR", "RW", "PROCESS", "REALTIME", "LINK")
)


def graph(operations: int, *edges: tuple[int, int, Kind], vertices: int | None = None) -> Graph:
    return Graph(operations, [(*edge, NO_KEY) for edge in edges], vertices)


def test_vertices_without_cycles_come_in_topological_order_near_to_the_roots() -> None:
    found = graph(5, (4, 1, WW), (1, 0, WR)).sort(roots=[0, 2, 1, 4, 3])

    assert found.components == 5
    assert list(found.order) == [4, 1, 0, 2, 3]
    assert found.component[4] < found.component[1] < found.component[0]


def test_vertices_of_a_cycle_are_one_component() -> None:
    found = graph(4, (0, 1, WW), (1, 2, RW), (2, 1, WR), (2, 3, WW)).sort()

    assert found.components == 3
    assert list(found.component) == [0, 1, 1, 2]


def test_mask_hides_edges_but_never_links() -> None:
    edges = graph(2, (0, 2, REALTIME), (2, 1, LINK), (1, 0, RW), vertices=3)

    assert edges.sort().components == 1
    assert edges.sort(1 << WW).components == 3
    assert edges.sort(1 << RW | 1 << REALTIME).components == 1


@pytest.mark.parametrize(
    "edge", [(0, 0, WW), (0, 3, WW), (3, 0, WW), (0, 1, LINK), (2, 0, WW), (0, 1, 8)]
)
def test_malformed_edges_are_refused(edge: tuple[int, int, Kind]) -> None:
    with pytest.raises(ValueError, match="expected edges between vertices that exist"):
        graph(2, edge, vertices=3).sort()


def test_root_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        graph(1).sort(roots=[1])


def names(found: Cycles) -> list[tuple[Level, Rung]]:
    return [(cycle.level, cycle.rung) for cycle in found.cycles]


def kinds(cycle: Cycle) -> list[Kind]:
    return [kind for _, _, kind, _ in cycle.steps]


def test_walk_of_g_nonadjacent_may_visit_an_operation_twice() -> None:
    v, w, x, y, z = range(5)
    found = graph(
        5, (v, w, RW), (w, x, WW), (x, v, RW), (v, y, WW), (y, z, RW), (z, v, WW)
    ).classify()

    single, nonadjacent = found.cycles
    assert names(found) == [(Level.DATA, Rung.G_SINGLE), (Level.DATA, Rung.G_NONADJACENT)]
    assert (kinds(single), single.is_simple, single.closing) == ([WW, RW, WW], True, 1)
    assert kinds(nonadjacent) == [RW, WW, RW, WW, RW, WW]
    assert (nonadjacent.is_simple, nonadjacent.is_shortest, nonadjacent.closing) == (False, True, 2)


def test_of_parallel_edges_the_strongest_names_the_cycle() -> None:
    both = graph(2, (0, 1, RW), (0, 1, WR), (0, 1, WW), (1, 0, WW), (1, 0, RW)).classify()
    apart = graph(2, (0, 1, PROCESS), (0, 1, RW), (1, 0, RW)).classify()

    assert names(both) == [(Level.DATA, Rung.G0)]
    assert names(apart) == [(Level.DATA, Rung.G2), (Level.PROCESS, Rung.G_SINGLE)]


def test_run_of_process_edges_is_one_step() -> None:
    found = graph(4, (0, 1, PROCESS), (1, 2, PROCESS), (2, 3, PROCESS), (3, 0, WW)).classify()

    assert [cycle.steps for cycle in found.cycles] == [((0, 3, PROCESS, -1), (3, 0, WW, -1))]
    assert found.counts == {(Level.PROCESS, Rung.G0): 1}


def test_path_over_auxiliary_vertices_is_one_step_with_the_key_of_its_first_edge() -> None:
    edges = [(0, 3, RW, 7), (3, 4, LINK, NO_KEY), (4, 1, LINK, NO_KEY), (1, 2, WW, 8)]

    found = Graph(3, [*edges, (2, 0, WR, 9), (2, 0, WR, 10)], 5).classify()

    assert [cycle.steps for cycle in found.cycles] == [
        ((0, 1, RW, 7), (1, 2, WW, 8), (2, 0, WR, 9))
    ]


def test_one_rw_in_a_ring_is_found_among_noise() -> None:
    rng = Random(1)
    ring = range(500, 60_000, 59)
    edges = [(a, b, WW) for a, b in pairwise(ring)]
    noise = [sorted(rng.sample(range(60_000), 2)) for _ in range(50_000)]

    found = graph(60_000, *edges, (ring[-1], ring[0], RW), *((a, a - 1, WR) for a in range(1, 400)))
    among = graph(60_000, *edges, (ring[-1], ring[0], RW), *((a, b, RW) for a, b in noise))

    (cycle,) = found.classify().cycles
    assert (cycle.rung, len(cycle.steps), cycle.closing) == (Rung.G_SINGLE, len(ring), 1)
    single = among.classify().cycles[0]
    assert (single.rung, len(single.steps), single.is_shortest) == (Rung.G_SINGLE, len(ring), True)


@pytest.mark.parametrize(
    ("kind", "rung"), [(WW, Rung.G0), (WR, Rung.G1C), (RW, Rung.G2)], ids=lambda each: each.name
)
def test_clique_has_one_class_alone(kind: Kind, rung: Rung) -> None:
    found = graph(60, *((a, b, kind) for a in range(60) for b in range(60) if a != b)).classify()

    assert found.counts == {(Level.DATA, rung): 1}
    assert [len(cycle.steps) for cycle in found.cycles] == [2]
    assert found.steps < 500


def test_component_of_20_000_operations_is_decided_within_the_budgets() -> None:
    rng = Random(2)
    n = 20_000
    edges = [
        (i, min(n - 1, i + rng.randint(1, 200)), rng.choice((WW, WR, RW))) for i in range(n - 1)
    ]
    back = [(min(n - 1, i + rng.randint(1, 200)), i, RW) for i in range(n - 1)]
    ring = [(n - 1, 0, RW)]

    found = graph(n, *edges, *back, *ring).classify()

    assert (found.components, found.undetermined) == (1, 0)
    assert found.largest > 19_000
    assert {rung for _, rung in found.counts} == {Rung.G_SINGLE, Rung.G_NONADJACENT, Rung.G2}
    assert all(cycle.is_shortest and cycle.is_certain for cycle in found.cycles)
    assert found.vectors < VECTORS_MAX / 50
    assert found.steps < STEPS_MAX / 5


def test_g_single_is_told_from_g_nonadjacent_for_many_sources_at_a_time() -> None:
    rng = Random(3)
    n = 600
    data = [(i, min(n - 1, i + rng.randint(1, 40)), WW) for i in range(n - 1) for _ in range(2)]
    back = [(i, max(0, i - rng.randint(1, 40)), RW) for i in range(1, n)]
    after: list[set[int]] = [set() for _ in range(n)]
    for u, v, _ in sorted(data, reverse=True):
        after[u] |= {v} | after[v]

    found = graph(n, *data, *back).classify()

    assert len({v for _, v, _ in back}) > 64
    assert [cycle.closing for cycle in found.cycles if cycle.rung is Rung.G_SINGLE] == [
        len({(u, v) for u, v, _ in back if u in after[v]})
    ]


def test_tail_too_large_to_be_written_out_keeps_how_operations_were_reached() -> None:
    n = 1100  # Squared it is more than the limit of climb.h.
    edges = []
    for reader in range(0, 4 * n, 4):
        append, second, third = reader + 1, reader + 2, reader + 3
        edges += [(reader, 4 * n, RW), (4 * n, append, LINK), (append, third, RW)]
        edges += [(append, second, WR), (second, third, RW), (third, reader, WR)]

    found = graph(4 * n, *edges, vertices=4 * n + 1).classify()

    nonadjacent, adjacent = found.cycles
    assert names(found) == [(Level.DATA, Rung.G_NONADJACENT), (Level.DATA, Rung.G2)]
    assert (kinds(nonadjacent), nonadjacent.closing) == ([RW, WR, RW, WR], 2 * n)
    assert (kinds(adjacent), adjacent.closing) == ([RW, RW, WR], n)


def test_what_the_budget_leaves_open_is_said_to_be_so() -> None:
    long_fork = graph(4, (0, 1, RW), (1, 2, WR), (2, 3, RW), (3, 0, WR))

    unsure = graph(3, (0, 1, RW), (1, 2, WW), (2, 0, WR)).classify(vectors_max=0)
    rings = graph(20, *((i, (i + 1) % 20, RW) for i in range(20))).classify(steps_max=0)

    assert unsure.undetermined == 1
    assert names(unsure) == [(Level.DATA, Rung.G_SINGLE)]  # The witness shows it by itself.
    assert long_fork.classify().undetermined == 0
    assert [cycle.is_shortest for cycle in rings.cycles] == [False]


def test_no_more_cycles_than_asked_for_are_shown_and_all_are_counted() -> None:
    pairs = [((a, a + 1, WW), (a + 1, a, WW)) for a in range(0, 40, 2)]

    found = graph(40, *(edge for pair in pairs for edge in pair)).classify(cycles_max=3)

    assert [cycle.component for cycle in found.cycles] == [0, 2, 4]
    assert found.counts == {(Level.DATA, Rung.G0): 20}


LINE = re.compile(
    r"cases (\d+) cyclic (\d+) classes ([\d ]+) repeated (\d+) uncertain (\d+) longer (\d+)"
    r" mismatches (\d+)"
)


def _compare(program: Path, cases: int, seed: int) -> list[list[int]]:
    (groups,) = compared(program, LINE, cases, seed)
    return [[int(n) for n in group.split()] for group in groups]


def test_classes_and_definitions_agree(build: Callable[..., Path]) -> None:
    program = build("compare_graph", is_strict=True)

    (cases,), (cyclic,), classes, (repeated,), (uncertain,), (longer,), (mismatches,) = _compare(
        program, 20_000, 5
    )

    assert mismatches == 0
    assert 0.3 < cyclic / cases < 0.8
    assert min(classes) > 40
    assert min(repeated, uncertain, longer) > 0


def test_memory_is_used_as_it_should_be(build: Callable[..., Path]) -> None:
    program = build("compare_graph", "-O0", "-g", "-fsanitize=address,undefined")

    assert _compare(program, -1_000, 3)[-1] == [0]
