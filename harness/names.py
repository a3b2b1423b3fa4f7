"""
Names of nodes: host names, with dashes and dots, and addresses of IPv4 and IPv6.

A name is that of the node's folder, too, and stands in commands, logs and reports. So it has no
separator of paths, no blank and no control character, and begins neither with a dot nor with a
dash. Docker takes no colon in its names, so a node is called there by its `label`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from dissever.harness.values import plain, shorten

NODES_MAX: Final = 100
NAME_CHARS_MAX: Final = 63
"""Of a label of the DNS, and of what Linux takes as the name of a host."""

_NAME: Final = re.compile(rf"[A-Za-z0-9_:][A-Za-z0-9_.:-]{{0,{NAME_CHARS_MAX - 1}}}")


def check_nodes(nodes: Sequence[str]) -> None:
    """Raises ValueError unless these are 1 to `NODES_MAX` different names of nodes."""
    if not 1 <= len(nodes) <= NODES_MAX:
        raise ValueError(f"expected 1 to {NODES_MAX} nodes, got {len(nodes):,}")
    for node in nodes:
        if not _NAME.fullmatch(node):
            came = shorten(ascii(node))  # This shows what only looks like a letter or a digit.
            raise ValueError(
                f"expected names of nodes of 1 to {NAME_CHARS_MAX} letters, digits, dots, dashes,"
                f" underscores and colons, not with a dot or a dash first, got {came}"
            )
    labels: dict[str, str] = {}
    for node in nodes:
        if (other := labels.setdefault(label(node), node)) != node or nodes.count(node) > 1:
            raise ValueError(f"expected different names of nodes, got {other} and {node}")


def numbered(count: int) -> tuple[str, ...]:
    """The usual names of nodes: n1, n2, …"""
    return tuple(f"n{number}" for number in range(1, count + 1))


def strangers(named: Iterable[str], nodes: Sequence[str]) -> str:
    """What is wrong with names that must be of nodes of the run; nothing if all of them are."""
    unknown = sorted(set(named) - set(nodes))
    if not unknown:
        return ""
    return f"expected nodes out of {', '.join(nodes)}, got {', '.join(map(plain, unknown))}"


def label(node: str) -> str:
    """The name where colons are not allowed."""
    return node.replace(":", "_")
