"""
Identities: what Raft knows a node by. A node that lost its disk comes back under a new one.
"""

from __future__ import annotations


def host_of(identity: str) -> str:
    """The node that has, or had, an identity."""
    return identity.partition("~")[0]


def identity_of(node: str, generation: int) -> str:
    """The identity of a node that lost its disk so many times."""
    return node if generation == 0 else f"{node}~{generation}"
