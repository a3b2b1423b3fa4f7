"""
Connections of a node to the others by a function of the caller's.

The library calls from its worker threads, of which it has few and needs for its disk. So a dial
runs on a thread of its own, and the worker waits for it no longer than the time limit. A dial that
hangs longer holds one thread: until it ends, others to the same address are refused at once.

Source: `dqlite_node_set_connect_func` in `dqlite/include/dqlite.h`, `dqlite/src/transport.c`.
"""

import logging
import os
import socket
import sys
import threading
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from typing import Any

from cffi import FFI

from dqlite.client.blocking_connection import BlockingDial

log = logging.getLogger(__name__)

NO_CONNECTION = 16
"""Raft's RAFT_NOCONNECTION."""


class Dialler:
    """
    A dial function as the library calls it. It must live as long as the node.

    Attributes:
        callback: The C function.
    """

    def __init__(self, ffi: FFI, dial: BlockingDial, timeout_s: float) -> None:
        self._ffi = ffi
        self._dial = dial
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._hanging: set[str] = set()
        self._failing: set[str] = set()
        self.callback = ffi.callback(
            "int(void *, const char *, int *)", self._connect, error=NO_CONNECTION
        )

    def connect(self, address: str) -> int | None:
        """Return a connected, blocking descriptor that a new program does not inherit, or None."""
        with self._lock:
            if address in self._hanging:
                return None
            self._hanging.add(address)
        attempt: Future[int] = Future()
        thread = threading.Thread(
            target=self._run, args=(address, attempt), name=f"dial {address}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or Python ends
            self._fail(address, attempt, error)
        wait((attempt,), self._timeout_s)
        failure: BaseException | None
        if attempt.cancel():  # it is pending until it is done
            failure = TimeoutError(f"no connection within {self._timeout_s:g} s")
        else:
            failure = attempt.exception()
        self._note(address, failure)
        return None if failure else attempt.result()

    def _run(self, address: str, attempt: "Future[int]") -> None:
        try:
            descriptor = _detach(self._dial(address, self._timeout_s))
        except BaseException as error:  # whatever it is, there is no connection; it is logged
            self._fail(address, attempt, error)
            return
        with self._lock:
            self._hanging.discard(address)
        try:
            attempt.set_result(descriptor)
        except InvalidStateError:  # given up
            os.close(descriptor)

    def _fail(self, address: str, attempt: "Future[int]", error: BaseException) -> None:
        with self._lock:
            self._hanging.discard(address)
        with suppress(InvalidStateError):
            attempt.set_exception(error)

    def _note(self, address: str, failure: BaseException | None) -> None:
        """Log the first failure in a row: raft dials again about every second."""
        with self._lock:
            is_first = failure is not None and address not in self._failing
            if failure is None:
                self._failing.discard(address)
            else:
                self._failing.add(address)
        if is_first:
            log.warning("no connection to %s: %r (said once)", address, failure)

    def _connect(self, _argument: Any, address: Any, out: Any) -> int:
        descriptor = self.connect(bytes(self._ffi.string(address)).decode(errors="replace"))
        if descriptor is None:
            return NO_CONNECTION
        out[0] = descriptor
        return 0


def _detach(opened: object) -> int:
    """Take a connected socket's descriptor, blocking and not inherited by new programs."""
    ssl = sys.modules.get("ssl")
    if not isinstance(opened, socket.socket) or (ssl and isinstance(opened, ssl.SSLSocket)):
        if isinstance(opened, socket.socket):
            opened.close()
        raise TypeError(f"expected a plain socket from the dial, got {type(opened).__name__}")
    opened.setblocking(True)
    opened.set_inheritable(False)
    return opened.detach()
