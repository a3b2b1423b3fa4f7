"""
Many seeds of one test: how each ended, and of each kind of failure the smallest run.

Each run depends on its seed alone where the system is simulated, so runs may be made side by side
and in any order, and what is found is the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import structs

from dissever import planning
from dissever.attempts import Attempt, attempt, scratch
from dissever.campaign import Found, MadeBy, Record
from dissever.comparing import Compared, compare, other, require_same_test
from dissever.harness import store
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.system import System
from dissever.judging import judge, try_to_publish
from dissever.reached import never
from dissever.running import possible
from dissever.systems import load
from dissever.workers import workers

__all__ = ["Campaign", "Explored", "Hear", "Progress", "explore"]

FAILURES_MAX: Final = 10
"""After so many runs that could not be made, a campaign ends."""

AHEAD: Final = 3
"""How many seeds wait for each worker, so that none is idle."""


WATCHED_EVERY: Final = 10
"""
Of so many seeds one is tried with a trace, which costs more than a tenth of a run; and so is each
that is not valid. Which seeds depends on the seeds alone, so that two campaigns can be compared.
"""


@dataclass(frozen=True, slots=True)
class Campaign:
    """
    What is explored. `keep` is the directory of the campaign. `jobs` runs are made at a time.

    `limit_s`: no run begins after this time on the real clock; None: all seeds are tried.
    `until_failure`: it ends after the first run that is invalid. `compare_with`: the directory or
    the record of another campaign of the same test, in virtual time; None: none.
    """

    options: Options
    system: System
    seeds: Sequence[int]
    keep: Path
    jobs: int = 1
    limit_s: float | None = None
    until_failure: bool = False
    compare_with: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `made` counts the runs of this session, which took `seconds`."""

    tried: int
    asked: int
    made: int
    seconds: float
    verdicts: Mapping[Verdict, int]
    found: Callable[[], tuple[Found, ...]]


Hear: TypeAlias = Callable[[Progress], None]


class Explored(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a campaign came to.

    `asked` counts the seeds, `tried` those of them with a verdict, now or earlier. `failures` says
    which runs could not be made, and why. `never` names what happened in no run. `ended` says why
    seeds are left, and is empty when none is. `made` and `seconds` are of this session. `makers`
    say what made the runs, one after the other: more than one if the code changed meanwhile.
    `compared` is None if nobody asked.
    """

    directory: str
    asked: int
    tried: int
    verdicts: dict[str, int]
    found: tuple[Found, ...]
    failures: tuple[str, ...]
    never: tuple[str, ...]
    reached: dict[str, int]
    ended: str
    made: int
    seconds: float
    makers: tuple[MadeBy, ...]
    compared: Compared | None = None

    @property
    def verdict(self) -> Verdict:
        """
        The greatest of all runs; unknown at best if none has one, if Ctrl-C ended it, or if it does
        not compare well.
        """
        verdicts = [Verdict(word) for word in self.verdicts]
        if not verdicts or self.ended == INTERRUPTED:
            verdicts.append(Verdict.UNKNOWN)
        if self.compared is not None:
            verdicts.append(self.compared.verdict)
        return max(verdicts)


def explore(campaign: Campaign, hear: Hear = lambda _: None) -> Explored:
    """
    Try each seed that has not been tried, and keep what was found.

    Ctrl-C ends it; what was found by then is kept, and the next call goes on from there.

    Raises:
        ValueError: When the options make no sense, or the directory is of another campaign.
        CannotRun: When this machine or the system does not let the first run happen.
        OSError: When the directory of the campaign cannot be written.
    """
    options = possible(campaign.options, campaign.system)
    versions = planning.make_plan(options, campaign.system, datetime.now(UTC)).versions
    began = time.monotonic()
    failures: list[str] = []
    made = 0
    others = None if campaign.compare_with is None else other(campaign.compare_with)
    with Record(campaign.keep, options, versions) as record:
        if others is not None:
            require_same_test(record.contents, others)
        left = [seed for seed in campaign.seeds if seed not in record.tried]

        def progress() -> Progress:
            seconds = time.monotonic() - began
            tried = len(campaign.seeds) - len(left) + made
            asked = len(campaign.seeds)
            return Progress(
                tried, asked, made, seconds, dict(record.verdicts), lambda: record.found
            )

        ended = ""
        try:
            for seed, came in _made(campaign, options, left):
                if isinstance(came, CannotRun):
                    if not made and not failures:
                        raise came
                    failures.append(f"seed {seed}: {came}")
                elif came.interruption == INTERRUPTED:
                    ended = INTERRUPTED
                    break
                else:
                    record.add(came)
                    made += 1
                hear(progress())
                if (ended := _reason(campaign, came, failures, began)) != "":
                    break
        except KeyboardInterrupt:
            ended = INTERRUPTED
        _publish(record)
        return Explored(
            directory=str(campaign.keep),
            asked=len(campaign.seeds),
            tried=sum(seed in record.tried for seed in campaign.seeds),
            verdicts={each.word: count for each, count in sorted(record.verdicts.items())},
            found=record.found,
            failures=tuple(failures),
            never=never(options, record.reached),
            reached=dict(sorted(record.reached.items())),
            ended=ended if made + len(failures) < len(left) else "",
            made=made,
            seconds=round(time.monotonic() - began, 3),
            makers=tuple(each for each in record.contents.makers if each.seeds),
            compared=None if others is None else compare(record.contents, others),
        )


def _reason(
    campaign: Campaign, came: Attempt | CannotRun, failures: Sequence[str], began: float
) -> str:
    """Why no further run is made, or nothing."""
    if len(failures) >= FAILURES_MAX:
        return f"{len(failures)} runs could not be made"
    if campaign.until_failure and isinstance(came, Attempt) and came.is_invalid:
        return "a failure was found"
    if campaign.limit_s is not None and time.monotonic() - began >= campaign.limit_s:
        return f"the time of {campaign.limit_s:g} s is up"
    return ""


def _publish(record: Record) -> None:
    """Write the results and the page of each run that is kept."""
    for found in record.found:
        if found.directory is not None and not (Path(found.directory) / store.REPORT).exists():
            kept = Path(found.directory)
            try_to_publish(kept, judge(kept))


Came: TypeAlias = Attempt | CannotRun


def _made(campaign: Campaign, options: Options, seeds: Sequence[int]) -> Iterator[tuple[int, Came]]:
    """Make the runs; each seed with what came of it, as they end."""

    def of(seed: int) -> Options:
        is_watched = seed % WATCHED_EVERY == 1 or not options.backend.is_virtual
        return structs.replace(options, seed=seed, trace=is_watched)

    with scratch(is_virtual=options.backend.is_virtual, near=campaign.keep) as place:
        if campaign.jobs == 1:
            for seed in seeds:
                yield seed, _try(of(seed), place, campaign.system)
            return
        waiting = iter(seeds)
        with workers(campaign.jobs) as pool:
            under_way: dict[Future[Came], int] = {}
            while True:
                while len(under_way) < AHEAD * campaign.jobs:
                    seed = next(waiting, -1)
                    if seed < 0:
                        break
                    under_way[pool.submit(_try, of(seed), place)] = seed
                if not under_way:
                    return
                for future in sorted(
                    wait(under_way, return_when=FIRST_COMPLETED).done, key=under_way.__getitem__
                ):
                    seed = under_way.pop(future)
                    try:
                        yield seed, future.result()
                    except BrokenProcessPool as error:
                        seeds_then = ", ".join(map(str, sorted({seed, *under_way.values()})))
                        what = f"a worker ended while it tried one of the seeds {seeds_then}"
                        raise CannotRun(f"{what}; try them with --jobs 1") from error


def _try(options: Options, place: Path, system: System | None = None) -> Came:
    """
    Make a run in the place; its directory stays there if it is not valid.

    Without a trace, such a run is made once more with it, for its page and for its signatures.
    """
    directory = place / f"seed-{options.seed}"
    system = system or _loaded(options.system)
    try:
        tried = attempt(options, system, keep=directory, looks=True)
        if not options.trace and tried.verdict is not Verdict.VALID:
            if tried.interruption == INTERRUPTED:
                return tried
            shutil.rmtree(directory)
            own = structs.replace(options, trace=True)
            tried = attempt(own, system, keep=directory, looks=True)
    except CannotRun as error:
        shutil.rmtree(directory, ignore_errors=True)
        return error
    if tried.verdict is Verdict.VALID:
        shutil.rmtree(directory, ignore_errors=True)
        return structs.replace(tried, directory=None)
    if not tried.is_invalid:
        store.drop_node_data(directory)
    return tried


_SYSTEMS: dict[str, System] = {}
"""Of a worker: what it has loaded."""


def _loaded(reference: str) -> System:
    if reference not in _SYSTEMS:
        _SYSTEMS[reference] = load(reference)
    return _SYSTEMS[reference]
