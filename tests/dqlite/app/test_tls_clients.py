"""Connections of PEP 249 and the dialects of SQLAlchemy over TLS to a real node."""

import asyncio
import ssl
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dqlite
from dqlite.app.tls import Tls, simple_tls_config
from tests.dqlite.app.clusters import PATIENCE_S, Apps, eventually

pytestmark = pytest.mark.cluster


def config(path: Path, name: str) -> Tls:
    return simple_tls_config(path / f"{name}.crt", path / f"{name}.key", path / "ca.crt")


@pytest.fixture
def secure(apps: Apps, certificates: Path) -> str:
    """The address of a node that speaks TLS."""
    apps.start(1, transport=config(certificates, "one"))
    return apps.address(1)


def strangers(certificates: Path) -> dict[str, tuple[Tls, str]]:
    """Clients that the node does not suit, or that do not suit the node, and why not."""
    trusting = ssl.create_default_context(cafile=certificates / "ca.crt")
    signed = ssl.create_default_context(cafile=certificates / "ca.crt")
    other = certificates / "other"
    signed.load_cert_chain(other / "stranger.crt", other / "stranger.key")
    ours = config(certificates, "two")
    return {
        "does-not-trust-the-node": (config(other, "stranger"), "certificate verify failed"),
        "expects-another-name": (
            Tls(ours.listen_context, ours.dial_context, "elsewhere"),
            "Hostname mismatch",
        ),
        "has-no-certificate": (
            Tls(trusting, trusting, "dqlite"), "certificate required|handshake failure",
        ),
        "is-signed-by-somebody-else": (Tls(signed, signed, "dqlite"), "unknown ca"),
    }  # fmt: skip


def test_both_faces_work_over_tls(secure: str, certificates: Path) -> None:
    tls = config(certificates, "two")
    with closing(dqlite.connect(secure, "app", tls=tls, autocommit=True)) as connection:
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (7)")

    async def read() -> Any:
        connection = await dqlite.aio.connect(secure, "app", tls=tls)
        rows = await (await connection.execute("SELECT n FROM t")).fetchall()
        await connection.close()
        return rows

    assert asyncio.run(read()) == [(7,)]


def test_each_certificate_that_does_not_suit_is_not_trusted_and_says_why(
    secure: str, certificates: Path
) -> None:
    for name, (tls, why) in strangers(certificates).items():
        with pytest.raises(dqlite.NotTrusted, match=f"(?i){why.replace(' ', '[ _]')}") as caught:
            dqlite.connect(secure, "app", tls=tls, timeout_s=PATIENCE_S)
        assert secure in str(caught.value), name
        assert not caught.value.retryable

        with pytest.raises(dqlite.NotTrusted, match=f"(?i){why.replace(' ', '[ _]')}"):
            asyncio.run(dqlite.aio.connect(secure, "app", tls=tls, timeout_s=PATIENCE_S))


@pytest.mark.parametrize("stranger", ["has-no-certificate", "is-signed-by-somebody-else"])
def test_refusal_after_the_handshake_is_heard_however_late_the_first_request_comes(
    secure: str, certificates: Path, caplog: pytest.LogCaptureFixture, stranger: str
) -> None:
    tls, _ = strangers(certificates)[stranger]
    client = dqlite.BlockingClient.connect(secure, dial=tls.dial, timeout_s=PATIENCE_S)
    eventually(lambda: "dqlite.app.proxy" in {each.name for each in caplog.records})
    with client, pytest.raises(dqlite.NotTrusted):
        client.leader()

    async def ask() -> None:
        dial = tls.dial_async
        async with await dqlite.Client.connect(secure, dial=dial, timeout_s=PATIENCE_S) as client:
            time.sleep(0.1)  # noqa: ASYNC251 - the loop sees nothing of what comes meanwhile
            await client.leader()

    with pytest.raises(dqlite.NotTrusted):
        asyncio.run(ask())


@pytest.mark.parametrize("stranger", ["has-no-certificate", "is-signed-by-somebody-else"])
def test_refusal_that_comes_between_a_look_and_the_first_write_is_heard(
    secure: str, certificates: Path, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    tls, _ = strangers(certificates)[stranger]
    monkeypatch.setattr("dqlite.client.connection._TURNS_TO_HEAR", 0)  # the look sees nothing

    async def ask() -> None:
        dial = tls.dial_async
        async with await dqlite.Client.connect(secure, dial=dial, timeout_s=PATIENCE_S) as client:
            time.sleep(0.1)  # noqa: ASYNC251 - the loop sees nothing of what comes meanwhile
            await client.leader()

    with pytest.raises(dqlite.NotTrusted):
        asyncio.run(ask())


def test_plain_connection_to_a_node_with_tls_ends_in_time(secure: str) -> None:
    with pytest.raises(dqlite.NoLeader, match=secure):
        dqlite.connect(secure, "app", timeout_s=1)


def test_tls_to_a_node_without_it_ends_in_time(apps: Apps, certificates: Path) -> None:
    apps.start(1)
    with pytest.raises(dqlite.NoLeader, match=apps.address(1)):
        dqlite.connect(apps.address(1), "app", tls=config(certificates, "two"), timeout_s=1)


def query(path: Path, name: str) -> str:
    return f"tls_cert={path / name}.crt&tls_key={path / name}.key&tls_ca={path}/ca.crt"


def test_dialects_take_tls_as_an_argument_and_out_of_the_url(
    secure: str, certificates: Path
) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.ext.asyncio import create_async_engine

    one = sqlalchemy.text("SELECT 1")
    arguments = {"tls": config(certificates, "two")}
    urls = (
        (f"{secure}/app", arguments),
        (f"{secure}/app?{query(certificates, 'two')}", {}),
    )
    for url, given in urls:
        engine = sqlalchemy.create_engine(f"dqlite+sync://{url}", connect_args=given)
        with engine.connect() as connection:
            assert connection.scalar(one) == 1
        engine.dispose()

    async def ask(url: str, given: Any) -> Any:
        engine = create_async_engine(f"dqlite+asyncio://{url}", connect_args=given)
        async with engine.connect() as connection:
            answer = await connection.scalar(one)
        await engine.dispose()
        return answer

    assert [asyncio.run(ask(*each)) for each in urls] == [1, 1]


def test_dialect_says_which_certificate_does_not_suit(secure: str, certificates: Path) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(
        f"dqlite+sync://{secure}/app?{query(certificates / 'other', 'stranger')}"
    )
    with pytest.raises(sqlalchemy.exc.OperationalError, match="certificate verify fail") as caught:
        engine.connect()

    assert isinstance(caught.value.orig, dqlite.NotTrusted)
