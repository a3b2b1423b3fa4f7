"""
Is the harness itself still whole? A run goes on only while every part of ours lives.

The keeper, the hosts of nodes and the file systems under their data are parts of the harness, not
of the system under test. When one of them is gone, everything that is seen afterwards says nothing
about the system. So the run ends at once, and its outcome names the part.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Self

from dissever.harness.cluster import (
    Cluster,
    ClusterEnded,
    ClusterInterrupted,
    ClusterLost,
    Disks,
    Ends,
    HostCommands,
    NodeProcesses,
)

log = logging.getLogger(__name__)

GAP_S: Final = 1.0
"""Between two looks."""


class Watch:
    """
    Cancels the task that enters it when a part of the harness is gone. `lost` names the part.

    It does the same when the system under test has ended the whole cluster; `ended` says how.
    Leaving it looks once more, so that no loss goes unseen.
    """

    def __init__(self, cluster: Cluster, *, is_needed: bool = True) -> None:
        """`is_needed`: False where nothing can be lost, as when nodes are objects of ours."""
        self.lost: str | None = None
        self.ended: str | None = None
        self._cluster = cluster
        self._is_needed = is_needed
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        watched = asyncio.current_task()
        assert watched is not None
        if isinstance(self._cluster, Ends):
            self._task = asyncio.create_task(self._await_end(self._cluster, watched))
        elif self._is_needed:
            self._task = asyncio.create_task(self._look_again(watched))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self.lost is None and self.ended is None:
                try:
                    self.lost = await lost_part(self._cluster)
                except ClusterEnded as ended:
                    self.ended = str(ended)

    async def _await_end(self, cluster: Ends, watched: asyncio.Task[None]) -> None:
        why = await cluster.end()
        if isinstance(why, ClusterInterrupted):
            return  # Whoever watches the signal ends the run.
        if isinstance(why, ClusterEnded):
            self.ended = str(why)
        else:
            self.lost = str(why)
        log.error("%s", why)
        watched.cancel()

    async def _look_again(self, watched: asyncio.Task[None]) -> None:
        while self.lost is None:
            await asyncio.sleep(GAP_S)
            self.lost = await lost_part(self._cluster)
        log.error("a part of the harness was lost: %s", self.lost)
        watched.cancel()


async def lost_part(cluster: Cluster) -> str | None:
    """
    What of the harness is gone, in words, or None.

    Raises:
        ClusterEnded: When nothing of it is, and the system has ended the whole cluster.
    """
    try:
        if isinstance(cluster, NodeProcesses):
            await asyncio.gather(*(cluster.status(node) for node in cluster.nodes))
        if isinstance(cluster, Disks) and isinstance(cluster, HostCommands):
            for node in cluster.nodes:
                if ask := cluster.disk(node).ask:
                    answer = await cluster.command(node, [*ask, "counts"])
                    if answer.exit_status:
                        return f"faultfs under the data of {node}: {answer.stderr.strip()}"
    except ClusterEnded:
        raise
    except ClusterInterrupted:
        return None
    except ClusterLost as error:
        return str(error)
    except OSError as error:  # Such as a node that is being started; the next look will tell.
        log.debug("the harness could not be looked at: %s", error)
    return None
