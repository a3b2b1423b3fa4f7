"""What can go wrong with a Toxiproxy server, by what the caller can do about it."""

from __future__ import annotations

__all__ = [
    "NoSuchThing",
    "Refused",
    "ServerFailed",
    "ThereAlready",
    "ToxiproxyError",
    "Unreachable",
    "Wedged",
]


class ToxiproxyError(OSError):
    """
    A call that did not do what it should.

    `status` is that of HTTP, and `body` what came with it; None and "" when nothing came.
    """

    def __init__(self, message: str, status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Refused(ToxiproxyError):
    """400, 403: the request itself is wrong, and will be the next time."""


class NoSuchThing(ToxiproxyError):
    """404: no proxy or toxic of that name."""


class ThereAlready(ToxiproxyError):
    """409: a proxy or toxic of that name."""


class ServerFailed(ToxiproxyError):
    """Any other status, such as 500 when the address to listen on is taken."""


class Unreachable(ToxiproxyError):
    """Nobody listens there, or who does speaks no HTTP: the server is gone, or never came up."""


class Wedged(ToxiproxyError):
    """
    The control API does not answer, or says 503 after 25 s.

    A proxy that waits for its upstream, because packets to it are dropped, blocks whoever wants to
    stop it. Heal packet filters first, or reset the proxy's own connections, and ask again.
    """
