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
    NoSuchThing,
    Proxy,
    Refused,
    ServerFailed,
    ThereAlready,
    Toxic,
    Toxiproxy,
    Unreachable,
    Wedged,
    toxics,
)

Connect: TypeAlias = Callable[[str], socket.socket]

LISTEN = "127.0.0.1:0"
UP = Direction.UPSTREAM


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
        yield lambda: socket.create_connection(made.server_address[:2], 1.0)
        made.shutdown()


def test_a_proxy_is_made_with_its_toxics_changed_and_removed(
    toxiproxy: Toxiproxy, echo: str
) -> None:
    async def run() -> None:
        slow = Toxic(toxics.latency(0.02), UP)
        made = await toxiproxy.create(Proxy("life", LISTEN, echo, toxics=(slow,)))
        assert made.enabled
        assert made.listen != LISTEN
        assert await toxiproxy.proxy("life") == made

        await toxiproxy.change_toxic("life", replace(slow, effect=toxics.latency(0.05, 0.01)))
        (changed,) = (await toxiproxy.proxy("life")).toxics
        assert changed.effect.attributes == {"latency": 50, "jitter": 10}

        await toxiproxy.remove_toxic("life", slow.name)
        await toxiproxy.remove_toxic("life", slow.name)
        assert (await toxiproxy.proxy("life")).toxics == ()

        await toxiproxy.delete("life")
        await toxiproxy.delete("life")
        assert "life" not in await toxiproxy.proxies()

    asyncio.run(run())


def test_what_is_wanted_is_applied_once_and_then_nothing_changes(
    toxiproxy: Toxiproxy, echo: str
) -> None:
    async def run() -> None:
        first = await toxiproxy.create(Proxy("wanted", LISTEN, echo))
        both = (Toxic(toxics.latency(0.01), UP), Toxic(toxics.limit_data(9)))
        wanted = replace(first, toxics=both)

        assert len(await toxiproxy.apply([wanted])) == 2
        assert await toxiproxy.apply([wanted]) == ()
        assert await toxiproxy.proxy("wanted") == wanted

        other = replace(wanted, enabled=False, toxics=(Toxic(toxics.latency(0.02), UP),))
        assert await toxiproxy.apply([other]) == (
            "disable wanted",
            "remove wanted/limit_data_downstream",
            "change wanted/latency_upstream",
        )
        assert await toxiproxy.apply([other]) == ()
        # A type is fixed, so another one of the same name takes its place.
        named = Toxic(toxics.slow_close(0.01), UP, name="latency_upstream")
        assert len(await toxiproxy.apply([replace(first, toxics=(named,))])) == 3
        assert (await toxiproxy.proxy("wanted")).toxics == (named,)
        await toxiproxy.delete("wanted")

    asyncio.run(run())


def test_any_host_and_any_port_are_where_the_server_put_them(
    toxiproxy: Toxiproxy, echo: str, connect: Connect
) -> None:
    async def run() -> None:
        anywhere = Proxy("anywhere", "0.0.0.0:0", echo)
        made = await toxiproxy.create(anywhere)

        assert await toxiproxy.apply([anywhere]) == ()
        assert await toxiproxy.proxy("anywhere") == made
        await toxiproxy.delete("anywhere")

    asyncio.run(run())


def test_a_proxy_that_was_off_is_off_again_afterwards(toxiproxy: Toxiproxy, echo: str) -> None:
    async def run() -> None:
        off = await toxiproxy.create(Proxy("off", LISTEN, echo, enabled=False))
        async with toxiproxy.kept("off", "new"):
            await toxiproxy.apply([replace(off, enabled=True, toxics=(Toxic(toxics.timeout(0)),))])
            await toxiproxy.create(Proxy("new", LISTEN, echo))

        (left,) = (await toxiproxy.proxies()).values()
        assert (left.name, left.enabled, left.toxics) == ("off", False, ())
        await toxiproxy.delete("off")

    asyncio.run(run())


def test_errors_say_what_to_do_and_keep_status_and_body(toxiproxy: Toxiproxy, echo: str) -> None:
    async def run() -> None:
        made = await toxiproxy.create(Proxy("errs", LISTEN, echo))
        with pytest.raises(ThereAlready) as there:
            await toxiproxy.create(made)
        with pytest.raises(NoSuchThing) as gone:
            await toxiproxy.proxy("nobody")
        with pytest.raises(NoSuchThing):
            await toxiproxy.change_toxic("errs", Toxic(toxics.timeout(1)))
        with pytest.raises(Refused) as refused:
            await toxiproxy.create(Proxy("", LISTEN, echo))
        with pytest.raises(ServerFailed, match="address already in use") as failed:
            await toxiproxy.create(Proxy("taken", made.listen, echo))

        assert [each.value.status for each in (there, gone, refused, failed)] == [
            409,
            404,
            400,
            500,
        ]
        assert json.loads(failed.value.body)["status"] == 500
        await toxiproxy.delete("errs")
        await toxiproxy.delete("taken")

    asyncio.run(run())


def test_two_clients_talk_to_two_servers(dial: Dial) -> None:
    def old(method: str, path: str) -> tuple[int, bytes]:
        return 200, b'{"version": "2.5.0"}'

    async def run() -> None:
        with other_server(old) as other:
            versions = [await Toxiproxy(each).version() for each in (dial, other)]

        assert versions[1] == "2.5.0" != versions[0]

    asyncio.run(run())


def test_nobody_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with pytest.raises(Unreachable, match="GET /version"):
        asyncio.run(Toxiproxy(lambda: socket.create_connection(address, 1.0)).version())


def test_a_server_that_knows_only_post_is_asked_again() -> None:
    asked = []

    def old(method: str, path: str) -> tuple[int, bytes]:
        asked.append(method)
        body = b'{"name": "p", "listen": "l", "upstream": "u", "enabled": true, "Logger": {}}'
        return (200, body) if method == "POST" else (405, b"")

    async def run() -> Proxy:
        with other_server(old) as dial:
            return await Toxiproxy(dial).change(Proxy("p", "l", "u"))

    assert asyncio.run(run()) == Proxy("p", "l", "u")
    assert asked == ["PATCH", "POST"]


def test_html_instead_of_json_is_no_crash() -> None:
    async def run() -> None:
        with other_server(lambda *_: (503, b"<html>timeout</html>")) as dial:
            with pytest.raises(Wedged, match="heal packet filters") as wedged:
                await Toxiproxy(dial).proxies()
            assert (wedged.value.status, wedged.value.body) == (503, "<html>timeout</html>")
        with (
            other_server(lambda *_: (200, b"<html>hello</html>")) as dial,
            pytest.raises(ServerFailed, match="expected JSON"),
        ):
            await Toxiproxy(dial).proxies()

    asyncio.run(run())


def test_a_proxy_that_waits_for_its_upstream_wedges_who_would_stop_it(
    dial: Dial, black_hole: str, connect: Connect
) -> None:
    async def run() -> None:
        hasty = Toxiproxy(dial, limit_s=0.3)
        made = await hasty.create(Proxy("stuck", LISTEN, black_hole))
        connect(made.listen)
        await asyncio.sleep(0.05)  # Until the proxy dials.
        with pytest.raises(Wedged, match=r"PATCH .* wedged, no answer within 0\.3 s; heal packet"):
            await hasty.change(replace(made, enabled=False))

        # Others are not held up by it.
        assert await hasty.version()

    asyncio.run(run())


def test_the_timer_of_timeout_starts_again_at_every_byte(
    toxiproxy: Toxiproxy, echo: str, connect: Connect
) -> None:
    async def run() -> None:
        gone = Toxic(toxics.timeout(0.3), UP)
        made = await toxiproxy.create(Proxy("timer", LISTEN, echo, toxics=(gone,)))
        connection = connect(made.listen)
        began = time.monotonic()
        while time.monotonic() - began < 0.8:
            connection.sendall(b"x")
            await asyncio.sleep(0.05)
        connection.settimeout(0.02)
        with pytest.raises(TimeoutError):  # Still open, long after 0.3 s.
            connection.recv(1)
        connection.settimeout(5.0)

        assert connection.recv(1) == b""
        await toxiproxy.delete("timer")

    asyncio.run(run())


def test_half_a_close_is_a_whole_one_behind_a_proxy(
    toxiproxy: Toxiproxy, echo: str, connect: Connect
) -> None:
    async def run() -> None:
        made = await toxiproxy.create(Proxy("half", LISTEN, echo))
        direct, proxied = connect(echo), connect(made.listen)
        for each in (direct, proxied):
            each.shutdown(socket.SHUT_WR)

        assert (direct.recv(9), proxied.recv(9)) == (b"bye", b"")
        await toxiproxy.delete("half")

    asyncio.run(run())


def test_an_older_connection_is_closed_and_a_newer_one_reset(
    toxiproxy: Toxiproxy, echo: str, connect: Connect
) -> None:
    async def run() -> None:
        made = await toxiproxy.create(Proxy("reset", LISTEN, echo))
        older = connect(made.listen)
        older.sendall(b"x")
        older.recv(1)
        await toxiproxy.add_toxic("reset", Toxic(toxics.reset_peer(0), UP))
        newer = connect(made.listen)
        for each in (older, newer):
            each.sendall(b"x")

        assert older.recv(1) == b""
        with pytest.raises(ConnectionResetError):
            newer.recv(1)
        await toxiproxy.delete("reset")

    asyncio.run(run())
