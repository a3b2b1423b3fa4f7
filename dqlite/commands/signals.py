"""
Programs that run until a signal: what they wait for ends early when one comes.

The signals are blocked, also in the threads that are started then, and asked for. So none is lost
between two steps, none interrupts a library, and Python's handlers, which wait for the main thread
to do something, are not needed.

Source: sigwaitinfo(2); go-dqlite 3.0.4, `cmd/dqlite-demo` (which signals).
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")

SIGNALS = (signal.SIGPWR, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

_POLL_S = 0.05


class Signalled(Exception):
    """A signal came before the work was done; it may go on in its thread."""


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Keep the signals for `wait` and `unless_signalled`; threads that start meanwhile do, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait(timeout_s: float | None = None) -> bool:
    """Wait for a signal; return whether one came. None waits for ever."""
    if timeout_s is None:
        signal.sigwait(SIGNALS)
        return True
    return signal.sigtimedwait(SIGNALS, timeout_s) is not None


def unless_signalled(work: Callable[[], _Result]) -> _Result:
    """
    Run something in a thread, and return its result or raise its exception.

    Raises:
        Signalled: As soon as a signal comes.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not future.done():
        if wait(_POLL_S):
            raise Signalled
    return future.result()
