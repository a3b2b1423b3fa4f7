"""Dial functions as the library calls them: on its own threads, and whatever they do."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("cffi", reason="cffi is not installed")

from cffi import FFI

from dqlite.client.blocking_connection import BlockingDial
from dqlite.node.dialling import NO_CONNECTION, Dialler

LONG_S = 30.0


def call(dialler: Dialler, address: str) -> tuple[int, int]:
    """Return code and descriptor, as C sees them."""
    ffi = FFI()
    out = ffi.new("int *", -1)
    callback = ffi.cast("int(*)(void *, const char *, int *)", dialler.callback)
    return callback(ffi.NULL, ffi.new("char[]", address.encode()), out), out[0]


def dialler(dial: BlockingDial, timeout_s: float = LONG_S) -> Dialler:
    return Dialler(FFI(), dial, timeout_s)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_library_gets_a_blocking_descriptor_that_is_its_own(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.setblocking(False)
    ours.set_inheritable(True)
    asked = []

    def dial(address: str, timeout_s: float) -> socket.socket:
        asked.append((address, timeout_s))
        return ours

    code, descriptor = call(dialler(dial, 7.5), "peer:1")

    assert (code, asked, ours.fileno()) == (0, [("peer:1", 7.5)], -1)
    assert os.get_blocking(descriptor)
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert theirs.recv(2) == b"x"


def raises(error: BaseException) -> BlockingDial:
    def dial(address: str, timeout_s: float) -> socket.socket:
        raise error

    return dial


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "refused"), ValueError("odd"), SystemExit(3)]
)
def test_whatever_a_dial_raises_is_no_connection_and_said_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    failing = dialler(raises(error))

    with caplog.at_level(logging.WARNING):
        codes = [call(failing, address)[0] for address in ("a:1", "a:1", "b:1", "a:1")]

    assert codes == [NO_CONNECTION] * 4
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in said] == ["no connection to a", "no connection to b"]
    assert repr(error) in said[0]


def test_failure_after_a_success_is_said_again(
    pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Callable[[], socket.socket]] = [
        lambda: (_ for _ in ()).throw(OSError("first")),
        lambda: pair[0],
        lambda: (_ for _ in ()).throw(OSError("second")),
    ]
    changing = dialler(lambda _address, _timeout_s: answers.pop(0)())

    with caplog.at_level(logging.WARNING):
        found = [call(changing, "a:1") for _ in range(3)]

    os.close(found[1][1])
    assert [code for code, _ in found] == [NO_CONNECTION, 0, NO_CONNECTION]
    assert len(caplog.records) == 2


def test_dial_that_hangs_is_given_up_and_its_socket_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    released = threading.Event()
    begun = []

    def hang(address: str, timeout_s: float) -> socket.socket:
        begun.append(address)
        released.wait()
        return ours

    hanging = dialler(hang, 0.05)
    codes = [call(hanging, "a:1")[0], call(hanging, "a:1")[0]]
    released.set()

    assert codes == [NO_CONNECTION, NO_CONNECTION]
    assert begun == ["a:1"], "a second dial waits for the first to end"
    theirs.settimeout(LONG_S)
    assert theirs.recv(1) == b"", "the late connection is closed"


def test_machine_without_threads_makes_no_connection_but_later_again(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one = dialler(lambda _address, _timeout_s: pair[0])
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert call(one, "a:1")[0] == NO_CONNECTION

    code, descriptor = call(one, "a:1")
    os.close(descriptor)
    assert code == 0


def test_dials_to_different_nodes_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2)

    def dial(address: str, timeout_s: float) -> socket.socket:
        both.wait(LONG_S)
        raise OSError("enough")

    meeting = dialler(dial)
    others = [threading.Thread(target=call, args=(meeting, name)) for name in ("a:1", "b:1")]
    for each in others:
        each.start()
    for each in others:
        each.join()

    assert not both.broken


def test_tls_socket_is_refused_because_raft_would_not_encrypt(
    pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context()
    wrapped = context.wrap_socket(pair[0], server_hostname="x", do_handshake_on_connect=False)

    assert call(dialler(lambda _address, _timeout_s: wrapped), "a:1")[0] == NO_CONNECTION
    assert "plain socket" in caplog.text
    assert wrapped.fileno() == -1
