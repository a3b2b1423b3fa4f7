"""What the nodes were, written change by change, whatever asking them leads to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.cluster import NodeState, NodeStatus
from dissever.harness.system import Snapshot
from dissever.harness.watch.roles import ASK_LIMIT_S, watching_roles

BEGUN_S = 0.5


class Nodes:
    """Two nodes of a system that says who leads: a cluster and its deployment in one."""

    nodes = ("n1", "n2")
    exits = ()

    def __init__(self, answers: list[Any]) -> None:
        self.cluster = self
        self.states = {"n1": NodeState.RUNNING, "n2": NodeState.RUNNING}
        self.answers = answers
        self.listings = 0

    async def primaries(self) -> tuple[str, ...]:
        answer = self.answers.pop(0) if self.answers else ("n1",)
        if answer == "never":
            await asyncio.sleep(3600)
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        self.listings += 1
        return {"n1": frozenset({Snapshot("snapshot-1-20", is_installed=False)})}

    async def status(self, node: str) -> NodeStatus:
        return NodeStatus(self.states[node], 1, None, None)

    async def _none(self, node: str, timeout_s: float = 0) -> NodeStatus:
        raise AssertionError("watching changes nothing")

    start = stop = kill = pause = resume = _none


def watched(path: Path, nodes: Nodes, *, seconds: float = 10, **how: bool) -> list[dict[str, Any]]:
    """The lines that are written in so many seconds; the run begins after half a second."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + BEGUN_S

        def now_ns() -> int | None:
            return None if loop.time() < begin else round((loop.time() - begin) * 1e9)

        async with watching_roles(nodes, path, now_ns, **how):  # type: ignore[arg-type]
            await asyncio.sleep(seconds)

    clock.run(main(), is_virtual=True)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nodes.jsonl"


def leads(lines: list[dict[str, Any]], node: str) -> list[tuple[int, bool | None]]:
    """Second -> whether the node leads from then on."""
    return [(line["time"] // 10**9, line["leads"]) for line in lines if line.get("node") == node]


def test_the_file_says_when_the_run_began(path: Path) -> None:
    first, *others = watched(path, Nodes([]))

    assert first["kind"] == "clock"
    assert first["time"] == 0
    assert first["unix_ns"] > 1e18
    assert {line["kind"] for line in others} == {"node"}


def test_a_line_is_written_for_each_change_alone(path: Path) -> None:
    lines = watched(path, Nodes([["n1"], ["n1"], ["n2"], ["n1", "n2"]]))

    assert leads(lines, "n1") == [(0, True), (2, False), (3, True)]
    assert leads(lines, "n2") == [(0, False), (2, True), (4, False)]


def test_what_is_not_answered_in_time_is_not_known(path: Path) -> None:
    lines = watched(path, Nodes([["n1"], "never", ["n1"]]))

    assert leads(lines, "n1") == [(0, True), (1 + ASK_LIMIT_S, None), (2 + ASK_LIMIT_S, True)]


def test_a_failure_to_ask_is_not_known_and_asked_again(path: Path) -> None:
    lines = watched(path, Nodes([OSError("unreachable"), ["n2"]]))

    assert leads(lines, "n2") == [(0, None), (1, True), (2, False)]


def test_a_mistake_in_the_system_under_test_ends_watching_and_not_the_run(path: Path) -> None:
    lines = watched(path, Nodes([["n1"], TypeError("a mistake"), ["n2"]]))

    assert leads(lines, "n1") == [(0, True)]


def test_who_is_not_to_be_asked_is_not_asked(path: Path) -> None:
    nodes = Nodes([AssertionError("asked")])
    nodes.states["n2"] = NodeState.PAUSED
    lines = watched(path, nodes, asks=False)

    assert leads(lines, "n1") == [(0, None)]
    assert [line["state"] for line in lines if line.get("node") == "n2"] == ["paused"]
    assert nodes.listings == 0


def test_snapshots_are_listed_seldom_and_not_where_the_disk_counts(path: Path) -> None:
    nodes, counted = Nodes([]), Nodes([])
    lines = watched(path, nodes)
    watched(path, counted, lists_snapshots=False)

    assert lines[1]["snapshots"] == ["snapshot-1-20"]
    assert (nodes.listings, counted.listings) == (2, 0)
