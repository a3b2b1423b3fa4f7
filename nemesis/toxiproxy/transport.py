"""
One HTTP call to a Toxiproxy server, wherever it listens: whoever can connect says how.

toxiproxy-python asks one server for the whole process, waits for ever, honours HTTP_PROXY, and
takes every status but three for success. Here a call has its own connection and a time limit, and
toxiproxy-python judges the three that it knows.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from toxiproxy.api import validate_response
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from dissever.nemesis.toxiproxy.errors import (
    NoSuchThing,
    Refused,
    ServerFailed,
    ThereAlready,
    ToxiproxyError,
    Unreachable,
    Wedged,
)

__all__ = ["CALL_LIMIT_S", "Dial", "Transport"]

Dial: TypeAlias = Callable[[], socket.socket]
"""Connects to the server, and may block. Raises OSError."""

CALL_LIMIT_S: Final = 5.0
"""A healthy server answers in milliseconds."""

_HINT: Final = "heal packet filters between the proxy and its upstream, then ask again"


@dataclass(frozen=True, slots=True)
class Transport:
    """The control API of one server. Blocks; belongs to no thread."""

    dial: Dial
    limit_s: float = CALL_LIMIT_S

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """
        Ask, and return what the answer holds; None when it is empty.

        Raises:
            ToxiproxyError: Of the class that says what to do; it keeps the status and the body.
        """
        asked = f"{method} {path}"
        try:
            reply = self._exchange(method, path, body)
        except TimeoutError as error:
            message = f"{asked}: control API wedged, no answer within {self.limit_s:g} s; {_HINT}"
            raise Wedged(message) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{asked}: {str(error) or type(error).__name__}") from error
        _judge(asked, reply)
        if not reply.content:
            return None
        try:
            return json.loads(reply.content)
        except ValueError as error:
            raise ServerFailed(
                f"{asked}: expected JSON, got {reply.text[:80]!r}", reply.status_code, reply.text
            ) from error

    def _exchange(self, method: str, path: str, body: Any) -> _Reply:
        connection = _Connection(self.dial, self.limit_s)
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            return _Reply(answer.status, answer.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class _Reply:
    """What toxiproxy-python looks at."""

    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace").strip()


class _Connection(http.client.HTTPConnection):
    """Over a socket that somebody else connects."""

    def __init__(self, dial: Dial, limit_s: float) -> None:
        super().__init__("toxiproxy")
        self._dial = dial
        self._limit_s = limit_s

    def connect(self) -> None:
        self.sock = self._dial()
        self.sock.settimeout(self._limit_s)


def _judge(asked: str, reply: _Reply) -> None:
    """Raise unless the answer is a success."""
    status, text = reply.status_code, reply.text
    message = f"{asked}: {status} {_message(text)}"
    try:
        validate_response(reply)
    except NotFound as error:
        raise NoSuchThing(message, status, text) from error
    except ProxyExists as error:
        raise ThereAlready(message, status, text) from error
    except InvalidToxic as error:
        raise Refused(message, status, text) from error
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        raise Wedged(f"{asked}: control API wedged, status 503; {_HINT}", status, text)
    if status >= http.HTTPStatus.BAD_REQUEST:
        failed: type[ToxiproxyError] = Refused if status < 500 else ServerFailed
        raise failed(message, status, text)


def _message(text: str) -> str:
    """The server's own words."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
