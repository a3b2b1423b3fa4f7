"""Order, components and cycles of graphs of dependencies; and against the definitions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.native.graph import NO_KEY, Graph, Kind

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


LINE = re.compile(
    r"cases (\d+) cyclic (\d+) classes ([\d ]+) repeated (\d+) uncertain (\d+) longer (\d+)"
    r" mismatches (\d+)\n"
)


def _compare(program: Path, cases: int, seed: int) -> list[list[int]]:
    done = subprocess.run(
        [program, str(cases), str(seed)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    match = LINE.fullmatch(done.stdout)
    assert match is not None, done.stdout
    return [[int(n) for n in group.split()] for group in match.groups()]


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
    program = build("compare_graph", "-O1", "-g", "-fsanitize=address,undefined")

    assert _compare(program, -1_000, 3)[-1] == [0]
