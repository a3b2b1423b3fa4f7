"""
An event loop in a thread of its own, for programs that are written step by step.

The harness is a set of coroutines. A test that waits for them needs neither `async` nor threads: it
hands a coroutine over and waits until it is done.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from dissever.harness.clock import VirtualLoop

__all__ = ["CALL_LIMIT_S", "BackgroundLoop"]

CALL_LIMIT_S: Final = 120.0
"""How long anything may take that is asked of the cluster."""

T = TypeVar("T")


class BackgroundLoop:
    """
    An event loop in a thread of its own, which other threads have coroutines done by.

    A real one runs all the time. A virtual one runs while somebody waits: its clock must not jump
    ahead of a test that is thinking.
    """

    def __init__(self, *, is_virtual: bool) -> None:
        self.is_closed = False
        self._is_virtual = is_virtual
        self._loop = VirtualLoop() if is_virtual else asyncio.new_event_loop()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "dissever-cluster")
        if not is_virtual:
            self._forever = self._thread.submit(self._loop.run_forever)

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """What a coroutine returns or raises. Raises TimeoutError when that takes too long."""
        if self.is_closed:
            work.close()
            raise RuntimeError("the cluster has ended")
        limited = _limited(work, timeout_s)
        if self._is_virtual:
            return self._call_virtual(limited)
        asked = asyncio.run_coroutine_threadsafe(limited, self._loop)
        try:
            return asked.result()
        except BaseException:  # Such as Ctrl-C, while it was waited for.
            asked.cancel()
            raise

    def _call_virtual(self, work: Coroutine[Any, Any, T]) -> T:
        tasks: list[asyncio.Task[T]] = []

        def run() -> T:
            tasks.append(self._loop.create_task(work))
            return self._loop.run_until_complete(tasks[0])

        asked = self._thread.submit(run)
        try:
            return asked.result()
        except BaseException:  # Such as Ctrl-C, while it was waited for.
            for task in tasks:
                self._loop.call_soon_threadsafe(task.cancel)
            raise

    def close(self) -> None:
        """Cancel what still goes on, and end the thread. Idempotent."""
        if self.is_closed:
            return
        try:
            self.call(_cancelled(), CALL_LIMIT_S)
        finally:
            self.is_closed = True
            if not self._is_virtual:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._forever.result()
            self._thread.shutdown()
            self._loop.close()


async def _limited(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    async with asyncio.timeout(timeout_s):
        return await work


async def _cancelled() -> None:
    """Cancel every other task, as `asyncio.run` does at its end."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
