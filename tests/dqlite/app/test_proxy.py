"""Bytes between two sockets, both ways, and how their connections end."""

import contextlib
import logging
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqlite.app import proxy
from dqlite.app.proxy import Proxies, copy, keep_alive

WAIT_S = 20.0


class Pair:
    """Two programs that talk through a proxy."""

    def __init__(self, node: socket.socket, peer: socket.socket, thread: threading.Thread) -> None:
        self.node = node
        self.peer = peer
        self.thread = thread
        for each in (node, peer):
            each.settimeout(WAIT_S)


@pytest.fixture
def pair() -> Iterator[Pair]:
    node, near = socket.socketpair()
    far, peer = socket.socketpair()
    thread = threading.Thread(target=_quietly, args=(near, far))
    thread.start()
    with node, peer:
        yield Pair(node, peer, thread)
    thread.join(WAIT_S)
    assert not thread.is_alive()


def _quietly(near: socket.socket, far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        copy(near, far)


def receive(connection: socket.socket) -> bytes:
    """All bytes until the end."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_bytes_go_both_ways(pair: Pair) -> None:
    pair.node.sendall(b"from the node")
    pair.peer.sendall(b"from the peer")

    assert pair.peer.recv(100) == b"from the node"
    assert pair.node.recv(100) == b"from the peer"


def test_megabytes_arrive_whole_in_both_directions_at_once(pair: Pair) -> None:
    data = random.Random(1).randbytes(3_000_000)

    def send(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    senders = [threading.Thread(target=send, args=(each,)) for each in (pair.node, pair.peer)]
    for sender in senders:
        sender.start()
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive(pair.node)))
    reader.start()
    received.append(receive(pair.peer))
    for thread in (*senders, reader):
        thread.join(WAIT_S)

    assert received == [data, data]


def test_end_of_one_direction_is_handed_on_and_the_other_goes_on(pair: Pair) -> None:
    pair.peer.sendall(b"question")
    pair.peer.shutdown(socket.SHUT_WR)
    assert receive(pair.node) == b"question"

    pair.node.sendall(b"answer")
    pair.node.close()
    assert receive(pair.peer) == b"answer"
    pair.thread.join(WAIT_S)
    assert not pair.thread.is_alive()


def test_half_open_connection_that_is_silent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "LINGER_S", 0.01)
    node, near = socket.socketpair()
    far, peer = socket.socketpair()
    with node, peer:
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(TimeoutError, match="half"):
            copy(near, far)
        assert receive(node) == receive(peer) == b""


def test_break_of_a_connection_names_the_direction() -> None:
    node, near = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    linger = (1).to_bytes(4, "little") + bytes(4)
    with node, listener:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.close()  # a reset
        with pytest.raises(OSError, match="peer -> node"):
            copy(near, far)
        assert receive(node) == b""


def test_keepalive_is_as_documented() -> None:
    with socket.socket() as connection:
        keep_alive(connection)

        for option, value in (
            (socket.TCP_KEEPIDLE, 3),
            (socket.TCP_KEEPINTVL, 3),
            (socket.TCP_KEEPCNT, 3),
            (socket.TCP_USER_TIMEOUT, 30_000),
        ):
            assert connection.getsockopt(socket.IPPROTO_TCP, option) == value
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_close_ends_every_connection_and_thread() -> None:
    proxies = Proxies("node 1")
    node, near = socket.socketpair()
    peer = proxies.through("peer", near)
    peer.settimeout(WAIT_S)
    node.settimeout(WAIT_S)
    with node, peer:
        peer.sendall(b"x")
        assert node.recv(1) == b"x"
        proxies.close(WAIT_S)

        assert receive(node) == receive(peer) == b""
        assert not [t for t in threading.enumerate() if t.name == "dqlite-proxy-peer"]


def test_closed_proxies_refuse_and_close_what_they_get() -> None:
    proxies = Proxies("node 1")
    proxies.close(WAIT_S)
    node, near = socket.socketpair()
    with node:
        with pytest.raises(OSError, match="closed"):
            proxies.through("peer", near)
        assert receive(node) == b""


def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "CONNECTIONS_MAX", 1)
    proxies = Proxies("node 1")
    first, near = socket.socketpair()
    second, other = socket.socketpair()
    with first, second, proxies.through("a", near), pytest.raises(OSError, match="1 connections"):
        proxies.through("b", other)
    proxies.close(WAIT_S)


def test_same_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    proxies = Proxies("node 1")
    with caplog.at_level(logging.WARNING):
        for port in (1, 2, 3):
            proxies.warn(f"10.0.0.9:{port}", "certificate expired")
        proxies.warn("10.0.0.8:1", "certificate expired")

    assert [record.getMessage() for record in caplog.records] == [
        "node 1: 10.0.0.9:1: certificate expired",
        "node 1: 10.0.0.8:1: certificate expired",
    ]


Wrap = Callable[[socket.socket, socket.socket], tuple[ssl.SSLSocket, ssl.SSLSocket]]


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def wrap(request: pytest.FixtureRequest, certificates: Path) -> Wrap:
    """Make server's and client's end of TLS of two connected sockets."""
    from dqlite.app.tls import simple_tls_config

    tls = simple_tls_config(
        certificates / "one.crt", certificates / "one.key", certificates / "ca.crt"
    )
    tls.listen_context.maximum_version = request.param

    def make(server: socket.socket, client: socket.socket) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        made: list[ssl.SSLSocket] = []
        thread = threading.Thread(target=lambda: made.append(tls.greet(server)))
        thread.start()
        wrapped = tls.dial_context.wrap_socket(client, server_hostname=tls.server_name)
        thread.join(WAIT_S)
        return made[0], wrapped

    return make


def exchange(connection: ssl.SSLSocket, data: bytes) -> bytes:
    """
    Send all data, and receive as many bytes meanwhile.

    One thread does both: OpenSSL forbids two threads in one connection. Each would take the other's
    reason to wait for its own, and then both can wait for the same direction for ever.
    """
    left, parts = memoryview(data), bytearray()
    connection.setblocking(False)
    poll = select.poll()
    while left or len(parts) < len(data):
        poll.register(connection, select.POLLIN | (select.POLLOUT if left else 0))
        assert poll.poll(WAIT_S * 1000), f"{len(left)} bytes not sent, {len(parts)} received"
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            left = left[connection.send(left) :] if left else left
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while part := connection.recv(65536):
                parts += part
    connection.settimeout(WAIT_S)
    return bytes(parts)


def test_tls_carries_megabytes_both_ways_and_its_end_ends_all(wrap: Wrap) -> None:
    node, near = socket.socketpair()
    far, peer = wrap(*socket.socketpair())
    node.settimeout(WAIT_S)
    peer.settimeout(WAIT_S)
    thread = threading.Thread(target=_quietly, args=(near, far))
    thread.start()
    data = random.Random(2).randbytes(1_000_000)

    def echo() -> None:
        left = len(data)
        while left:
            part = node.recv(65536)
            node.sendall(part)
            left -= len(part)

    echoing = threading.Thread(target=echo)
    echoing.start()
    parts = exchange(peer, data)
    echoing.join(WAIT_S)
    assert parts == data

    node.sendall(b"last words")
    node.close()
    assert receive(peer) == b"last words"  # and then a proper end, no break
    peer.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("error")
def test_connection_that_broke_before_its_thread_ran_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(connection: socket.socket) -> None:
        raise OSError("it is closed already")

    monkeypatch.setattr(proxy, "keep_alive", broken)
    near, far = socket.socketpair()

    with far, Proxies("test").through("peer", near) as ours:
        ours.settimeout(WAIT_S)
        assert ours.recv(1) == b""  # the other end was closed
