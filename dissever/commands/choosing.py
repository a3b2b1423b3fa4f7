"""What `runs` and `gc` accept alike: which folder, which runs, ages and sizes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from dissever.commands.params import Names, Number
from dissever.running import RUNS
from dissever.runs import Query
from dissever.runs.query import VERDICTS
from dissever.runs.units import parse_age_s, parse_since, parse_size

__all__ = ["FOLDER", "Age", "Size", "query_of", "query_options"]

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

FOLDER: Final = click.argument(
    "folder",
    metavar="[FOLDER]",
    default=RUNS,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
"""The folder of runs."""


class Age(click.ParamType[float]):
    """A length of time, in seconds: `30d`."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return parse_age_s(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class Since(click.ParamType[datetime]):
    """A point in time: an age, or a date."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_since(str(value), datetime.now(UTC))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """A size, in bytes: `5G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


_OPTIONS: Final = (
    click.option("--system", default="", metavar="NAME", help="Runs of this system."),
    click.option("--workload", default="", metavar="NAME", help="Runs of this workload."),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="NAME",
        help="Runs that asked for this fault; several times: for all of them.",
    ),
    click.option(
        "--verdict",
        "verdicts",
        type=Names("verdict", VERDICTS),
        default=(),
        metavar="WORD,…",
        help=f"Runs with one of these verdicts: {', '.join(VERDICTS)}.",
    ),
    click.option(
        "--signature",
        default="",
        metavar="TEXT",
        help="Runs that fail so: a signature, or its beginning, such as linearizable/stale-read.",
    ),
    click.option("--seed", type=Number("seed"), metavar="N", help="Runs of this seed."),
    click.option(
        "--since",
        type=Since(),
        metavar="AGE|DATE",
        help="Runs that started in this time, such as 7d, or since a date.",
    ),
)


def query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which runs are meant; the command gets what `query_of` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_of(chosen: dict[str, Any]) -> Query:
    """The query of the options."""
    return Query(**{**chosen, "faults": tuple(chosen["faults"])})
