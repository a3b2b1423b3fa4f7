"""
An event loop in a thread of its own, for those who have none.

Source: Python's `asyncio.run_coroutine_threadsafe`.
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from dqlite.errors import Closed

_Value = TypeVar("_Value")


class Background:
    """Runs coroutines for other threads, until it is closed."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Value]) -> concurrent.futures.Future[_Value]:
        """
        Begin work, and return its outcome to be; its `cancel` ends the work.

        Raises:
            Closed: If the loop is closed.
        """
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as cause:
            work.close()
            raise Closed("this has been closed") from cause

    def run(self, work: Coroutine[Any, Any, _Value]) -> _Value:
        """
        Do work and return what it returned; what it raises is raised.

        Raises:
            Closed: If the loop is closed, also meanwhile.
        """
        future = self.submit(work)
        try:
            return future.result()
        except concurrent.futures.CancelledError as cause:
            raise Closed("this was closed meanwhile") from cause
        finally:
            future.cancel()  # KeyboardInterrupt: nobody waits for it any longer

    def close(self) -> None:
        """Cancel all work and wait for the thread; idempotent."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):  # closed by another thread meanwhile
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
