"""
`{name}` in a command, an environment, or a file: facts of a node, filled in before it starts.

Only a name in braces is meant, so the braces of JSON stay what they are; `{{name}}` is `{name}`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from dissever.harness.options import unknown
from dissever.harness.values import quoted

__all__ = ["FACTS", "Node", "filled", "words_of"]

FACTS: Final = frozenset(
    {
        *("address", "count", "data", "first", "here", "index", "majority", "node", "nodes"),
        *("others", "peers", "python"),
    }
)
"""What is known of every node, whatever its system."""

_FIELD: Final = re.compile(r"\{\{(?P<kept>[A-Za-z][\w-]*)\}\}|\{(?P<name>[A-Za-z][\w-]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    What is known of a node before it starts.

    `index` counts from 1. `addresses` has the IP address of every node, in order. `data` is where
    it keeps its data, as its processes see it; `folder` is the node's folder, as the harness sees
    it, and the working directory of the command. `here` is the folder of the system's file; None:
    the node does not see it, because it runs in a container. `options` are those of the system.
    `joins` are the members that it is to join, itself among them; empty: it begins with all others.
    """

    name: str
    index: int
    addresses: Mapping[str, str]
    data: str
    folder: Path
    here: Path | None
    python: str
    peer: str
    options: Mapping[str, Any]
    joins: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Its IP address."""
        return self.addresses[self.name]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(self.addresses)

    def fill(self, template: str) -> str:
        """A text with every `{name}` in it filled in. Raises ValueError for an unknown one."""
        return filled(template, self, "the template")


def filled(template: str, node: Node, where: str) -> str:
    """
    A text with every `{name}` in it filled in.

    Args:
        where: Where the text stands, for the message.

    Raises:
        ValueError: One line, for a name that there is not, and for what is no text.
    """
    if not isinstance(template, str):
        raise ValueError(f"{where}: expected a text, got {quoted(template)}")
    facts = {
        **_facts(node),
        "peers": lambda: _peers(node, where),
        "others": lambda: _peers(node, where, is_without_itself=True),
    }

    def fact(match: re.Match[str]) -> str:
        if match["kept"]:
            return f"{{{match['kept']}}}"
        name = match["name"]
        if name == "here" and node.here is None:
            raise ValueError(
                f"{where}: {{here}} is a folder of this machine, which containers do not see:"
                " put its files into the image, or name them in `files`"
            )
        value = facts.get(name, facts.get(name.replace("_", "-")))
        if value is None:
            what = unknown("{name}", f"{name}", sorted(facts))
            raise ValueError(f"{where}: {what}; the text itself is written {{{{{name}}}}}")
        return str(value() if callable(value) else value)

    return _FIELD.sub(fact, template)


def words_of(line: str, where: str) -> list[str]:
    """The words of a command, as a shell splits them. Raises ValueError, in one line."""
    try:
        return shlex.split(line)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: expected a command, got {quoted(line)}: {error}") from error


def _facts(node: Node) -> dict[str, Any]:
    return {
        "node": node.name,
        "index": node.index,
        "address": node.address,
        "nodes": ",".join(node.nodes),
        "data": node.data,
        "here": node.here,
        "python": node.python,
        "count": len(node.nodes),
        "majority": len(node.nodes) // 2 + 1,
        "first": next(iter(node.addresses.values())),
        **{name: "" if value is None else value for name, value in node.options.items()},
    }


def _peers(node: Node, where: str, *, is_without_itself: bool = False) -> str:
    """The nodes that it works with, each as `peer` says, joined with commas."""
    wanted = node.joins or node.nodes
    return ",".join(
        filled(node.peer, replace(node, name=name, index=index, peer=""), f"{where} (peer)")
        for index, name in enumerate(node.nodes, start=1)
        if name in wanted and not (is_without_itself and name == node.name)
    )
