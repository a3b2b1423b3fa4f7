"""
Tells of a client that blocks the event loop: an `async` method that waits without `await`.

The harness stands still then, and with it the forwarder that the method may be waiting for, so it
could wait for ever. A thread sees that, and says in which line of the user's file it happens.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from typing import Final

__all__ = ["watch"]

log = logging.getLogger(__name__)

BLOCKED_S: Final = 5.0
"""How long the loop may stand still before something is said."""

_GAP_S: Final = 1.0


def watch(file: str) -> None:
    """Watch the running loop until it ends, for blocking calls in a file of the user's."""
    arguments = (asyncio.get_running_loop(), threading.get_ident(), file)
    threading.Thread(target=_watch, args=arguments, name="blocked loop", daemon=True).start()


def _watch(loop: asyncio.AbstractEventLoop, thread: int, file: str) -> None:
    while not loop.is_closed():
        turned = threading.Event()
        try:
            loop.call_soon_threadsafe(turned.set)
        except RuntimeError:  # It has ended.
            return
        if not turned.wait(BLOCKED_S):
            _tell(thread, file)
            while not turned.wait(_GAP_S) and not loop.is_closed():
                pass
        time.sleep(min(_GAP_S, BLOCKED_S))


def _tell(thread: int, file: str) -> None:
    """Say which line of the file the thread is in, if it is in any."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    if frame is not None:
        log.error(
            "%s, line %d: %s has blocked the harness for %g s: an async method must wait by await,"
            " and only a class without async methods may block",
            file,
            frame.f_lineno,
            frame.f_code.co_name,
            BLOCKED_S,
        )
