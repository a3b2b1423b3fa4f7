"""
A Toxiproxy server as a set of proxies that should be there: typed, with time limits, awaitable.

toxiproxy-python decodes what the server says. Its calls ask one server for the whole process, wait
for ever, honour HTTP_PROXY, and take every status but three for success; here a call has its own
connection, which `dial` makes, a time limit, and an error for each status from 400 on.

Source: Shopify/toxiproxy v2.12.0, `api.go`; douglas/toxiproxy-python 0.1.1.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import toxiproxy.proxy
import toxiproxy.toxic

__all__ = [
    "CALL_LIMIT_S",
    "Dial",
    "Direction",
    "NoAnswer",
    "Proxy",
    "Toxic",
    "Toxiproxy",
    "ToxiproxyError",
]

Dial: TypeAlias = Callable[[], Awaitable[socket.socket]]
"""Connects to the server. Raises OSError."""

CALL_LIMIT_S: Final = 5.0
"""A healthy server answers in milliseconds."""

_HINT: Final = "heal packet filters between the proxy and its upstream, then ask again"


class ToxiproxyError(OSError):
    """A call that did not do what it should; `status` is that of HTTP, None when none came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NoAnswer(ToxiproxyError):
    """
    The server is gone, or its control API hangs, or says 503 after 25 s.

    A proxy that waits for its upstream, because packets to it are dropped, blocks what would
    stop it. Heal packet filters first, or reset the proxy's own connections, and ask again.
    """


class Direction(StrEnum):
    """Which way data flow that a toxic acts on."""

    UPSTREAM = "upstream"
    """From who connects to who is connected to."""

    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True)
class Toxic:
    """
    What a proxy does to one direction. The server checks almost none of it.

    `name` is unique on its proxy, in both directions. `attributes`: all that the type has, in the
    server's units; to it a misspelt one is none and counts as 0. `toxicity`, 0 to 1, is the share
    of connections that it takes; it is drawn for a connection when that opens, and again at every
    change.
    """

    name: str
    type: str
    attributes: Mapping[str, int]
    direction: Direction
    toxicity: float = 1.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    A proxy as it is, or should be. Addresses are `host:port`, with an address for the host.

    Toxics stand in the order in which they act.
    """

    name: str
    listen: str
    upstream: str
    toxics: tuple[Toxic, ...] = ()
    enabled: bool = True


class Toxiproxy:
    """One server. Every method raises `ToxiproxyError`."""

    def __init__(self, dial: Dial, limit_s: float = CALL_LIMIT_S) -> None:
        """`limit_s`: how long a call may take."""
        self._dial = dial
        self._limit_s = limit_s

    async def proxies(self) -> dict[str, Proxy]:
        """Every proxy by its name."""
        answer = await self._call("GET", "/proxies")
        return {name: _decoded(fields) for name, fields in answer.items()}

    async def apply(self, wanted: Iterable[Proxy]) -> None:
        """
        See to it that these proxies are there with just these toxics; others are left alone.

        What is as it should be is not changed, so its toxicity is not drawn again. A new proxy
        takes connections only once its toxics are there.
        """
        there = await self.proxies()
        for proxy in wanted:
            now = there.get(proxy.name) or await self._create(proxy)
            path = _path(proxy.name)
            for toxic in now.toxics:
                if toxic not in proxy.toxics:
                    await self._remove_toxic(f"{path}/toxics/{quote(toxic.name, safe='')}")
            for toxic in proxy.toxics:
                if toxic not in now.toxics:
                    await self._call("POST", f"{path}/toxics", _encoded(toxic))
            if not now.enabled:
                await self._call("POST", path, {"enabled": True})

    async def _create(self, proxy: Proxy) -> Proxy:
        fields = {"name": proxy.name, "listen": proxy.listen, "upstream": proxy.upstream}
        made = await self._call("POST", "/proxies", {**fields, "enabled": not proxy.toxics})
        return _decoded(made)

    async def _remove_toxic(self, path: str) -> None:
        try:
            await self._call("DELETE", path)
        except ToxiproxyError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        """What the answer holds; None when it is empty."""
        asked = f"{method} {path}"
        try:
            connection = await self._dial()
            connection.settimeout(self._limit_s)
            status, content = await asyncio.to_thread(_exchange, connection, method, path, body)
        except TimeoutError as error:
            message = f"{asked}: control API wedged, no answer within {self._limit_s:g} s; {_HINT}"
            raise NoAnswer(message) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{asked}: {str(error) or type(error).__name__}") from error
        text = content.decode(errors="replace").strip()
        if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise NoAnswer(f"{asked}: control API wedged, status 503; {_HINT}", status)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ToxiproxyError(f"{asked}: {status} {_message(text)}", status)
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            message = f"{asked}: expected JSON, got {text[:80]!r}"
            raise ToxiproxyError(message, status) from error


def _exchange(connected: socket.socket, method: str, path: str, body: Any) -> tuple[int, bytes]:
    """Ask over that socket, and close it; the status and the content of the answer. Blocks."""
    sent = None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection("toxiproxy")
    connection.sock = connected
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _path(proxy: str) -> str:
    return f"/proxies/{quote(proxy, safe='')}"


def _message(text: str) -> str:
    """The server's own words."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200]


def _encoded(toxic: Toxic) -> dict[str, Any]:
    return {
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.direction.value,
        "toxicity": toxic.toxicity,
        "attributes": toxic.attributes,
    }


def _decoded(fields: dict[str, Any]) -> Proxy:
    """What toxiproxy-python makes of an answer, which passes over stray fields, and its toxics."""
    try:
        proxy = toxiproxy.proxy.Proxy(**fields)
        toxics = [toxiproxy.toxic.Toxic(**each) for each in fields.get("toxics") or ()]
        return Proxy(
            proxy.name,
            proxy.listen,
            proxy.upstream,
            tuple(
                Toxic(each.name, each.type, each.attributes, Direction(each.stream), each.toxicity)
                for each in toxics
            ),
            proxy.enabled,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ToxiproxyError(f"expected a proxy, got {fields!r}") from error
