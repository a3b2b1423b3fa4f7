"""Which socket of this process a library has bound, and what becomes of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dqlite.errors import NodeError
from dqlite.node import listeners

Bound = Callable[[str], socket.socket]


@pytest.fixture
def bound() -> Iterator[Bound]:
    """Makes sockets as a library does: bound, and not listening yet."""
    with ExitStack() as opened:

        def make(address: str) -> socket.socket:
            host, _, port = address.rpartition(":")
            family = socket.AF_INET
            target: tuple[str, int] | str = (host.strip("[]"), int(port or 0))
            if address.startswith("["):
                family = socket.AF_INET6
            elif address.startswith("@"):
                family, target = socket.AF_UNIX, "\0" + address[1:]
            made = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(target)
            return made

        yield make


def is_listening(opened: socket.socket) -> bool:
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


@pytest.mark.parametrize("form", ["{}", "127.0.0.1:0", "[::1]:0", "@dqlite-test-{}"])
def test_socket_that_was_bound_listens(address: str, bound: Bound, form: str) -> None:
    if form.startswith("[") and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    made = []

    def bind() -> str:
        made.append(bound(form.format(address)))
        return form.format(address)

    listener = listeners.listen(bind)

    assert listener.descriptor == made[0].fileno()
    assert is_listening(made[0])


def test_other_sockets_of_the_process_are_left_alone(address: str, bound: Bound) -> None:
    host, port = address.split(":")
    earlier = bound(address)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as nameless,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        socket.socket() as connected,
    ):
        made = []

        def bind() -> str:
            datagrams.bind((host, int(port)))
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connected.bind((host, int(port)))
            connected.connect(elsewhere.getsockname())
            made.append(bound(address))
            return address

        listener = listeners.listen(bind)

        assert listener.descriptor == made[0].fileno()
        assert not is_listening(earlier)
        assert nameless.fileno() > 0


def test_who_listens_too_late_is_told_so_and_gives_the_address_up(
    address: str, bound: Bound
) -> None:
    first = bound(address)
    late = []

    def bind() -> str:
        late.append(bound(address))
        first.listen()
        return address

    with pytest.raises(NodeError, match=f"cannot listen at {address}: .*already in use"):
        listeners.listen(bind)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(late[0].detach())


def test_descriptor_that_belongs_to_somebody_else_by_now_is_not_closed(
    address: str, bound: Bound
) -> None:
    made = []

    def bind() -> str:
        made.append(bound(address))
        return address

    listener = listeners.listen(bind)
    made[0].close()
    with socket.socket() as other:
        assert other.fileno() == listener.descriptor
        listener.close()
        assert os.fstat(other.fileno())


def test_library_that_bound_nothing_is_an_error(address: str) -> None:
    with pytest.raises(NodeError, match="found none"):
        listeners.listen(lambda: address)


def test_error_of_the_library_is_passed_on() -> None:
    def bind() -> str:
        raise NodeError("cannot bind")

    with pytest.raises(NodeError, match="cannot bind"):
        listeners.listen(bind)
