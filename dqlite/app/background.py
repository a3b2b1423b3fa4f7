"""
Work in other threads: an event loop in a thread of its own, and functions that may never return.

Source: Python's `asyncio.run_coroutine_threadsafe`.
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dqlite.errors import Closed

_Value = TypeVar("_Value")


class Background:
    """Runs coroutines for other threads, until it is closed."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Value]) -> concurrent.futures.Future[_Value]:
        """
        Begin work, and return its outcome to be; its `cancel` ends the work.

        Raises:
            Closed: If the loop is closed.
        """
        with self._lock:
            if not self._is_ending:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise Closed("this has been closed")

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
        finally:
            with self._lock:
                self._is_ending = True
            try:
                self._loop.run_until_complete(self._end())
            finally:
                self._loop.close()

    async def _end(self) -> None:
        """Cancel all work, also what was submitted last, and wait for it."""
        await asyncio.sleep(0)  # what was submitted is a task after this
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


def in_thread(work: Callable[[], _Value], name: str) -> concurrent.futures.Future[_Value]:
    """
    Run a function in a thread of its own, and return its outcome to be; it cannot be cancelled.

    A function that hangs keeps neither an event loop nor the interpreter from ending.
    """
    future: concurrent.futures.Future[_Value] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    future.set_running_or_notify_cancel()  # it cannot be cancelled from now on
    threading.Thread(target=run, name=name, daemon=True).start()
    return future
