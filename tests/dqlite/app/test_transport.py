"""Nodes whose connections somebody else makes and takes."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dqlite.errors import Closed, NodeError
from dqlite.wire.schema import Member, Role
from tests.dqlite.app.clusters import LATENCY_MS, PATIENCE_S, Apps, eventually

transport = pytest.importorskip("dqlite.app.transport", reason="cffi is not installed")
options = pytest.importorskip("dqlite.node.options")

pytestmark = pytest.mark.cluster


class Exchange:
    """Programs that take connections for nodes, as a web server would, and who can reach them."""

    def __init__(self, *, upgrades: bool) -> None:
        self.apps: dict[str, Any] = {}
        self.transport = transport.External(self.dial, upgrades=upgrades)
        self._upgrades = upgrades
        self._listeners: list[socket.socket] = []

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        """Over TCP with an upgrade, or over a pair of local sockets."""
        app = self.apps.get(address)
        if app is None:
            raise ConnectionRefusedError(f"nobody is at {address}")
        if not self._upgrades:
            ours, theirs = socket.socketpair()
            try:
                app.serve(theirs)
            except (Closed, OSError) as cause:
                ours.close()
                raise ConnectionRefusedError(str(cause)) from cause
            except BaseException:
                ours.close()
                raise
            return ours
        host, _, port = address.partition(":")
        ours = socket.create_connection((host, int(port)), timeout_s)
        try:
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                byte = ours.recv(1)
                if not byte:
                    raise ConnectionResetError(f"{address} closed the connection")
                answer += byte
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert b"Upgrade: dqlite\r\n" in answer
        except BaseException:
            ours.close()
            raise
        return ours

    def add(self, app: Any, address: str) -> None:
        self.apps[address] = app
        if self._upgrades:
            host, _, port = address.partition(":")
            listener = socket.create_server((host, int(port)))
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(app, listener), daemon=True).start()

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, app: Any, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with contextlib.suppress(Closed):
                    app.serve(connection)


@pytest.fixture(params=[True, False], ids=["tcp", "pipe"])
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    with closing(Exchange(upgrades=request.param)) as made:
        yield made


def test_cluster_of_external_connections_serves_and_hands_over(
    apps: Apps, exchange: Exchange
) -> None:
    for number in (1, 2, 3):
        app = apps.describe(number, transport=exchange.transport)
        apps.running[number] = app
        exchange.add(app, apps.address(number))
        app.start()
        app.ready(PATIENCE_S)
    eventually(lambda: apps.roles() == dict.fromkeys((1, 2, 3), Role.VOTER))
    with closing(apps.running[3].open("test", PATIENCE_S).connect()) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")

    old = apps.leader()
    apps.running[old].handover(PATIENCE_S)
    assert apps.leader() != old
    with closing(apps.running[old].open("test", PATIENCE_S).connect()) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_connection_for_a_node_that_does_not_run_is_closed(apps: Apps) -> None:
    app = apps.describe(1, transport=transport.External(lambda *_: socket.socket()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(Closed):
            app.serve(theirs)

        assert theirs.fileno() == -1


def test_node_that_takes_its_connections_by_itself_takes_no_others(apps: Apps) -> None:
    app = apps.start(1)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="External"):
        app.serve(theirs)


def test_transport_decides_where_a_node_listens() -> None:
    gateway = transport.Gateway(
        Member(5, "127.0.0.1:9", Role.VOTER), transport.External(lambda *_: socket.socket())
    )
    given = gateway.node_options(options.NodeOptions(network_latency_ms=LATENCY_MS))

    assert given.bind_address.startswith("@dqlite-5-")
    assert given.network_latency_ms == LATENCY_MS
    with pytest.raises(ValueError, match="bind_address"):
        gateway.node_options(options.NodeOptions(bind_address="127.0.0.1:1"))


def test_abstract_address_has_the_prefix_of_a_snap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP_INSTANCE_NAME", "lxd")

    assert transport.abstract_address(7).startswith("@snap.lxd.dqlite-7-")


def test_busy_address_is_an_error_that_names_it(apps: Apps, certificates: Any) -> None:
    from dqlite.app.tls import simple_tls_config

    tls = simple_tls_config(
        certificates / "one.crt", certificates / "one.key", certificates / "ca.crt"
    )
    host, _, port = apps.address(1).partition(":")
    with (
        socket.create_server((host, int(port))),
        pytest.raises(NodeError, match=f"cannot listen at {apps.address(1)}"),
    ):
        apps.describe(1, transport=tls).start()
    assert not list(apps.path(1).glob("*.yaml"))
    apps.start(1, transport=tls)
