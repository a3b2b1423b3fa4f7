"""What the command line accepts: names with a nearest match, nodes, concurrency, key=value."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from dissever.checkers.transactions.models import judged_by
from dissever.harness import store
from dissever.harness.durations import check_seconds
from dissever.harness.names import NODES_MAX, check_nodes, numbered
from dissever.harness.options import unknown
from dissever.harness.plan import LIMITS
from dissever.harness.plugins import Registry
from dissever.harness.values import quoted
from dissever.nemesis import PRESETS, parse

DIGITS_MAX: Final = 9

SEEDS_MAX: Final = 10_000
"""How many runs one command makes at most."""


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


class ConsistencyModel(click.ParamType[str]):
    """A consistency model of transactions, by any of its names."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return judged_by(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "MODEL"


class Reference(click.ParamType[Any]):
    """What a registry can be looked up by: a name, a path, or `package:Name`."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.name = registry.kind.what
        self._registry = registry

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            self._registry.find(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)

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


class RunPath(click.Path):
    """A run directory, by its path, a link to it, or a file in it."""

    def __init__(self, *, may_be_file: bool = False) -> None:
        """`may_be_file`: a file stands for itself."""
        super().__init__(exists=True, path_type=Path)
        self._may_be_file = may_be_file

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self._may_be_file and path.is_file():
            return path
        try:
            return store.find_run(path)
        except FileNotFoundError as error:  # As whatever is there and cannot be read.
            raise click.ClickException(str(error)) from error


class Number(click.ParamType[Any]):
    """A number in the range of an option of every run; a whole one where both ends are."""

    name = "number"

    def __init__(self, option: str) -> None:
        """`option`: a name in `LIMITS`."""
        self._least, self._most = LIMITS[option]

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        least, most = self._least, self._most
        number: float
        try:
            number = int(value) if isinstance(least, int) else float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            whole = "a whole number" if isinstance(least, int) else "a number"
            expected = f"expected {whole} from {least:,} to {most:,}"
            self.fail(f"{expected}, got {quoted(str(value))}", param, ctx)
        return number


class Duration(click.ParamType[Any]):
    """A time: `90s`, `5m`, `1h30m`, `500ms`; a plain number is in seconds."""

    name = "duration"

    def __init__(self, option: str) -> None:
        """`option`: a name in `LIMITS`."""
        self._least, self._most = LIMITS[option]

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return check_seconds(str(value), self._least, self._most)
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class Nodes(click.ParamType[Any]):
    """A number of nodes, or their names with commas between them."""

    name = "nodes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        try:
            if is_number(text):
                names = numbered(_count(text))
            else:
                names = tuple(name.strip() for name in text.split(","))
            check_nodes(names)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return names


def is_number(text: str) -> bool:
    """Whether it reads as a number, whole or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _count(text: str) -> int:
    """
    A number of nodes.

    Raises:
        ValueError: When it is none that a cluster can have.
    """
    if not text.isdecimal() or len(text) > DIGITS_MAX or not 1 <= int(text) <= NODES_MAX:
        raise ValueError(f"expected 1 to {NODES_MAX} nodes, got {quoted(text)}")
    return int(text)


class Concurrency(click.ParamType[Any]):
    """A number of clients, or with an n a number for each node: 10, or 2n."""

    name = "clients"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, bool]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        number = text.removesuffix("n")
        least, most = LIMITS["concurrency"]
        if not number.isdecimal() or len(number) > DIGITS_MAX or not least <= int(number) <= most:
            what = f"a number from {least:,} to {most:,} like 10, or 2n for two per node"
            self.fail(f"expected {what}, got {quoted(text)}", param, ctx)
        return int(number), text.endswith("n")


class References(click.ParamType[Any]):
    """What a registry can be looked up by, several with commas between them, or none."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.name = f"{registry.kind.what}s"
        self._one = Reference(registry)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        texts = (text.strip() for text in str(value).split(","))
        each = (self._one.convert(text, param, ctx) for text in texts if text)
        return tuple(dict.fromkeys(each))


class Faults(click.ParamType[Any]):
    """Names of faults with commas between them, each with or without a target."""

    name = "faults"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        try:
            if not names:
                raise ValueError(f"expected --faults with names of faults, got {quoted(value)}")
            parse(name for name in names if name not in PRESETS)
        except ValueError as error:
            raise click.UsageError(str(error), ctx) from error
        return names


class Seeds(click.ParamType[Any]):
    """Seeds with commas between them, or the first and the last of many: 1-20, or 3,7,40-45."""

    name = "seeds"

    def __init__(self, most: int = SEEDS_MAX) -> None:
        """`most`: how many seeds there may be."""
        self._most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        seeds: list[int] = []
        for text in str(value).split(","):
            first, dash, last = text.strip().partition("-")
            least = self._seed(first, str(value), param, ctx)
            most = self._seed(last, str(value), param, ctx) if dash else least
            count = most - least + 1
            if count < 1 or len(seeds) + count > self._most:
                expected = f"expected 1 to {self._most:,} seeds, the smaller end first"
                self.fail(f"{expected}, got {quoted(str(value))}", param, ctx)
            seeds += range(least, most + 1)
        return tuple(dict.fromkeys(seeds))

    def _seed(
        self, text: str, whole: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        _, most = LIMITS["seed"]
        if not text.strip().isdecimal() or len(text) > 20 or int(text) > most:
            expected = f"expected seeds from 0 to {most:,}, such as 1-20 or 3,7,40-45"
            self.fail(f"{expected}, got {quoted(whole)}", param, ctx)
        return int(text)
