"""
Search for a known bug of dqlite: one attempt after another, until it shows or the time is up.

A directed attempt is a client on a fresh cluster. A searched one is a whole run, judged by its
checkers, which keeps its report. An attempt that broke is evidence of nothing, and is reported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TypeAlias

import msgspec

import dqlite
from dissever import planning
from dissever.harness import clock, store
from dissever.harness.cluster.backends import Backend
from dissever.harness.plan import Options
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.values import count_text, reason
from dissever.running import Observe, run
from dissever.systems import load
from dissever.systems.dqlite.bugs import RELEASES, Bug, Directed, Searched
from dissever.systems.dqlite.deployment import DqliteDeployment

__all__ = ["LIMIT_S", "Outcome", "Reproduction", "Target", "obstacle", "search"]

LIMIT_S = 1200.0
"""How long a bug that comes by chance is searched for."""

SEEN = "seen.txt"
"""In the folder of a directed attempt: what was seen."""

BREAKS_MAX = 3
"""After this many broken attempts a bug counts as not to be tried here."""

Say: TypeAlias = Callable[[str], None]
"""Shows the user one line."""


class Outcome(StrEnum):
    """What came of the search for a bug."""

    SHOWN = "shown"
    NOT_SHOWN = "not shown"
    CANNOT_RUN = "cannot run here"


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """
    One bug searched for in one library; the fields are those of `dissever reproduce --json`.

    `release` is the library's, empty when it is not known; `is_expected` whether the outcome is
    what is on record for it, None when nothing is. `seen` are lines for people. `run` is the folder
    of the attempt that showed it, or of the last one.
    """

    bug: str
    backend: str
    version: str
    release: str
    outcome: Outcome
    is_expected: bool | None
    seconds: float
    attempts: int
    seen: tuple[str, ...]
    run: str
    command: str


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where the library comes from: `version` is that of an image, empty for this machine's, and for
    the one that is simulated.
    """

    backend: Backend
    version: str = ""

    def of(self, options: Options) -> Options:
        """The same run with this library."""
        system_options = {**options.system_options, "version": self.version}
        if not self.version:
            del system_options["version"]
        return msgspec.structs.replace(options, backend=self.backend, system_options=system_options)

    def __str__(self) -> str:
        return f"on {self.backend}" + (f", {self.version}" if self.version else "")

    @property
    def words(self) -> str:
        """The options of the command line that mean it."""
        if self.backend is Backend.SIMULATED:
            return f" --backend {self.backend}"
        return f" --version {self.version}" if self.version else ""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one attempt came to: lines for people, and the folder of its logs."""

    is_shown: bool
    seen: Sequence[str]
    run: Path


def search(
    bug: Bug, target: Target, limit_s: float, runs: Path, *, say: Say, observe: Observe
) -> Reproduction:
    """
    Search for a bug.

    Args:
        limit_s: For a bug that comes by chance; the attempt that goes on then is the last.
        say: Gets each line of what happens, as it happens.

    Raises:
        KeyboardInterrupt: When it was interrupted.
    """
    began = time.monotonic()
    every = [target.of(options) for options in bug.test.options]
    reasons = [obstacle(options) for options in every]
    usable = [options for options, why in zip(every, reasons, strict=True) if why is None]
    release = release_of(load("dqlite").versions(usable[0])) if usable else ""
    attempts: list[_Attempt] = []
    breaks: list[str] = [] if usable else [str(reasons[0])]
    while usable and not _is_over(bug, attempts, breaks, time.monotonic() - began >= limit_s):
        number = len(attempts) + len(breaks) + 1
        options = msgspec.structs.replace(usable[(number - 1) % len(usable)], seed=number)
        try:
            attempts.append(_attempt(bug, options, runs, say, observe))
        except (CannotRun, OSError, dqlite.DqliteError) as error:
            breaks.append(f"attempt {number} broke: {reason(error)}")
            say(breaks[-1])
    last = attempts[-1] if attempts else None
    outcome = _outcome(last)
    return Reproduction(
        bug=bug.name,
        backend=target.backend,
        version=target.version,
        release=release,
        outcome=outcome,
        is_expected=_is_expected(bug, release, outcome),
        seconds=round(time.monotonic() - began, 1),
        attempts=len(attempts),
        seen=tuple(last.seen if last else breaks),
        run=str(last.run) if last else "",
        command=f"dissever reproduce {bug.name}{target.words}",
    )


def obstacle(options: Options) -> str | None:
    """Why an attempt cannot be made, in one line, or None: of its plan, or of the machine."""
    system = load(options.system)
    try:
        planning.checked(options, system)
    except ValueError as error:
        first, *others = str(error).splitlines() or [reason(error)]
        more = f" (and {count_text(len(others), 'more line')})" if others else ""
        return f"its plan does not fit the backend {options.backend}: {first}{more}"
    return planning.missing(options, system)


def release_of(versions: Mapping[str, str]) -> str:
    """The release of the library among the versions of what runs; or empty."""
    described = " ".join(versions.values())
    if found := re.search(r"libdqlite0? (\d+\.\d+\.\d+)", described):
        return found[1]
    found = re.search(r"calls itself (\d+)", described)
    return _release_called(int(found[1])) if found else ""


def _release_called(number: int) -> str:
    """Of a library by the number it calls itself; two of Debian's are one too low."""
    lies = {11000: "1.11.1", 11800: "1.18.1"}
    return lies.get(number, f"{number // 10_000}.{number // 100 % 100}.{number % 100}")


def _is_over(bug: Bug, attempts: Sequence[_Attempt], breaks: Sequence[str], is_late: bool) -> bool:
    if len(breaks) >= BREAKS_MAX:
        return True
    if not attempts:
        return False
    enough = bug.test.attempts if isinstance(bug.test, Directed) else None
    return attempts[-1].is_shown or is_late or len(attempts) == enough


def _outcome(last: _Attempt | None) -> Outcome:
    if last is None:
        return Outcome.CANNOT_RUN
    return Outcome.SHOWN if last.is_shown else Outcome.NOT_SHOWN


def _is_expected(bug: Bug, release: str, outcome: Outcome) -> bool | None:
    if release not in RELEASES or outcome is Outcome.CANNOT_RUN:
        return None
    return (release in bug.releases) is (outcome is Outcome.SHOWN)


def _attempt(bug: Bug, options: Options, runs: Path, say: Say, observe: Observe) -> _Attempt:
    """
    One attempt.

    Raises:
        CannotRun, OSError, DqliteError: When it broke.
    """
    if isinstance(bug.test, Directed):
        return _directed(bug.test, options, _folder(runs, bug), say)
    return _searched(bug.test, options, runs, say, observe)


def _directed(test: Directed, options: Options, run: Path, say: Say) -> _Attempt:
    seen: list[str] = []

    def note(line: str) -> None:
        seen.append(line)
        say(line)

    async def attempt() -> bool:
        nodes = run / store.NODES
        nodes.mkdir(parents=True)
        system = load(options.system)
        async with system.deploy(options, nodes, Random(options.seed)) as deployment:
            assert isinstance(deployment, DqliteDeployment)
            return await test.attempt(deployment, note)

    is_shown = clock.run(attempt(), is_virtual=options.backend.is_virtual)
    (run / SEEN).write_text("\n".join(seen) + "\n", encoding="utf-8")
    return _Attempt(is_shown, seen, run)


def _searched(test: Searched, options: Options, runs: Path, say: Say, observe: Observe) -> _Attempt:
    ended = run(options, runs=runs, observe=observe, keeps_data=True)
    if ended.interruption == INTERRUPTED:
        raise KeyboardInterrupt
    results = ended.judged.results
    signs = test.signs(results, ended.judged.history)
    seen = [*signs, f"repeat: {ended.plan.command}", f"report: {ended.page}"]
    if not signs:
        store.drop_node_data(ended.directory)
        seen[:0] = [f"{results.verdict.word}: {results.why}"]
    for line in seen:
        say(line)
    return _Attempt(bool(signs), seen, ended.directory)


def _folder(runs: Path, bug: Bug) -> Path:
    return runs / "dqlite" / "reproduce" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-{bug.name}"
