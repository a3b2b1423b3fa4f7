"""
Nodes that do not run while a run goes on: they are shown, and started again if they ended by
themselves and that was asked for.

What a fault says that it did is not enough: a node that is killed may fail to start again. So the
cluster is asked for the state of every node.

`checkers/node_ends.py` decides what their ends mean for the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from dissever.harness.cluster import Cluster, NodeProcesses, NodeState
from dissever.harness.plan import OnCrash

log = logging.getLogger(__name__)

GLANCE_S: Final = 0.2

LOOK_S: Final = 1.0
"""Between two looks at all nodes while none is down."""

RESTART_S: Final = 1.0
"""How long a node is gone before it is started again, as a supervisor does."""


class Down(StrEnum):
    """Why the process of a node does not run."""

    CRASHED = "crashed"
    """It ended by itself."""

    ENDED = "down"
    """It was ended, and does not run yet, or did not start again."""

    PAUSED = "paused"


Show: TypeAlias = Callable[[Mapping[str, Down]], None]


@contextlib.asynccontextmanager
async def minding(cluster: Cluster, on_crash: OnCrash, show: Show) -> AsyncIterator[None]:
    """
    Look at the nodes until the block ends.

    Args:
        show: Hears which nodes are down, whenever that changes.
    """
    if not isinstance(cluster, NodeProcesses):
        yield
        return
    task = asyncio.create_task(_mind(cluster, cluster.nodes, on_crash, show))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _mind(
    cluster: NodeProcesses, nodes: Sequence[str], on_crash: OnCrash, show: Show
) -> None:
    shown: Mapping[str, Down] = {}
    ended: Mapping[str, Down] = {}
    for glance in itertools.count(1):
        await asyncio.sleep(GLANCE_S)
        try:
            crashed = await _crashed(cluster)
            if shown or glance % round(LOOK_S / GLANCE_S) == 0:
                ended = await _ended(cluster, nodes)
        except OSError as error:  # The cluster is gone, which others see and say.
            log.info("nodes are not minded any more: %s", error)
            return
        down = {**ended, **dict.fromkeys(sorted(crashed), Down.CRASHED)}
        if down != shown:
            show(down)
        shown = down
        if on_crash is OnCrash.RESTART:
            await asyncio.gather(*(_restart(cluster, node) for node in sorted(crashed)))


async def _crashed(cluster: NodeProcesses) -> frozenset[str]:
    """The nodes that do not run because they ended by themselves."""
    last = {end.node: end.is_asked for end in cluster.exits}
    unasked = [node for node, is_asked in last.items() if not is_asked]
    states = {node: (await cluster.status(node)).state for node in unasked}
    return frozenset(node for node, state in states.items() if state is NodeState.GONE)


async def _ended(cluster: NodeProcesses, nodes: Sequence[str]) -> dict[str, Down]:
    """The nodes that do not run, whatever the reason."""
    words = {NodeState.GONE: Down.ENDED, NodeState.PAUSED: Down.PAUSED}
    states = {node: (await cluster.status(node)).state for node in nodes}
    return {node: words[state] for node, state in states.items() if state in words}


async def _restart(cluster: NodeProcesses, node: str) -> None:
    await asyncio.sleep(RESTART_S)
    if (await cluster.status(node)).state is not NodeState.GONE:
        return
    log.warning("%s ended by itself, and is started again", node)
    try:
        await cluster.start(node)
    except OSError as error:
        log.warning("%s could not be started again: %s", node, error)
