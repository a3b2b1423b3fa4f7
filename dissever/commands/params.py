"""What the command line accepts: names with a nearest match, nodes, concurrency, key=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dissever.harness.options import unknown

NODES_MAX = 30


class Name(click.Choice[str]):
    """One of some names; a misspelt one is answered with the nearest."""

    def __init__(self, what: str, names: Sequence[str]) -> None:
        super().__init__(names)
        self.name = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        return self.fail(unknown(self.name, str(value), tuple(self.choices)), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return self.name.upper()


class Names(click.ParamType[Any]):
    """Some of some names, with commas between them."""

    def __init__(self, what: str, names: Sequence[str]) -> None:
        self.name = what
        self._one = Name(what, names)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        each = (self._one.convert(text.strip(), param, ctx) for text in str(value).split(","))
        return tuple(dict.fromkeys(each))


class Nodes(click.ParamType[Any]):
    """A number of nodes, or their names with commas between them."""

    name = "nodes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        if text.isdigit():
            names = tuple(f"n{i}" for i in range(1, int(text) + 1))
        else:
            names = tuple(name.strip() for name in text.split(","))
        if not 1 <= len(names) <= NODES_MAX:
            self.fail(f"expected 1 to {NODES_MAX} nodes, got {len(names)}", param, ctx)
        if not all(name.isidentifier() for name in names) or len(set(names)) < len(names):
            self.fail(
                f"expected a number, or different names like n1,n2,n3, got {text!r}", param, ctx
            )
        return names


class Concurrency(click.ParamType[Any]):
    """A number of clients, or so many for each node: 10, or 2n."""

    name = "clients"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, bool]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        number = text.removesuffix("n")
        if not number.isdigit() or not 1 <= int(number) <= 10_000:
            self.fail(
                f"expected a number like 10, or 2n for two per node, got {text!r}", param, ctx
            )
        return int(number), text.endswith("n")
