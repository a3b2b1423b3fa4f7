"""
Identities of nodes.

Source: `dqlite_generate_node_id` in `dqlite/src/server.c`; `raft_digest` in `raft.c`.
"""

import hashlib
import time

BOOTSTRAP_ID = 3_297_041_220_608_546_238
"""Of the node that founds a cluster; so does id 1. It is the digest of "1" and 0."""

FOUNDERS = (1, BOOTSTRAP_ID)
"""Nodes with these ids found a cluster in an empty directory; others wait to be added."""


def generate_id(address: str) -> int:
    """
    Return an id for a node at this address, by the address and the time: two calls differ.

    libdqlite makes them in the same way.
    """
    return digest(address, time.time_ns())


def digest(text: str, number: int) -> int:
    """Return 64 bits of the SHA-1 of a text and a number below 2^64."""
    hashed = hashlib.sha1(text.encode() + number.to_bytes(8, "little"), usedforsecurity=False)
    return int.from_bytes(hashed.digest()[-8:], "little")
