"""The command `doom`: from when on a run was bound to fail, and which fault is to blame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console

from dissever.commands.options import JSON, RUN, jobs_option, real_time_limit, signature_option
from dissever.commands.output import EXIT_FAILED, hushed, print_json, say, tell
from dissever.configuration import near
from dissever.harness import store
from dissever.judging import try_to_publish
from dissever.replaying import at_home
from dissever.reports.insight import Chance, Doom
from dissever.shrinking.doom import doom
from dissever.shrinking.shrink import CannotShrink, Clock, read_original
from dissever.shrinking.trials import Answers, Pool, Task, pool
from dissever.workers import jobs_for

__all__ = ["doom_command"]

CONTINUATIONS: Final = 20
ON_REAL_NODES: Final = 5
"""How many continuations of each moment there are by default."""

BAR: Final = 20
"""How wide the bar of a share is."""


@click.command("doom", short_help="From when on a run was bound to fail, and by which fault.")
@RUN
@signature_option("Which failure of the run is meant. By default that of its verdict.")
@click.option(
    "--continuations",
    "-n",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="How many continuations of each moment are made. By default"
    f" {CONTINUATIONS}, and {ON_REAL_NODES} on real nodes.",
)
@click.option(
    "--moments",
    "-m",
    type=click.IntRange(2, 400),
    default=40,
    show_default=True,
    metavar="N",
    help="How many moments are looked at, at most.",
)
@real_time_limit(
    "--time-limit", "-t", purpose="Stop after this time, and take what is known by then."
)
@jobs_option("continuations")
@JSON
def doom_command(
    run: Path,
    signature: str,
    continuations: int | None,
    moments: int,
    time_limit: float | None,
    jobs: int | None,
    is_json: bool,
) -> int:
    """
    Find from when on the invalid RUN was bound to fail, and which fault is to blame.

    \b
    dissever doom runs/latest
    dissever doom runs/latest --continuations 100 --jobs 8

    A simulated run is repeated exactly up to a moment, and everything after it is drawn from other
    seeds: the share of these continuations that fail is the curve. For each fault there are
    continuations that lack it. On real nodes, where nothing repeats exactly, a moment means the
    faults that began before it. The curve is written to RUN/doom.json and drawn on the page.

    Exit status: 0 the curve is known, 3 the run cannot be repeated, 64 wrong usage.
    """
    try:
        with at_home(store.read_plan(run)):
            original = read_original(run, signature)
        count = continuations or (CONTINUATIONS if original.is_exact else ON_REAL_NODES)
        jobs = jobs_for(jobs, is_virtual=original.is_exact)
        console = Console(stderr=True, quiet=is_json)
        with (
            hushed(),
            at_home(store.read_plan(run)),
            pool(original.signature, jobs, original.last) as made,
        ):
            tries = _Timed(made, Clock(time_limit))
            found = doom(
                original,
                tries,
                continuations=count,
                moments=moments,
                heard=lambda point: console.print(_line(point), highlight=False),
            )
        written = msgspec.json.encode({"format": 1, **msgspec.to_builtins(found)})
        store.write_text(run / store.DOOM, msgspec.json.format(written).decode() + "\n")
        page, unwritten = try_to_publish(run, original.judged)
    except CannotShrink as error:
        tell(error)
        return EXIT_FAILED
    except (OSError, ValueError, store.BrokenFile) as error:
        raise click.ClickException(str(error)) from error
    if unwritten:
        tell(unwritten)
    if is_json:
        print_json(msgspec.json.decode(written))
    else:
        _conclude(found, run, page)
    return 0


class _Timed:
    """Tries that end when the time is up."""

    def __init__(self, inner: Pool, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        for task, answer in self._inner(tasks):
            self._clock.check()
            yield task, answer


def _line(point: Chance) -> str:
    share = point.k / point.n if point.n else 0.0
    bar = "#" * round(BAR * share)
    interval = f"95 %: {point.low:.2f} to {point.high:.2f}"
    return f"{point.time / 1e9:9.4f} s  {bar:{BAR}s} {point.k:4d} of {point.n}  ({interval})"


def _conclude(found: Doom, run: Path, page: Path | None) -> None:
    say(f"{found.signature}: {found.runs} continuations")
    for point in found.moments:
        say(_line(point))
    for note in found.notes:
        say(f"  {note}")
    if found.named is None:
        say("No single fault was found to blame.")
    else:
        say(f"Doomed by {found.named.text}")
    say(f"curve: {near(run / store.DOOM)}" + ("" if page is None else f"\npage:  {near(page)}"))
