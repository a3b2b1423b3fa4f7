"""Nodes that ended by themselves are shown, and started again if that was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.cluster import Exit, NodeState, NodeStatus
from dissever.harness.plan import OnCrash
from dissever.harness.watch.crashes import GLANCE_S, RESTART_S, Down, minding


class Nodes:
    """Implements `NodeProcesses` for two nodes."""

    nodes = ("n1", "n2")

    def __init__(self) -> None:
        self.exits: tuple[Exit, ...] = ()
        self.gone: set[str] = set()
        self.paused: set[str] = set()
        self.started: list[str] = []
        self.fails = False

    def end(self, node: str, *, is_asked: bool) -> None:
        self.exits = (*self.exits, Exit(node, 1, 1, is_asked))
        self.gone.add(node)

    async def start(self, node: str, program: Any = None) -> NodeStatus:
        self.started.append(node)
        if self.fails:
            raise OSError("no memory")
        self.gone.discard(node)
        return await self.status(node)

    async def status(self, node: str) -> NodeStatus:
        is_paused = node in self.paused
        state = NodeState.PAUSED if is_paused else NodeState.RUNNING
        state = NodeState.GONE if node in self.gone else state
        return NodeStatus(state, 1, None, None)

    async def _none(self, node: str, timeout_s: float = 0) -> NodeStatus:
        raise AssertionError("nobody asked for it")

    stop = kill = pause = resume = _none


def watched(on_crash: OnCrash, *ends: tuple[str, bool], fails: bool = False) -> Any:
    """What was shown, and which nodes were started, in five seconds after these ends."""
    nodes = Nodes()
    nodes.fails = fails
    shown: list[Mapping[str, Down]] = []

    async def main() -> None:
        async with minding(nodes, on_crash, shown.append):  # type: ignore[arg-type]
            await asyncio.sleep(1)
            for node, is_asked in ends:
                nodes.end(node, is_asked=is_asked)
            await asyncio.sleep(5)

    clock.run(main(), is_virtual=True)
    return shown, nodes.started


def test_a_node_that_crashed_is_shown_and_left() -> None:
    assert watched(OnCrash.LEAVE, ("n1", False)) == ([{"n1": Down.CRASHED}], [])


def test_a_node_that_crashed_is_started_again_if_that_was_asked() -> None:
    shown, started = watched(OnCrash.RESTART, ("n1", False))

    assert shown == [{"n1": Down.CRASHED}, {}]
    assert started == ["n1"]


@pytest.mark.parametrize("on_crash", OnCrash)
def test_a_node_that_a_fault_ended_is_left_to_the_fault(on_crash: OnCrash) -> None:
    shown = [{"n1": Down.ENDED}]

    assert watched(on_crash, ("n1", True)) == (shown, [])
    assert watched(on_crash, ("n1", False), ("n1", True)) == (shown, [])


def test_a_node_that_does_not_start_is_tried_again_and_stays_shown() -> None:
    shown, started = watched(OnCrash.RESTART, ("n1", False), fails=True)

    assert shown == [{"n1": Down.CRASHED}]
    assert len(started) == int(5 / (RESTART_S + GLANCE_S))


def test_a_node_that_stands_still_is_shown_until_it_goes_on() -> None:
    nodes = Nodes()
    shown: list[Mapping[str, Down]] = []

    async def main() -> None:
        async with minding(nodes, OnCrash.LEAVE, shown.append):  # type: ignore[arg-type]
            nodes.paused.add("n2")
            await asyncio.sleep(5)
            nodes.paused.clear()
            await asyncio.sleep(5)

    clock.run(main(), is_virtual=True)

    assert shown == [{"n2": Down.PAUSED}, {}]
