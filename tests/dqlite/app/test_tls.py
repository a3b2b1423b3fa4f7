"""TLS between nodes and for clients, and who is turned away."""

import asyncio
import logging
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connection import BlockingConnection
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions
from dqlite.client.stores import MemoryStore
from dqlite.errors import DqliteError, NodeError, NotSent
from dqlite.wire import codec, schema
from dqlite.wire.schema import Role
from tests.dqlite.app.clusters import PATIENCE_S, Apps, eventually

tls_module = pytest.importorskip("dqlite.app.tls", reason="cffi is not installed")
Tls = tls_module.Tls


def config(path: Path, name: str, authority: str = "ca") -> Any:
    return tls_module.simple_tls_config(
        path / f"{name}.crt", path / f"{name}.key", path / f"{authority}.crt"
    )


def test_both_sides_ask_for_certificates_and_refuse_old_versions(certificates: Path) -> None:
    tls = config(certificates, "one")

    for context in (tls.listen_context, tls.dial_context):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.dial_context.check_hostname
    assert tls.server_name == "dqlite"


@pytest.mark.parametrize(
    ("certificate", "key", "authority", "reason"),
    [
        ("one.crt", "two.key", "ca.crt", "KEY_VALUES_MISMATCH"),
        ("one.crt", "one.key", "other/ca.crt", "certificate verify failed|UNKNOWN_CA"),
        ("missing.crt", "one.key", "ca.crt", "No such file"),
        ("one.key", "one.key", "ca.crt", "missing.crt|PEM|no start line|certificate"),
    ],
)
def test_files_that_do_not_fit_are_an_error_at_once(
    certificates: Path, certificate: str, key: str, authority: str, reason: str
) -> None:
    with pytest.raises(NodeError, match=reason) as caught:
        tls_module.simple_tls_config(
            certificates / certificate, certificates / key, certificates / authority
        )
    assert "\n" not in str(caught.value)
    assert certificate in str(caught.value)


@pytest.fixture
def ends(certificates: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """A client's and a server's end of one connection over TCP, after the handshake."""
    tls = config(certificates, "one")
    greeted: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        raw = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    server = threading.Thread(target=lambda: greeted.append(tls.greet(accepted)))
    server.start()
    with tls.dial_context.wrap_socket(raw, server_hostname=tls.server_name) as client:
        server.join(PATIENCE_S)
        with greeted[0]:
            yield client, greeted[0]


def wait_for(event: int, connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, event)
    assert poll.poll(PATIENCE_S * 1000)


def test_what_tls_has_to_say_between_two_requests_is_no_end_of_the_connection(
    ends: tuple[ssl.SSLSocket, ssl.SSLSocket],
) -> None:
    near, far = ends
    wait_for(select.POLLIN, near)  # the tickets that TLS 1.3 sends after the handshake
    client = BlockingClient(BlockingConnection("a", near), timeout_s=PATIENCE_S)
    answer = schema.LeaderNode(1, "a")
    server = threading.Thread(target=lambda: far.recv(100) and far.sendall(codec.encode(answer)))
    server.start()

    assert client.leader() == answer
    server.join(PATIENCE_S)


def test_end_of_an_idle_connection_over_tls_is_seen_before_anything_is_sent(
    ends: tuple[ssl.SSLSocket, ssl.SSLSocket],
) -> None:
    near, far = ends
    client = BlockingClient(BlockingConnection("a", near), timeout_s=PATIENCE_S)
    far.close()
    wait_for(select.POLLRDHUP, near)

    with pytest.raises(NotSent, match="between two requests"):
        client.leader()


@pytest.fixture
def secure(apps: Apps, certificates: Path) -> Apps:
    """Three nodes over TLS, with two certificates between them."""
    for number, name in ((1, "one"), (2, "two"), (3, "one")):
        apps.start(number, transport=config(certificates, name))
    return apps


@pytest.mark.cluster
def test_cluster_over_tls_serves_and_turns_strangers_away(
    secure: Apps, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eventually(lambda: secure.roles() == dict.fromkeys((1, 2, 3), Role.VOTER))
    with closing(secure.running[2].open("test", PATIENCE_S).connect()) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (7)")
    secure.running[1].handover(PATIENCE_S)
    secure.stop(secure.leader())
    with closing(secure.running[1].open("test", PATIENCE_S).connect()) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]

    # Clients of a program that is no node, blocking and of asyncio
    ours = config(certificates, "two")
    addresses = [secure.address(number) for number in secure.running]
    options = ConnectorOptions(dial=ours.dial_async, dial_blocking=ours.dial)
    store = MemoryStore.of(addresses)
    with BlockingConnector(store, options).connect(timeout_s=PATIENCE_S) as client:
        assert len(client.cluster()) == 3

    async def ask() -> int:
        async with await Connector(store, options).connect(timeout_s=PATIENCE_S) as client:
            return len(await client.cluster())

    assert asyncio.run(ask()) == 3

    # Strangers
    stranger = config(certificates / "other", "stranger")
    trusts_us = ssl.create_default_context(cafile=certificates / "ca.crt")
    anonymous = Tls(trusts_us, trusts_us, "dqlite")
    signed = ssl.create_default_context(cafile=certificates / "ca.crt")
    signed.load_cert_chain(
        certificates / "other" / "stranger.crt", certificates / "other" / "stranger.key"
    )
    with caplog.at_level(logging.INFO, logger="dqlite.app"):
        with secure.describe(4, transport=stranger) as app:
            eventually(lambda: "certificate verify failed" in why_not_ready(app))
        for transport in (stranger, anonymous, Tls(signed, signed, "dqlite")):
            assert not is_served(addresses[0], transport)
        host, _, port = addresses[0].partition(":")
        with socket.create_connection((host, int(port))) as plain, suppress(ConnectionError):
            plain.sendall(bytes(64))
            plain.settimeout(PATIENCE_S)
            assert plain.recv(1)[:1] in (b"\x15", b"")  # an alert of TLS, or the end
        expected = (
            "alert unknown ca",  # the node that does not trust us said so
            "peer did not return a certificate",
            "certificate verify failed",
            "wrong version number",  # no TLS
        )
        eventually(lambda: all(each in refusals(caplog) for each in expected))

    assert sorted(secure.roles()) == [1, 2, 3]


def why_not_ready(app: Any) -> str:
    with pytest.raises(NodeError) as caught:
        app.ready(0.1)
    return str(caught.value)


def is_served(address: str, tls: Any) -> bool:
    """Whether a client gets an answer."""
    try:
        with BlockingClient.connect(address, dial=tls.dial, timeout_s=PATIENCE_S) as client:
            return bool(client.cluster())
    except DqliteError:
        return False


def refusals(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(each.getMessage() for each in caplog.records).lower().replace("_", " ")
