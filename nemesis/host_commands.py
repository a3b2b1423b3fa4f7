"""
Programs on the hosts of nodes: commands that must succeed, scripts, and helpers that stay.

Scripts run in whatever Python is there. They act and look where the harness cannot reach: on a disk
that only the host sees, under a clock that only its processes have. Each prints JSON. The long ones
end by themselves, so that nothing is left behind when the harness is gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from dissever.nemesis.abilities import AbleCluster

__all__ = ["BURST_S", "UP_LIMIT_S", "Helper", "comes_up", "counted", "run", "run_script"]

UP_LIMIT_S: Final = 10.0
_GLANCE_S: Final = 0.01

BURST_S: Final = 8.0
"""A script that goes on is started again after this time, which is below the limit of requests."""


async def run(cluster: AbleCluster, node: str, argv: Sequence[str], stdin: str = "") -> str:
    """
    Run a command on a node's host; what it printed.

    Raises:
        OSError: When it fails, with what it said.
    """
    done = await cluster.command(node, argv, stdin)
    if done.exit_status:
        said = done.stderr.strip() or f"exit status {done.exit_status}"
        raise OSError(0, f"{node}: {argv[0]} failed: {said}")
    return done.stdout


async def run_script(cluster: AbleCluster, node: str, script: str, *arguments: object) -> Any:
    """
    Run a script in the host's Python; what it printed, decoded, None for nothing.

    Raises:
        OSError: When it fails, with the last line of what it said.
    """
    done = await cluster.command(node, _python(cluster, script, *arguments))
    if done.exit_status:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise OSError(0, f"{node}: a script on its host failed: {last}")
    return json.loads(done.stdout) if done.stdout else None


def counted(listing: str) -> list[tuple[str, int]]:
    """The comment and the packets of each rule that counts, from `nft -j list table`."""
    rules = (each["rule"] for each in json.loads(listing)["nftables"] if "rule" in each)
    return [
        (rule.get("comment", ""), part["counter"]["packets"])
        for rule in rules
        for part in rule["expr"]
        if "counter" in part
    ]


async def comes_up(ask: Callable[[], Awaitable[object]]) -> None:
    """
    Wait until a helper that was started answers.

    Raises:
        OSError: What the last question met, when it does not answer in time.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + UP_LIMIT_S
    while True:
        try:
            await ask()
            return
        except OSError:
            if loop.time() > end:
                raise
            await asyncio.sleep(_GLANCE_S)


class Helper:
    """A script that runs on every host of a cluster from the first `lay` on."""

    def __init__(
        self,
        cluster: AbleCluster,
        name: str,
        script: str,
        port: int,
        ask: Callable[[str], Awaitable[object]],
    ) -> None:
        """
        Make it; nothing runs yet.

        Args:
            port: Where it listens; its only argument.
            ask: Raises OSError while the helper of a node is not up.
        """
        self._cluster = cluster
        self._name = name
        self._script, self._port = script, port
        self._ask = ask
        self._laying = asyncio.Lock()
        self._is_laid = False

    async def lay(self) -> None:
        """
        Start it on every host, and wait until it answers. Idempotent.

        Raises:
            OSError: When one cannot be started, or does not answer in time.
        """
        async with self._laying:
            if not self._is_laid:
                await asyncio.gather(*(self._start(node) for node in self._cluster.nodes))
                self._is_laid = True

    async def _start(self, node: str) -> None:
        argv = _python(self._cluster, self._script, self._port)
        await self._cluster.spawn(node, self._name, argv)
        await comes_up(lambda: self._ask(node))


def _python(cluster: AbleCluster, script: str, *arguments: object) -> list[str]:
    return [cluster.python, "-I", "-S", "-c", script, *map(str, arguments)]
