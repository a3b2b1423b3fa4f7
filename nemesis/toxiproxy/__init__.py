"""
Toxiproxy, a TCP proxy that spoils connections on purpose: the client, its toxics, the program.

Source: Shopify/toxiproxy v2.12.0.
"""

from dissever.nemesis.toxiproxy import server, toxics
from dissever.nemesis.toxiproxy.client import Proxy, Toxiproxy
from dissever.nemesis.toxiproxy.errors import (
    NoSuchThing,
    Refused,
    ServerFailed,
    ThereAlready,
    ToxiproxyError,
    Unreachable,
    Wedged,
)
from dissever.nemesis.toxiproxy.toxics import Direction, Effect, Toxic
from dissever.nemesis.toxiproxy.transport import Dial

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # A server, and what it should hold.
    "Dial",
    "Direction",
    "Effect",
    "Proxy",
    "Toxic",
    "Toxiproxy",
    "server",
    "toxics",
    # What can go wrong.
    "NoSuchThing",
    "Refused",
    "ServerFailed",
    "ThereAlready",
    "ToxiproxyError",
    "Unreachable",
    "Wedged",
]
