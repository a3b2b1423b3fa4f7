"""
What each node is, second by second, for the page: whether it runs, and whether it says it leads.

Every line of `nodes.jsonl` is an object with its `time`, in ns since the run began, and its `kind`.
`clock` says which time of the world that was, `node` what a node is from then on; there is a line
for each change. No verdict depends on it: what was not answered in time is not known, and nobody is
blamed for that.

Asking costs what a client costs that asks every node once a second who leads, so it has a limit of
time, it stops where a run stops, and `--no-watch-roles` switches it off. Snapshots are listed on
the host of a node, and not where the disk counts what it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from dissever.harness.cluster import NodeProcesses
from dissever.harness.system import Deployment, Primaries, Snapshots

log = logging.getLogger(__name__)

GAP_S: Final = 1.0
"""Between the end of a look and the next one."""

START_GAP_S: Final = 0.05
"""Between two looks whether the run has begun."""

ASK_LIMIT_S: Final = 2.0
"""For one answer about all nodes."""

SNAPSHOTS_EVERY: Final = 5
"""Looks from one list of snapshots to the next."""

CLOCK: Final = "clock"
NODE: Final = "node"


@contextlib.asynccontextmanager
async def watching_roles(
    deployment: Deployment,
    path: Path,
    now_ns: Callable[[], int | None],
    *,
    asks: bool = True,
    lists_snapshots: bool = True,
) -> AsyncIterator[None]:
    """
    Write what the nodes are until the block ends.

    Args:
        now_ns: The time since the run began; None before that.
        asks: Whether the system is asked who leads. Otherwise only the clock and the states of
            processes are written.
        lists_snapshots: Whether the snapshots of each node are listed.
    """
    task = asyncio.create_task(_write(deployment, path, now_ns, asks, asks and lists_snapshots))
    try:
        yield
    finally:
        task.cancel()
        for ended in await asyncio.gather(task, return_exceptions=True):
            if isinstance(ended, Exception):  # Whatever it is, it explains no verdict.
                log.warning("the roles of the nodes were not watched to the end: %s", ended)


async def _write(
    deployment: Deployment,
    path: Path,
    now_ns: Callable[[], int | None],
    asks: bool,
    lists_snapshots: bool,
) -> None:
    encode = msgspec.json.Encoder().encode
    now = await _begun(now_ns)
    with path.open("wb", buffering=0) as file:
        _add(file, encode({"time": 0, "kind": CLOCK, "unix_ns": time.time_ns() - now}))
        known: dict[str, Mapping[str, Any]] = {}
        listed: Mapping[str, Any] = {}
        for look in itertools.count():
            if lists_snapshots and look % SNAPSHOTS_EVERY == 0:
                listed = await _snapshots(deployment)
            seen = await _seen(deployment, asks=asks)
            at_ns = now_ns()
            for node, facts in seen.items():
                state = {**facts, "snapshots": listed.get(node)}
                if known.get(node) != state:
                    line = {"time": at_ns, "kind": NODE, "node": node, **state}
                    _add(file, encode(line))
                    known[node] = state
            await asyncio.sleep(GAP_S)


async def _begun(now_ns: Callable[[], int | None]) -> int:
    """Wait until the run has begun; its time then."""
    while True:
        if (now := now_ns()) is not None:
            return now
        await asyncio.sleep(START_GAP_S)


def _add(file: BinaryIO, line: bytes) -> None:
    file.write(line + b"\n")


async def _seen(deployment: Deployment, *, asks: bool) -> dict[str, dict[str, Any]]:
    """Node -> the state and the number of its process, and whether it leads; None is not known."""
    leading: tuple[str, ...] | None = None
    if asks and isinstance(deployment, Primaries):
        with contextlib.suppress(OSError):  # A TimeoutError is one.
            async with asyncio.timeout(ASK_LIMIT_S):
                leading = await deployment.primaries()
    cluster = deployment.cluster
    seen: dict[str, dict[str, Any]] = {}
    for node in cluster.nodes:
        facts: dict[str, Any] = {"state": None, "incarnation": None}
        if isinstance(cluster, NodeProcesses):
            status = await cluster.status(node)
            facts = {"state": status.state.value, "incarnation": status.incarnation}
        seen[node] = {**facts, "leads": None if leading is None else node in leading}
    return seen


async def _snapshots(deployment: Deployment) -> dict[str, list[str] | None]:
    """Node -> the names of its snapshots; nothing where that cannot be seen in time."""
    if not isinstance(deployment, Snapshots):
        return {}
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            held = await deployment.snapshots()
    except OSError:
        return {}
    return {node: sorted(each.name for each in names) for node, names in held.items()}
