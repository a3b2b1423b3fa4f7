"""
A recorded run once more: does it fail in the same way?

A simulated run is exact, so its plan and its seed give the same history to the byte: one replay
decides, and where the histories differ the first difference is named. On real nodes the recorded
schedule strikes the very nodes and links again, at the same times or after what the cluster did
then (`anchoring`), and the answer is a share: k of n, with its 95 % interval.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import structs

from dissever.anchoring import LEADER_CHANGED, anchored, cluster_events, schedule_text
from dissever.attempts import Attempt, attempt, scratch
from dissever.harness import store
from dissever.harness.plan import Options, Plan, stream
from dissever.harness.reader import read_history
from dissever.harness.results import Results, Verdict
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.system import Lacks, Primaries, Snapshots
from dissever.harness.values import shorten
from dissever.judging import judge, try_to_publish
from dissever.nemesis import read_script
from dissever.nemesis.plans.replay import Schedule
from dissever.proportions import wilson
from dissever.signature import shown
from dissever.systems import load
from dissever.traces import lines_of

__all__ = [
    "Difference",
    "Hear",
    "Recorded",
    "Replayed",
    "at_home",
    "follow",
    "recorded",
    "replay",
    "rerun",
    "with_schedule",
]

LINE_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    A run that is to be replayed.

    `signature` is the kind of failure that is looked for, and empty when the run was valid.
    """

    directory: Path
    plan: Plan
    results: Results
    signature: str


class Difference(msgspec.Struct, frozen=True):
    """
    Where two histories differ first: the number of the event from 0, and both lines, shortened.

    `why` names versions that differ, and is empty when none does.
    """

    event: int
    recorded: str
    replayed: str
    why: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of the replays of one run.

    `shown` counts those of the `tried` that failed in the same way (or were valid, as the run was),
    and `low` to `high` is the 95 % interval of that share. `others` counts other kinds of failure.
    `identical` counts the replays with the same history; None where they are not compared, because
    real nodes never give the same. `kept` is the run directory of the first that shows it on real
    nodes, or of the first that differs in simulation. `failures` says which could not be made.
    """

    run: str
    signature: str
    is_exact: bool
    asked: int
    tried: int
    shown: int
    low: float
    high: float
    verdicts: dict[str, int]
    others: dict[str, int]
    identical: int | None
    difference: Difference | None
    kept: str | None
    failures: tuple[str, ...]
    ended: str

    @property
    def verdict(self) -> Verdict:
        """
        The greatest of all replays; unknown at best when none was made, when Ctrl-C ended them, or
        when one that should have been the same was not.
        """
        verdicts = [Verdict(word) for word in self.verdicts]
        if not verdicts or self.ended or self.difference is not None:
            verdicts.append(Verdict.UNKNOWN)
        return max(verdicts)


Hear: TypeAlias = Callable[[int, Attempt], None]
"""Is told the number of each replay, from 1, and what came of it."""


def recorded(run: Path, signature: str = "") -> Recorded:
    """
    Read a run directory; it is judged again if it was not judged as it is.

    Args:
        signature: The failure to look for; empty: that of the verdict.

    Raises:
        FileNotFoundError: When it is none.
        ValueError: When the run does not have that failure.
        OSError, FormatError, BrokenFile: As `judge`.
    """
    directory = store.find_run(run)
    results = judge(directory).results
    if signature:
        shown(results, signature)
    return Recorded(directory, store.read_plan(directory), results, signature or results.signature)


@contextlib.contextmanager
def at_home(plan: Plan) -> Iterator[None]:
    """
    Be in the directory that the relative paths of a plan are relative to, as long as it is there.
    """
    home = Path(plan.directory) if plan.directory else Path.cwd()
    with contextlib.chdir(home if home.is_dir() else Path.cwd()):
        yield


def rerun(run: Recorded) -> Options:
    """
    The options of a replay by time: as they were in simulation, where the seed settles everything;
    on real nodes with the recorded schedule as the plan.

    Raises:
        ValueError: When the schedule cannot be read.
    """
    options = run.plan.options
    if options.backend.is_virtual or not options.faults:
        return options
    return with_schedule(options, _schedule(run))


def follow(run: Recorded) -> Options:
    """
    The options of a replay in which each fault follows what the cluster did before it.

    Raises:
        ValueError: When the run has no faults, or its schedule cannot be read.
        OSError, FormatError: When its history cannot be read.
    """
    options = run.plan.options
    if not options.faults:
        raise ValueError(f"expected a run with faults to anchor, got {run.directory} without any")
    schedule = read_script(_schedule(run))
    assert isinstance(schedule, Schedule)
    history = read_history(run.directory / store.HISTORY).history
    with at_home(run.plan):
        system = load(options.system)
    lacks = system.lacks(options) if isinstance(system, Lacks) else {}
    seen = [
        each
        for each in cluster_events(lines_of(run.directory))
        if (Primaries if each.event == LEADER_CHANGED else Snapshots) not in lacks
    ]
    return with_schedule(options, schedule_text(anchored(schedule.ops, history, seen)))


def _schedule(run: Recorded) -> str:
    """The events of the faults of a run. Raises ValueError when none can be read."""
    for name in (store.SCHEDULE, store.HISTORY):  # The first is missing if the harness was killed.
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            text = (run.directory / name).read_text(encoding="utf-8")
            if text.strip():
                return text
    raise ValueError(f"expected {store.SCHEDULE} in {run.directory}, found none that can be read")


def with_schedule(options: Options, text: str) -> Options:
    """
    The options with these faults, whose targets the schedule names.

    Raises:
        ValueError: When the text is no schedule; the message names the line.
    """
    names = read_script(text).names
    return structs.replace(options, script=text, script_path="", faults=names)


def replay(
    run: Recorded,
    options: Options,
    *,
    times: int,
    keep: Path,
    is_exact: bool,
    hear: Hear = lambda *_: None,
) -> Replayed:
    """
    Make a run several times, one after another.

    Args:
        options: Of each replay, such as `rerun` gives.
        keep: The directory for the replay that is worth keeping; it must not exist.
        is_exact: Whether each must have the history of the run.
        hear: Is told of each.

    Raises:
        ValueError: When the options make no sense any more.
        CannotRun: When this machine or the system does not let the first replay happen.
    """
    keep = keep.absolute()
    count = _Count(run, is_exact=is_exact)
    ended = ""
    is_virtual = options.backend.is_virtual
    with at_home(run.plan), scratch(is_virtual=is_virtual, near=keep.parent) as place:
        system = load(options.system)
        for number in itertools.count(1):
            if number > times:
                break
            directory = place / str(number)
            own = options if is_exact or number == 1 else _reseeded(options, number)
            try:
                tried = attempt(own, system, keep=directory)
            except CannotRun as error:
                if number == 1:
                    raise
                count.failures.append(f"replay {number}: {error}")
                continue
            except KeyboardInterrupt:
                ended = INTERRUPTED
                break
            if tried.interruption == INTERRUPTED and (is_exact or not tried.is_invalid):
                ended = INTERRUPTED
                break
            if count.add(tried, directory) and not keep.exists():
                keep.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(directory, keep)
            shutil.rmtree(directory, ignore_errors=True)
            hear(number, tried)
        if keep.exists():
            try_to_publish(keep, judge(keep))
    return count.replayed(asked=times, kept=str(keep) if keep.exists() else None, ended=ended)


def _reseeded(options: Options, number: int) -> Options:
    """
    In simulation another seed: with the same one, the same schedule gives the same run each time.
    """
    if not options.backend.is_virtual:
        return options
    return structs.replace(options, seed=stream(options.seed, f"replay/{number}").getrandbits(32))


class _Count:
    """What came of the replays so far."""

    def __init__(self, run: Recorded, *, is_exact: bool) -> None:
        self.run = run
        self.failures: list[str] = []
        self._is_exact = is_exact
        self._tried = self._shown = self._identical = 0
        self._verdicts: Counter[Verdict] = Counter()
        self._others: Counter[str] = Counter()
        self._difference: Difference | None = None

    def add(self, tried: Attempt, directory: Path) -> bool:
        """Take in a replay; whether its directory is worth keeping."""
        self._tried += 1
        self._verdicts[tried.verdict] += 1
        signature = self.run.signature
        is_shown = tried.shows(signature) if signature else tried.verdict is Verdict.VALID
        self._shown += is_shown
        if not is_shown and tried.signature:
            self._others[tried.signature] += 1
        if not self._is_exact:
            return is_shown and tried.is_invalid
        is_same = tried.history_sha256 == store.digest(self.run.directory / store.HISTORY)
        self._identical += is_same
        if not is_same and self._difference is None:
            self._difference = _difference(self.run, directory)
            return True
        return False

    def replayed(self, *, asked: int, kept: str | None, ended: str) -> Replayed:
        """All of it."""
        low, high = wilson(self._shown, self._tried)
        return Replayed(
            run=str(self.run.directory),
            signature=self.run.signature,
            is_exact=self._is_exact,
            asked=asked,
            tried=self._tried,
            shown=self._shown,
            low=low,
            high=high,
            verdicts={each.word: count for each, count in sorted(self._verdicts.items())},
            others=dict(sorted(self._others.items())),
            identical=self._identical if self._is_exact else None,
            difference=self._difference,
            kept=kept,
            failures=tuple(self.failures),
            ended=ended,
        )


def _difference(run: Recorded, directory: Path) -> Difference:
    """Where the history of a replay leaves that of the run."""
    why = _other_versions(run.plan.versions, store.read_plan(directory).versions)
    histories = (path / store.HISTORY for path in (run.directory, directory))
    with contextlib.ExitStack() as files:
        before, now = (files.enter_context(path.open("rb")) for path in histories)
        for number, (old, new) in enumerate(itertools.zip_longest(before, now)):
            if old != new:
                return Difference(number, _shown(old), _shown(new), why)
    return Difference(-1, "", "", why)  # It was changed meanwhile.


def _shown(line: bytes | None) -> str:
    if line is None:
        return "nothing: it has ended"
    return shorten(line.decode("utf-8", "replace").strip(), LINE_CHARACTERS_MAX)


def _other_versions(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "; ".join(
        f"{name} was {before.get(name, 'absent')}, and is {now.get(name, 'absent')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
