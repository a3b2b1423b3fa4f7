"""
Nodes that ended by themselves while a run goes on: they are shown, and started again if asked.

`checkers/node_ends.py` decides what their ends mean for the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from dissever.harness.cluster import Cluster, NodeProcesses, NodeState
from dissever.harness.plan import OnCrash

log = logging.getLogger(__name__)

GLANCE_S: Final = 0.2

RESTART_S: Final = 1.0
"""How long a node is gone before it is started again, as a supervisor does."""


@contextlib.asynccontextmanager
async def minding(
    cluster: Cluster, on_crash: OnCrash, show: Callable[[frozenset[str]], None]
) -> AsyncIterator[None]:
    """
    Look at the nodes until the block ends.

    Args:
        show: Hears which nodes are down because they ended by themselves, whenever that changes.
    """
    if not isinstance(cluster, NodeProcesses):
        yield
        return
    task = asyncio.create_task(_mind(cluster, on_crash, show))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _mind(
    cluster: NodeProcesses, on_crash: OnCrash, show: Callable[[frozenset[str]], None]
) -> None:
    shown: frozenset[str] = frozenset()
    while True:
        await asyncio.sleep(GLANCE_S)
        try:
            down = await _crashed(cluster)
        except OSError as error:  # The cluster is gone, which others see and say.
            log.info("nodes are not minded any more: %s", error)
            return
        if down != shown:
            show(down)
        shown = down
        if on_crash is OnCrash.RESTART:
            await asyncio.gather(*(_restart(cluster, node) for node in down))


async def _crashed(cluster: NodeProcesses) -> frozenset[str]:
    """The nodes that do not run because they ended by themselves."""
    last = {end.node: end.is_asked for end in cluster.exits}
    unasked = [node for node, is_asked in last.items() if not is_asked]
    states = {node: (await cluster.status(node)).state for node in unasked}
    return frozenset(node for node, state in states.items() if state is NodeState.GONE)


async def _restart(cluster: NodeProcesses, node: str) -> None:
    await asyncio.sleep(RESTART_S)
    if (await cluster.status(node)).state is not NodeState.GONE:
        return
    log.warning("%s ended by itself, and is started again", node)
    try:
        await cluster.start(node)
    except OSError as error:
        log.warning("%s could not be started again: %s", node, error)
