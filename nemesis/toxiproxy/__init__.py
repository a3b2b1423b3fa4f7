"""
Toxiproxy, a TCP proxy that spoils connections on purpose: the client, and the server's program.

Source: Shopify/toxiproxy v2.12.0.
"""

from dissever.nemesis.toxiproxy import server
from dissever.nemesis.toxiproxy.client import (
    CALL_LIMIT_S,
    Dial,
    Direction,
    NoAnswer,
    Proxy,
    Toxic,
    Toxiproxy,
    ToxiproxyError,
)

__all__ = [
    "CALL_LIMIT_S",
    "Dial",
    "Direction",
    "NoAnswer",
    "Proxy",
    "Toxic",
    "Toxiproxy",
    "ToxiproxyError",
    "server",
]
