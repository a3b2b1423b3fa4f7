"""A clock is only seen wrong by a process: what happens when another fault ends that process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.nemesis.clocks import clock
from dissever.nemesis.clocks.clock import ClockFault, Turn
from dissever.nemesis.nodes.processes import NodeEvidence

UP, DOWN = (True,), ()
UNWORN = (False,)


def strike(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, *processes: tuple[bool, ...]
) -> tuple[NodeEvidence, list[float]]:
    """Have n1's clock jump by 10 s; the processes that each look finds, the last for good."""
    offsets: list[float] = []
    looks: Iterator[tuple[bool, ...]] = iter(processes)

    async def set_clock(_: ClockFault, node: str, offset_s: float) -> None:
        offsets.append(offset_s)

    async def read(*_: Any) -> clock._Reading:
        await asyncio.sleep(0)
        return clock._Reading((0.0,), (10_000.0,), 1.0, next(looks, processes[-1]))

    monkeypatch.setattr(ClockFault, "_set", set_clock)
    monkeypatch.setattr(ClockFault, "_read", read)
    monkeypatch.setattr(clock, "HOLD_LIMIT_S", 0.05)
    fault = ClockFault(SimpleNamespace(cluster=cluster), Turn.JUMP, is_monotonic=False)  # type: ignore[arg-type]
    return asyncio.run(fault.strike("n1", {"offset_s": 10.0})), offsets


def test_node_that_starts_again_is_waited_for(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, _ = strike(cluster, monkeypatch, DOWN, UNWORN, UP)

    assert seen.is_so
    assert not seen.skipped


def test_node_that_is_down_is_left_out_and_its_clock_is_right(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(cluster.kill("n1"))
    seen, offsets = strike(cluster, monkeypatch, DOWN)

    assert seen.skipped == "n1 was gone"
    assert offsets == [10.0, 0.0]


@pytest.mark.parametrize("processes", [DOWN, UNWORN])
def test_node_that_runs_without_its_clock_leaves_no_evidence(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, processes: tuple[bool, ...]
) -> None:
    seen, _ = strike(cluster, monkeypatch, processes)

    assert not seen.is_so
    assert not seen.skipped
