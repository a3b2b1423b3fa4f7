"""The client before a real server: what it mends, and the server's ways that faults must know."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from dissever.nemesis.toxiproxy import (
    Dial,
    Direction,
    NoAnswer,
    Proxy,
    Toxic,
    Toxiproxy,
    ToxiproxyError,
)

Connect: TypeAlias = Callable[[str], socket.socket]

UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM
SLOW = Toxic("slow", "latency", {"latency": 20, "jitter": 0}, UP, 0.5)
LIMITED = Toxic("limited", "limit_data", {"bytes": 9}, DOWN)


@pytest.fixture
def listen() -> str:
    """An address that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def dials(address: str) -> Dial:
    """Connects there."""
    host, port = address.split(":")

    async def dial() -> socket.socket:
        return socket.create_connection((host, int(port)), 1.0)

    return dial


@contextmanager
def other_server(answer: Callable[[str, str], tuple[int, bytes]]) -> Iterator[Dial]:
    """Answers (method, path) as it is told to: for what a real server does rarely."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - As the standard library says.

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield dials("{}:{}".format(*made.server_address[:2]))
        made.shutdown()


def test_what_is_wanted_is_applied_and_read_back(
    toxiproxy: Toxiproxy, echo: str, listen: str
) -> None:
    async def run() -> None:
        wanted = Proxy("wanted", listen, echo, (SLOW, LIMITED))
        for toxics in ((SLOW, LIMITED), (), (LIMITED,)):
            await toxiproxy.apply([replace(wanted, toxics=toxics)])
            assert await toxiproxy.proxies() == {"wanted": replace(wanted, toxics=toxics)}
        # Other attributes, and another type of the same name.
        other = replace(SLOW, name="limited")
        for toxic in (replace(LIMITED, attributes={"bytes": 10}), other):
            await toxiproxy.apply([replace(wanted, toxics=(toxic,))])
            assert (await toxiproxy.proxies())["wanted"].toxics == (toxic,)

    asyncio.run(run())


def test_what_is_there_already_is_not_changed() -> None:
    asked = []

    def answer(method: str, path: str) -> tuple[int, bytes]:
        asked.append((method, path))
        toxic = {
            "name": "slow",
            "type": "latency",
            "stream": "upstream",
            "toxicity": 0.5,
            "attributes": {"latency": 20, "jitter": 0},
        }
        proxy = {"name": "p", "listen": "l", "upstream": "u", "enabled": True, "Logger": {}}
        return 200, json.dumps({"p": proxy | {"toxics": [toxic]}}).encode()

    async def run() -> None:
        with other_server(answer) as dial:
            await Toxiproxy(dial).apply([Proxy("p", "l", "u", (SLOW,))])

    asyncio.run(run())
    assert asked == [("GET", "/proxies")]


def test_a_proxy_that_was_made_by_half_is_completed(
    toxiproxy: Toxiproxy, dial: Dial, echo: str, listen: str
) -> None:
    async def run() -> None:
        wanted = Proxy("half made", listen, echo, (SLOW,))
        bad = replace(SLOW, name="bad", type="no such type")
        with pytest.raises(ToxiproxyError, match="invalid toxic type"):
            await toxiproxy.apply([replace(wanted, toxics=(SLOW, bad))])
        assert not (await toxiproxy.proxies())["half made"].enabled
        await toxiproxy.apply([wanted])
        assert (await toxiproxy.proxies())["half made"] == wanted

    asyncio.run(run())


def test_errors_keep_the_status_and_the_servers_words(
    toxiproxy: Toxiproxy, echo: str, listen: str
) -> None:
    async def run() -> None:
        await toxiproxy.apply([Proxy("errs", listen, echo)])
        with pytest.raises(ToxiproxyError, match="missing required field") as refused:
            await toxiproxy.apply([Proxy("", listen, echo)])
        with pytest.raises(ToxiproxyError, match="address already in use") as failed:
            await toxiproxy.apply([Proxy("taken", listen, echo)])

        assert [each.value.status for each in (refused, failed)] == [400, 500]

    asyncio.run(run())


def test_two_clients_talk_to_two_servers(dial: Dial, echo: str, listen: str) -> None:
    async def run() -> None:
        await Toxiproxy(dial).apply([Proxy("here", listen, echo)])
        with other_server(lambda *_: (200, b"{}")) as other:
            here, there = [await Toxiproxy(each).proxies() for each in (dial, other)]

        assert "here" in here
        assert there == {}

    asyncio.run(run())


def test_nobody_there_is_told_at_once(listen: str) -> None:
    with pytest.raises(NoAnswer, match="GET /proxies"):
        asyncio.run(Toxiproxy(dials(listen)).proxies())


def test_html_instead_of_json_is_no_crash() -> None:
    async def run() -> None:
        with other_server(lambda *_: (503, b"<html>timeout</html>")) as dial:
            with pytest.raises(NoAnswer, match="heal packet filters") as wedged:
                await Toxiproxy(dial).proxies()
            assert wedged.value.status == 503
        with (
            other_server(lambda *_: (200, b"<html>hello</html>")) as dial,
            pytest.raises(ToxiproxyError, match="expected JSON"),
        ):
            await Toxiproxy(dial).proxies()

    asyncio.run(run())


def test_a_server_that_hangs_is_told_within_the_limit() -> None:
    def late(*_: str) -> tuple[int, bytes]:
        time.sleep(0.5)
        return 200, b"{}"

    async def run() -> None:
        with (
            other_server(late) as dial,
            pytest.raises(NoAnswer, match=r"GET .* wedged, no answer within 0\.1 s; heal packet"),
        ):
            await Toxiproxy(dial, limit_s=0.1).proxies()

    asyncio.run(run())


def test_the_timer_of_timeout_starts_again_at_every_byte(
    toxiproxy: Toxiproxy, echo: str, listen: str, connect: Connect
) -> None:
    async def run() -> None:
        gone = Toxic("gone", "timeout", {"timeout": 300}, UP)
        await toxiproxy.apply([Proxy("timer", listen, echo, (gone,))])
        connection = connect(listen)
        began = time.monotonic()
        while time.monotonic() - began < 0.8:
            connection.sendall(b"x")
            await asyncio.sleep(0.05)
        connection.settimeout(0.02)
        with pytest.raises(TimeoutError):  # Still open, long after 0.3 s.
            connection.recv(1)
        connection.settimeout(5.0)

        assert connection.recv(1) == b""

    asyncio.run(run())


def test_half_a_close_is_a_whole_one_behind_a_proxy(
    toxiproxy: Toxiproxy, echo: str, listen: str, connect: Connect
) -> None:
    async def run() -> None:
        await toxiproxy.apply([Proxy("half", listen, echo)])
        direct, proxied = connect(echo), connect(listen)
        for each in (direct, proxied):
            each.shutdown(socket.SHUT_WR)

        assert (direct.recv(9), proxied.recv(9)) == (b"bye", b"")

    asyncio.run(run())


def test_an_older_connection_is_closed_and_a_newer_one_reset(
    toxiproxy: Toxiproxy, echo: str, listen: str, connect: Connect
) -> None:
    async def run() -> None:
        proxy = Proxy("reset", listen, echo)
        await toxiproxy.apply([proxy])
        older = connect(listen)
        older.sendall(b"x")
        older.recv(1)
        reset = Toxic("reset", "reset_peer", {"timeout": 0}, UP)
        await toxiproxy.apply([replace(proxy, toxics=(reset,))])
        newer = connect(listen)
        for each in (older, newer):
            each.sendall(b"x")

        assert older.recv(1) == b""
        with pytest.raises(ConnectionResetError):
            newer.recv(1)

    asyncio.run(run())
