"""
The container of a service: started and ended by the engine, heard, limited; it keeps its image,
its file, and its place in the project.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any, BinaryIO, Final

import docker.errors

from dissever.harness.cluster import ClusterLost
from dissever.harness.cluster.engine import Attached, Engine
from dissever.harness.cluster.host import exit_status, open_log, write_log
from dissever.harness.cluster.limits import ContainerLimits
from dissever.harness.cluster.undo import limits_of

__all__ = ["Container", "Running"]

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_NO_RESTART: Final = {"Name": "no", "MaximumRetryCount": 0}


class Running:
    """One start of the container, until it has ended. `number` counts them from 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_asked = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.attached: Attached | None = None


class Container:
    """One container, as the SDK has it, for the event loop."""

    def __init__(
        self,
        name: str,
        container: Any,
        directory: Path,
        engine: Engine,
        *,
        memory_total: int,
        hear: Callable[[Running], None],
    ) -> None:
        """
        Args:
            name: Of its node, for messages.
            directory: Where its logs go, a pair for each start.
            memory_total: How many bytes the engine's machine has.
            hear: Is called with each end.
        """
        self.id = str(container.id)
        self.limits: Final = ContainerLimits(memory_total)
        self.running: Running | None = None
        self.incarnation = 0
        self.exit_status: int | None = None
        self._name = name
        self._container = container
        self._directory = directory
        self._engine = engine
        self._hear = hear
        self._own: dict[str, int] = {}
        """The limits that its file gives it."""
        self._limited: set[str] = set()
        """Whether `cpu` and `mem` were limited by us: how the names of limits begin."""
        self._loop = asyncio.get_running_loop()
        self._is_let_go = False

    async def attach(self, *, is_from_start: bool) -> None:
        """Hear what it says from now on, or from its start, and its end."""
        self._own = limits_of((await self.inspect())["HostConfig"])
        self.running = await self._attached(is_from_start=is_from_start)

    async def start(self, *, is_held: bool) -> bool:
        """
        Start it, and hear it from the first byte.

        Args:
            is_held: Whether it is frozen as soon as it has started.

        Returns:
            Whether it is frozen now.

        Raises:
            OSError: When the engine refuses to start it.
        """
        running = await self._attached(is_from_start=False)
        try:
            await self._call(self._container.start)
        except OSError:
            await self._detach(running)
            raise
        is_frozen = False
        if is_held:
            try:
                is_frozen = await self.freeze()
            except OSError as error:  # It runs: its rules come a little later then.
                log.warning("%s: it could not be frozen at its start: %s", self._name, error)
        if not running.ended.done():
            self.running = running
        return is_frozen

    async def stop(self, timeout_s: float) -> None:
        """The signal that the image says; SIGKILL after whole seconds, one at least."""
        await self._call(self._container.stop, timeout=max(1, round(timeout_s)))

    async def kill(self) -> None:
        """SIGKILL to its first process, and so to all; nothing if it has just ended."""
        with contextlib.suppress(OSError):  # `wait` sees whether it ends.
            await self._call(self._container.kill)

    async def wait(self, running: Running) -> None:
        """Until it has ended, and that is known. Raises ClusterLost when it does not."""
        try:
            await asyncio.wait_for(asyncio.shield(running.ended), _ANSWER_S)
        except TimeoutError as error:
            raise ClusterLost(f"{self._name}: its container does not end") from error
        await asyncio.sleep(0)  # Then it is noted.

    async def freeze(self) -> bool:
        """Whether it is frozen now; False when it has ended."""
        try:
            await self._call(self._container.pause)
        except OSError:
            state = (await self.inspect())["State"]
            if state["Running"] and not state["Paused"]:
                raise
            return bool(state["Paused"])
        return True

    async def thaw(self) -> None:
        """Nothing if it is not frozen."""
        if (await self.inspect())["State"]["Paused"]:
            await self._call(self._container.unpause)

    async def keep_down(self) -> None:
        """From now on the engine does not start it by itself."""
        await self._call(self._container.update, restart_policy=_NO_RESTART)

    async def limit(self, cpus: float | None, memory_bytes: int | None, *, is_found: bool) -> None:
        """
        Args:
            is_found: Whether somebody else made it, so that all must be taken back.

        Raises:
            OSError: For a limit that could not be taken back.
        """
        config = (await self.inspect())["HostConfig"]
        if cpus is not None and config.get("NanoCpus"):
            raise OSError(0, f"{self._name}: its file limits its cpus already")
        if memory_bytes is not None and is_found and not config.get("Memory"):
            reason = "the engine takes no limit of memory back, and the project was found up"
            raise OSError(0, f"{self._name}: {reason}")
        self._limited |= {"cpu"} if cpus is not None else set()
        self._limited |= {"mem"} if memory_bytes is not None else set()
        self.limits.set(cpus, memory_bytes)
        await self._call(self._container.update, **self._limits_now())

    async def lift(self) -> None:
        """Only the limits that its file gives it are left."""
        self.limits.clear()
        if changes := self._limits_now():
            await self._call(self._container.update, **changes)

    def _limits_now(self) -> dict[str, int]:
        """Those of faults, and otherwise its file's. What was never limited is left alone."""
        now = {**self.limits.of_running(), **self._own, **self.limits.of_new()}
        return {name: value for name, value in now.items() if name[:3] in self._limited}

    async def inspect(self) -> Mapping[str, Any]:
        """What the engine says of it now."""
        await self._call(self._container.reload)
        attributes: Mapping[str, Any] = self._container.attrs
        return attributes

    async def let_go(self) -> None:
        """Hear it no more; it runs on."""
        self._is_let_go = True
        if self.running is not None:
            await self._detach(self.running)

    async def _attached(self, *, is_from_start: bool) -> Running:
        self.incarnation += 1
        running = Running(self.incarnation)
        logs = {
            stream: open_log(self._directory / f"{name}-{running.number}.log")
            for stream, name in ((1, "stdout"), (2, "stderr"))
        }
        config = (await self.inspect())["Config"]
        running.attached = await self._call(
            Attached,
            self._engine.client,
            self.id,
            hear=lambda stream, data: write_log(logs[stream], data),
            ended=lambda: self._ended(running, logs),
            is_ours=False,
            is_raw=bool(config.get("Tty")),
            is_from_start=is_from_start,
        )
        running.ended.add_done_callback(lambda _: self._note(running))
        return running

    async def _detach(self, running: Running) -> None:
        running.ended.cancel()
        if running.attached is not None:
            await self._call(running.attached.close)

    def _ended(self, running: Running, logs: Mapping[int, BinaryIO]) -> None:
        """In the thread that has read all that it said, or was told to let go."""
        for file in logs.values():
            file.close()
        status = self._status_of_end(running)
        with contextlib.suppress(RuntimeError):  # The loop may be no more.
            self._loop.call_soon_threadsafe(_set, running.ended, status)

    def _status_of_end(self, running: Running) -> int | None:
        """How it ended; None when it runs on and we let go of it. Blocks."""
        while not self._is_let_go and not running.ended.cancelled():
            try:
                status = self._container.wait(timeout=_ANSWER_S)["StatusCode"]
                self._container.reload()
                self.limits.ended(is_oom=self._container.attrs["State"]["OOMKilled"])
                return exit_status(status)
            except docker.errors.NotFound:
                return -SIGKILL
            except Exception as error:  # No answer in time, and the like: it is asked again.
                log.debug("%s: %s", self._name, error)
        return None

    def _note(self, running: Running) -> None:
        if self.running is running:
            self.running = None
        if not running.ended.cancelled():
            self.exit_status = running.ended.result()
            self._hear(running)

    async def _call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await self._engine.call(function, *args, **named)


def _set(future: asyncio.Future[int], status: int | None) -> None:
    if future.done():
        return
    if status is None:
        future.cancel()
    else:
        future.set_result(status)
