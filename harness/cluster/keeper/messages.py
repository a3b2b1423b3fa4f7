"""Answers as messages, none of them longer than the socket of a keeper takes at once."""

import errno
import json
from typing import Any

BYTES_MAX = 180_000
"""The kernel's own limit is about 200 KB. A node can make a listing of its folder longer."""


def encoded(message: dict[str, Any]) -> bytes:
    """One JSON object. An answer that is too long becomes an error: half would be taken for all."""
    text = json.dumps(message).encode()
    if len(text) > BYTES_MAX:
        reason = f"expected an answer of at most {BYTES_MAX} bytes, got {len(text)}"
        text = json.dumps({"id": message["id"], "error": [errno.EMSGSIZE, reason]}).encode()
    return text
