"""
A proxy copies bytes between a connection from elsewhere and the node, which sits in this process.

libdqlite takes plain sockets only, and an abstract unix socket only from its own process. So TLS,
and connections that somebody else accepts, end here: one thread for each pair of sockets copies
both ways without blocking, and hands the end of one direction on to the other side (half-close).

Source: go-dqlite 3.0.4, `app/proxy.go`; tcp(7).
"""

import contextlib
import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TypeAlias

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 1024
"""At a time, for each node; more are refused."""

BUFFER_BYTES = 65_536
"""Read from one side before the other has taken it."""

LINGER_S = 30
"""How long one direction may stay open, silent, after the other has ended."""

REASONS_MAX = 1000
"""How many kinds of failure are logged once each; what comes after them is not logged."""

Open: TypeAlias = Callable[[socket.socket], socket.socket]
"""
Takes over a connection, and returns it ready for the node's bytes.

It raises an OSError when the peer is refused or lost; the caller closes what it gave.
"""


def keep_alive(connection: socket.socket) -> None:
    """
    Have the kernel end a TCP connection whose peer is gone: within 12 s idle, 30 s while sending.

    Sockets of other families are left as they are.
    """
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 3),
        (socket.TCP_KEEPINTVL, 3),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 30_000),
        (socket.TCP_NODELAY, 1),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def copy(node: socket.socket, peer: socket.socket) -> None:
    """
    Copy both ways until both directions have ended, then close both sockets.

    The end of one direction is handed on, and the other goes on. TLS has no half-open connections
    here: its end on one side ends both directions, once what was read is written.

    Raises:
        ConnectionAbortedError: If a connection breaks; its text names the direction.
        TimeoutError: If one direction stays open and silent for too long.
    """
    with contextlib.closing(_End(node)) as near, contextlib.closing(_End(peer)) as far:
        directions = _Direction(near, far, "node -> peer"), _Direction(far, near, "peer -> node")
        is_half_open = near.is_half_open and far.is_half_open
        while True:
            is_moving = False
            for direction in directions:
                is_moving |= direction.step()
            ended = [direction.is_ended for direction in directions]
            if all(ended) or (any(ended) and not is_half_open):
                return
            if not is_moving:
                _wait(directions, LINGER_S if any(ended) else None)


class Proxies:
    """The proxies of one node: a thread for each connection, closed together."""

    def __init__(self, name: str) -> None:
        """`name` is the node's, for the log."""
        self._name = name
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[socket.socket, ...]] = {}
        self._logged: set[tuple[str, str]] = set()
        self._is_closed = False

    def start(
        self,
        what: str,
        connection: socket.socket,
        prepare: Open,
        node: Callable[[], socket.socket],
        *,
        owned: tuple[socket.socket, ...] = (),
    ) -> None:
        """
        Copy between a connection and the node, in a thread; takes over the connection.

        Args:
            what: The connection, for the log.
            prepare: Makes the connection ready, in the thread.
            node: Gives the connected socket of the node afterwards; raises an OSError if it cannot.
            owned: Sockets to close at the end, also if `node` is never called.

        Raises:
            OSError: If the proxies are closed, or too many; the connection is closed.
        """
        thread = threading.Thread(
            target=self._run,
            args=(what, connection, prepare, node, owned),
            name=f"dqlite-proxy-{what}"[:60],
            daemon=True,
        )
        try:
            with self._lock:
                if self._is_closed:
                    raise ConnectionAbortedError(f"{self._name} is closed")
                if len(self._open) >= CONNECTIONS_MAX:
                    raise ConnectionAbortedError(f"{CONNECTIONS_MAX} connections are open already")
                self._open[thread] = (connection,)
        except OSError:
            connection.close()
            raise
        thread.start()

    def through(self, what: str, connection: socket.socket) -> socket.socket:
        """Return a plain socket whose bytes go through a connection, as `start` takes it."""
        ours, theirs = socket.socketpair()
        try:
            self.start(what, connection, lambda ready: ready, lambda: theirs, owned=(theirs,))
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return ours

    def close(self, timeout_s: float) -> None:
        """End all connections and wait for their threads; idempotent."""
        with self._lock:
            self._is_closed = True
            threads = list(self._open)
            for sockets in self._open.values():
                for each in sockets:
                    _wake(each)
        for thread in threads:
            thread.join(timeout_s / len(threads))

    def warn(self, what: str, reason: str) -> None:
        """Log a failure, the first time that this happens to this peer."""
        kind = (what.rpartition(":")[0] or what, reason)  # the port of a peer is another each time
        with self._lock:
            if kind in self._logged or len(self._logged) >= REASONS_MAX:
                return
            self._logged.add(kind)
        log.warning("%s: %s: %s", self._name, what, reason)

    def _run(
        self,
        what: str,
        connection: socket.socket,
        prepare: Open,
        node: Callable[[], socket.socket],
        owned: tuple[socket.socket, ...],
    ) -> None:
        thread = threading.current_thread()
        sockets: tuple[socket.socket, ...] = (connection,)
        try:
            keep_alive(connection)
            sockets = (prepare(connection),)
            sockets += (node(),)
            if self._watch(thread, sockets):
                copy(node=sockets[1], peer=sockets[0])
        except (ConnectionError, ssl.SSLEOFError) as error:  # it went away, as connections do
            log.info("%s: %s: %s", self._name, what, error)
        except OSError as error:  # also TimeoutError, and what TLS has against the peer
            if not self._is_closed:
                self.warn(what, str(error) or type(error).__name__)
        finally:
            for each in (*sockets, *owned):
                each.close()
            with self._lock:
                self._open.pop(thread, None)

    def _watch(self, thread: threading.Thread, sockets: tuple[socket.socket, ...]) -> bool:
        """Have `close` end these sockets; False if it has been called already."""
        with self._lock:
            self._open[thread] = sockets
            return not self._is_closed


class _End:
    """One of the two connections, without blocking."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.is_half_open = not isinstance(connection, ssl.SSLSocket)
        self.waits_for = 0  # what TLS has to do before it can go on

    def receive(self, room: int) -> bytes | None:
        """Return what has come, b"" at the end, None if nothing has come."""
        try:
            return self.connection.recv(room)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self.waits_for |= select.POLLOUT
            return None

    def send(self, data: bytearray) -> int:
        """Return how many bytes were taken."""
        try:
            return self.connection.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self.waits_for |= select.POLLIN
            return 0

    def end(self) -> None:
        """Say that nothing more will be sent."""
        if self.is_half_open:
            with contextlib.suppress(OSError):  # the other side has gone already
                self.connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if isinstance(self.connection, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.connection.unwrap()  # says goodbye, and does not wait for an answer
        self.connection.close()


class _Direction:
    """Bytes on their way from one end to the other."""

    def __init__(self, source: _End, sink: _End, name: str) -> None:
        self.source = source
        self.sink = sink
        self.is_ended = False  # and the sink was told
        self._name = name
        self._buffer = bytearray()
        self._is_read = False  # to its end

    @property
    def has_room(self) -> bool:
        return not self._is_read and len(self._buffer) < BUFFER_BYTES

    @property
    def has_bytes(self) -> bool:
        return bool(self._buffer)

    def step(self) -> bool:
        """Move what can be moved at once; return whether anything moved."""
        try:
            return self._step()
        except OSError as error:
            raise ConnectionAbortedError(f"{self._name}: {error}") from error

    def _step(self) -> bool:
        is_moving = False
        if self.has_room:
            data = self.source.receive(BUFFER_BYTES - len(self._buffer))
            if data:
                self._buffer += data
            self._is_read = data == b""
            is_moving = data is not None
        if self._buffer:
            sent = self.sink.send(self._buffer)
            del self._buffer[:sent]
            is_moving = is_moving or sent > 0
        if self._is_read and not self._buffer and not self.is_ended:
            self.is_ended = True
            self.sink.end()
        return is_moving


def _wait(directions: tuple[_Direction, ...], timeout_s: float | None) -> None:
    """Sleep until a step can do something; raises TimeoutError if nothing happens in time."""
    poll = select.poll()
    for direction in directions:
        end = direction.source
        events = end.waits_for
        end.waits_for = 0
        if direction.has_room:
            events |= select.POLLIN
        if any(other.has_bytes for other in directions if other.sink is end):
            events |= select.POLLOUT
        if events:
            poll.register(end.connection, events)
    if not poll.poll(None if timeout_s is None else timeout_s * 1000):
        raise TimeoutError(f"half of the connection is open, and silent for {timeout_s} s")


def _wake(connection: socket.socket) -> None:
    """End a connection for the thread that uses it, also below TLS; the thread closes it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
