"""The command `shrink`: make a run that failed smaller while it still fails in the same way."""

from __future__ import annotations

import time
from contextlib import suppress
from math import ceil, log
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.status import Status

from dissever.commands.options import (
    JSON,
    QUIET,
    RUN,
    jobs_option,
    real_time_limit,
    runs_option,
    signature_option,
)
from dissever.commands.output import EXIT_FAILED, hushed, print_json, say, tell
from dissever.configuration import near
from dissever.harness import store
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.values import count_text
from dissever.proportions import wilson
from dissever.replaying import at_home
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.journal import Journal
from dissever.shrinking.keepsakes import ATTEMPTS, FOLDER, Kept, keep
from dissever.shrinking.shrink import (
    ORIGINAL_MAX,
    CannotShrink,
    Clock,
    Deadline,
    Original,
    Shrunk,
    read_original,
    shrink,
)
from dissever.shrinking.trials import Answer, Task, Tries, others, pool, repeated
from dissever.workers import jobs_for

__all__ = ["shrink_command"]

OTHER_SEEDS: Final = 50
"""With how many other seeds the smallest run is tried at the end."""

AGAIN: Final = 10
"""How often the smallest run is tried at least on real nodes; attempts that were made count."""


@click.command("shrink", short_help="Make a run that failed smaller while it still fails.")
@RUN
@signature_option(
    "Which failure of the run to keep, such as linearizable/stale-read/read. By default that of its"
    " verdict."
)
@real_time_limit(
    "--time-limit",
    "-t",
    purpose="Stop the search after this time, and take the smallest run found by then.",
)
@jobs_option("attempts")
@click.option(
    "--attempts",
    type=click.IntRange(3, 10_000),
    default=ORIGINAL_MAX,
    show_default=True,
    metavar="N",
    help="On real nodes: how often a smaller run is tried at most.",
)
@click.option("--resume", is_flag=True, help="Go on with the search that was interrupted.")
@runs_option("Where the shrunk run is kept.")
@QUIET
@JSON
def shrink_command(
    run: Path,
    signature: str,
    time_limit: float | None,
    jobs: int | None,
    attempts: int,
    resume: bool,
    runs: Path,
    quiet: bool,
    is_json: bool,
) -> int:
    """
    Make the invalid RUN smaller while it still fails in the same way: fewer faults, nodes, clients,
    keys and operations, narrower windows, a shorter run.

    \b
    dissever shrink runs/latest
    dissever shrink runs/latest --time-limit 600 --jobs 4
    dissever shrink runs/latest --resume
    dissever shrink runs/latest --signature transactions/G-single/rw-wr

    In RUN/shrunk it leaves a plan of a few lines and a test for pytest; the shrunk run has a page
    with the story of what happened. Ctrl-C ends the search, and what was found is kept.

    Exit status: 0 nothing more can be left out, 1 the search ended early and something was left
    out, 3 the run cannot be shrunk or does not fail again, 64 wrong usage.
    """
    began = time.monotonic()
    try:
        with at_home(store.read_plan(run)):
            original = read_original(run, signature)
    except (OSError, ValueError, store.BrokenFile) as error:
        raise click.ClickException(str(error)) from error
    except CannotShrink as error:
        tell(error)
        return EXIT_FAILED
    runs = runs.resolve()
    clock = Clock(time_limit)
    display = Display(original, is_quiet=quiet or is_json)
    jobs = jobs_for(jobs, is_virtual=original.is_exact)
    try:
        folder = run / FOLDER
        folder.mkdir(exist_ok=True)
        with (
            store.locked(folder, f"{near(run)}: another dissever shrink is at it now"),
            hushed(),
            at_home(store.read_plan(run)),
            pool(original.signature, jobs, original.last) as made,
            display,
        ):

            def heard(task: Task, answer: Answer) -> None:
                display.heard(task, answer)
                clock.check()

            tries = Journal(_journal(folder, is_resumed=resume), made, heard)
            shrunk = shrink(original, tries, found=display.found, limit=attempts)
            facts = tuple(_facts(original, shrunk, tries))
            kept = keep(
                original,
                shrunk,
                runs=runs,
                attempts=1 if original.is_exact else _enough(shrunk, attempts),
                facts=facts,
            )
    except CannotShrink as error:
        tell(error)
        return EXIT_FAILED
    except (Deadline, KeyboardInterrupt):
        tell("ended before the recorded run had failed again; go on with --resume")
        return EXIT_FAILED
    except (CannotRun, OSError) as error:
        raise click.ClickException(str(error)) from error
    _conclude(original, shrunk, kept, facts, display.made, time.monotonic() - began, is_json)
    if kept.run is None:
        return EXIT_FAILED
    return 0 if shrunk.is_whole else 1


def _enough(shrunk: Shrunk, limit: int) -> int:
    """How many runs on real nodes hold a failure with 95 %, if it is as frequent as it was."""
    share = min(0.95, shrunk.failed / max(1, shrunk.runs))
    return min(limit, ceil(log(0.05) / log(1 - share))) if share else limit


def _journal(folder: Path, *, is_resumed: bool) -> Path:
    """Where the attempts are written; those of an earlier search are removed, or go on."""
    path = folder / ATTEMPTS
    if not is_resumed:
        path.unlink(missing_ok=True)
    elif not path.exists():
        tell(f"note: there is no {near(path)}, so the search begins")
    return path


class Display:
    """Progress on standard error: a line for each step, and a moving one on a terminal."""

    def __init__(self, original: Original, *, is_quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=is_quiet)
        self._status: Status | None = None
        self._best = original.candidate
        self._stage = "repeating the recorded run"
        self._began = time.monotonic()
        self.made = 0

    def __enter__(self) -> Display:
        self._console.print(f"as recorded: {_words(self._best)}", highlight=False)
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def heard(self, task: Task, answer: Answer) -> None:
        """An attempt was made."""
        self.made += 1
        if self._status is not None:
            rate = self.made / max(0.001, time.monotonic() - self._began)
            text = f"{self._stage}: {self.made} attempts, {rate:.1f}/s; {_words(self._best)}"
            self._status.update(text)

    def found(self, stage: str, best: Candidate) -> None:
        """A smaller candidate fails."""
        before, self._best, self._stage = self._best.size, best, stage
        if best.size != before:
            seconds = time.monotonic() - self._began
            line = f"{seconds:7.1f} s, {self.made:5d} attempts, {stage}: {_words(best)}"
            self._console.print(line, highlight=False, soft_wrap=True)


def _words(candidate: Candidate) -> str:
    """How large it is."""
    size = candidate.size
    parts = [count_text(size.faults, "fault"), count_text(size.nodes, "node")]
    parts.append(count_text(size.clients, "client"))
    if size.keys is not None and size.operations is not None:
        parts += [count_text(size.keys, "key"), count_text(size.operations, "operation")]
    return ", ".join((*parts, f"{size.seconds:.4g} s"))


def _facts(original: Original, shrunk: Shrunk, tries: Tries) -> list[str]:
    """What attempts say of the smallest run: how often it fails, and what it needs."""
    facts = []
    names = list(dict.fromkeys(step.fault for step in shrunk.candidate.faults))
    if names and shrunk.is_whole:
        each = "the fault" if len(shrunk.candidate.faults) == 1 else "any one of the faults"
        how = "no attempt failed" if original.is_exact else "it failed hardly ever or never"
        facts.append(f"Without {each} ({', '.join(names)}) {how} like this.")
    if not original.is_exact:
        recorded = _share(shrunk.failed, shrunk.runs)
        facts.append(f"When it was repeated, the recorded run failed like this in {recorded}.")
        with suppress(Deadline, KeyboardInterrupt):
            if shrunk.why == INTERRUPTED:
                return facts  # Whoever interrupts the search waits for no more attempts.
            again = _share(*repeated(shrunk.candidate, tries, max(AGAIN, shrunk.runs)))
            facts.append(f"The shrunk plan fails like this in {again}.")
        return facts
    try:
        failed, runs = others(shrunk.candidate, tries, OTHER_SEEDS)
    except (Deadline, KeyboardInterrupt):
        return facts
    share = _share(failed, runs)
    facts.append(f"With this seed it fails every time; with other seeds, in {share}.")
    return facts


def _share(failed: int, runs: int) -> str:
    low, high = wilson(failed, runs)
    return f"{failed} of {runs} attempts (95 %: {low:.2f} to {high:.2f})"


def _conclude(
    original: Original,
    shrunk: Shrunk,
    kept: Kept,
    facts: tuple[str, ...],
    attempts: int,
    seconds: float,
    is_json: bool,
) -> None:
    before, after = original.candidate.size, shrunk.candidate.size
    if is_json:
        print_json(
            {
                "signature": original.signature,
                "whole": shrunk.is_whole,
                "why": shrunk.why,
                "before": before,
                "after": after,
                "attempts": attempts,
                "seconds": round(seconds, 1),
                "plan": str(kept.plan),
                "test": str(kept.test),
                "command": kept.command,
                "run": None if kept.run is None else str(kept.run.directory),
                "page": None if kept.run is None else str(kept.run.page),
                "story": kept.sentences,
            }
        )
        return
    how = "nothing more can be left out" if shrunk.is_whole else f"stopped: {shrunk.why}"
    say(f"{original.signature}: {how}, after {attempts} attempts in {seconds:.0f} s")
    say(f"  {_words(original.candidate)}  ->\n  {_words(shrunk.candidate)}\n")
    if kept.run is None:
        tell(f"the shrunk plan failed in none of {kept.attempts} runs; it is in {near(kept.plan)}")
        return
    for sentence in kept.sentences:
        say(f"  {sentence}")
    plan, page = near(kept.plan), "none" if kept.run.page is None else near(kept.run.page)
    say(f"\nplan:  {plan}\ntest:  pytest {near(kept.test)}\npage:  {page}")
    say(f"run:   {kept.command.replace(str(kept.plan), plan)}")
