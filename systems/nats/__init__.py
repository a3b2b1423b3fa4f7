"""
NATS JetStream's key-value store: three servers of a Compose project, each bucket replicated thrice.

Writes are acknowledged by a majority, and a compare-and-set is a write that names the revision that
it replaces. Reads are either what the client library does by default, a direct get, which any
replica answers with what it has; or asked of the leader of the bucket, who answers without asking
the others. Neither promises linearizability, and the documentation of NATS does not say that it
does: what runs show is how far they are from it.

Source: NATS ADR-8 (key-value stores), ADR-31 (direct gets); nats-server 2.9.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from dissever.harness.bugs import is_bug
from dissever.harness.forward import Endpoint
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.compose import Compose

try:
    import nats
    from nats.errors import NoRespondersError
    from nats.js.api import StorageType
    from nats.js.errors import (
        APIError,
        KeyNotFoundError,
        KeyWrongLastSequenceError,
        NoKeysError,
        NoStreamResponseError,
    )
except ImportError:  # `probe` says so.
    nats = None

__all__ = ["Nats", "NatsClient"]

BUCKET: Final = "dissever"
STREAM: Final = f"KV_{BUCKET}"
ANSWER_S: Final = 2.0
