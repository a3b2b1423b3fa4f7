"""
Attempts at candidates, and what they say about them.

On a simulated system one attempt that fails settles it: the same seed fails again. But what is left
out of a run shifts everything that is drawn after it, so a candidate that does not fail gets more
attempts, with seeds of a stream of its own. On real nodes a sequential test decides, because the
same candidate fails only sometimes.

Attempts go side by side where there are several jobs. Their answers are taken in the order in which
they were asked for, so the number of jobs changes nothing but the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from typing import Final, Protocol, TypeAlias

import msgspec

from dissever.attempts import attempt
from dissever.harness.bugs import Bug
from dissever.harness.plan import Options, stream
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.values import reason
from dissever.running import UNOBSERVED
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.ending import ENDED, Ending, Last
from dissever.shrinking.sequential import Test
from dissever.workers import workers

__all__ = [
    "Answer",
    "Decide",
    "Pool",
    "Task",
    "Tries",
    "decide_exactly",
    "decide_statistically",
    "fails",
    "others",
    "pool",
    "repeated",
    "seeds",
]

TRIES: Final = (5, 40)
"""With how many seeds a candidate is tried on a simulated system, least and most."""

OPERATIONS_TRIED: Final = 800
"""
About so many operations are tried for a candidate in all its attempts. While a run is large, a part
that seems to be needed costs much to be sure of; it is asked about again once the run is small.
"""

LEAP: Final = (4, 100)
"""
A candidate that is much smaller than the run that it would take the place of gets as many attempts
as do this many times the operations of that run, up to so many attempts: a leap saves more than it
costs, and may need luck, as when an operation must come within a few ms of a fault.
"""


class Task(msgspec.Struct, frozen=True):
    """One attempt to make: the `number`th of its candidate."""

    candidate: Candidate
    number: int


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What an attempt showed.

    `failed`: in the way that is looked for. `signature` is how it failed, or empty. `is_unfit`: no
    such run can be made. `broke` says why it came to nothing, and is empty otherwise.
    """

    failed: bool = False
    signature: str = ""
    is_unfit: bool = False
    broke: str = ""
    seconds: float = 0.0


Answers: TypeAlias = Generator[tuple[Task, Answer], None, None]
"""Attempts with what they showed, in the order in which they were asked for."""

Decide: TypeAlias = Callable[[Sequence[Candidate]], "tuple[int, Candidate] | None"]
"""The first of the candidates that fails, as it failed, with its place; None when none does."""


def tried(options: Options, signature: str, last: Last | None = None) -> Answer:
    """
    Make one attempt.

    Args:
        last: The last step of the end that it needs; None: it goes on to its end.

    Raises:
        KeyboardInterrupt: When Ctrl-C ended it.
    """
    try:
        found = attempt(options, observer=UNOBSERVED if last is None else Ending(last))
    except ValueError:
        return Answer(is_unfit=True)
    except (CannotRun, OSError, Bug) as error:
        return Answer(broke=reason(error) or type(error).__name__)
    if found.interruption == INTERRUPTED:
        raise KeyboardInterrupt
    is_shown = found.shows(signature)
    is_lost = not is_shown and not options.backend.is_virtual
    broke = found.interruption if is_lost and found.interruption != ENDED else ""
    return Answer(is_shown, found.signature, broke=broke, seconds=found.seconds)


class Tries(Protocol):
    """Makes attempts."""

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        """Each attempt with what it showed, in order; those that nobody takes are not made."""


class Pool:
    """Makes attempts of one signature: in this process, or in as many others as there are jobs."""

    def __init__(
        self,
        signature: str,
        last: Last | None = None,
        jobs: int = 1,
        executor: ProcessPoolExecutor | None = None,
    ) -> None:
        self._signature = signature
        self._last = last
        self._jobs = jobs
        self._executor = executor

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        """As `Tries`."""
        if self._executor is not None:
            yield from self._ahead(iter(tasks), self._executor)
            return
        for task in tasks:
            yield task, tried(task.candidate.asked, self._signature, self._last)

    def _ahead(self, tasks: Iterator[Task], executor: ProcessPoolExecutor) -> Answers:
        waiting: deque[tuple[Task, Future[Answer]]] = deque()
        try:
            while True:
                while len(waiting) < self._jobs and (task := next(tasks, None)) is not None:
                    asked = task.candidate.asked
                    future = executor.submit(tried, asked, self._signature, self._last)
                    waiting.append((task, future))
                if not waiting:
                    return
                task, future = waiting.popleft()
                try:
                    answer = future.result()
                except BrokenProcessPool as error:
                    raise CannotRun("a process that makes attempts was killed") from error
                yield task, answer
        finally:
            for _, future in waiting:
                future.cancel()


@contextmanager
def pool(signature: str, jobs: int, last: Last | None = None) -> Iterator[Pool]:
    """A pool that ends with the block."""
    if jobs == 1:
        yield Pool(signature, last)
        return
    with workers(jobs) as executor:
        yield Pool(signature, last, jobs, executor)


def seeds(candidate: Candidate, seed: int, before: Candidate | None = None) -> tuple[int, ...]:
    """
    The seeds that a candidate is tried with: its own first.

    Args:
        seed: That of the recorded run.
        before: The smallest that failed until now; None: none has.
    """
    operations = _operations(candidate)
    least, most = TRIES
    count = max(least, min(most, OPERATIONS_TRIED // (operations + 1)))
    if before is not None:
        times, most = LEAP
        count = max(count, min(most, times * _operations(before) // (operations + 1)))
    if not operations:
        count = least  # Little happens in it, and most failures need an operation.
    rng = stream(seed, "shrink")
    drawn = (rng.randrange(1 << 32) for _ in range(count))
    return tuple(dict.fromkeys((candidate.options.seed, *drawn)))


def _operations(candidate: Candidate) -> int:
    """How many there are, or about so many where the workload draws them."""
    operations = candidate.size.operations
    if operations is None:
        return int(candidate.options.rate * candidate.options.time_limit_s)
    return operations


def decide_exactly(tries: Tries, seed: int) -> Decide:
    """
    Decide by attempts that can be repeated: one that fails is enough.

    All candidates are tried with their first seed, then all with their second, and so on: what is
    found is found sooner than by asking one candidate after another.
    """
    before: Candidate | None = None

    def tasks(candidates: Sequence[Candidate]) -> Iterator[Task]:
        own = [seeds(candidate, seed, before) for candidate in candidates]
        for number in range(max(map(len, own), default=0)):
            for candidate, each in zip(candidates, own, strict=True):
                if number < len(each):
                    yield Task(candidate.with_seed(each[number]), 0)

    def decide(candidates: Sequence[Candidate]) -> tuple[int, Candidate] | None:
        nonlocal before
        places = {each.digest: place for place, each in reversed([*enumerate(candidates)])}
        unfit: set[str] = set()

        def fitting() -> Iterator[Task]:
            for task in tasks(candidates):
                if not unfit or task.candidate.digest not in unfit:
                    yield task

        with closing(tries(fitting())) as answers:
            for task, answer in answers:
                if answer.failed:
                    before = task.candidate
                    return places[task.candidate.digest], before
                if answer.is_unfit:
                    unfit.add(task.candidate.digest)
        return None

    return decide


def others(candidate: Candidate, tries: Tries, count: int) -> tuple[int, int]:
    """Of attempts with seeds of a stream of their own: how many failed, of how many."""
    rng = stream(candidate.options.seed, "others")
    return _counted(
        tries(Task(candidate.with_seed(rng.randrange(1 << 32)), 0) for _ in range(count))
    )


def repeated(candidate: Candidate, tries: Tries, count: int) -> tuple[int, int]:
    """Of as many attempts at one candidate: how many failed, of how many that came to something."""
    return _counted(tries(Task(candidate, number) for number in range(count)))


def _counted(answers: Answers) -> tuple[int, int]:
    told = [answer.failed for _, answer in answers if not answer.broke]
    return sum(told), len(told)


def decide_statistically(tries: Tries, test: Test) -> Decide:
    """Decide by a sequential test, candidate by candidate."""

    def decide(candidates: Sequence[Candidate]) -> tuple[int, Candidate] | None:
        for place, candidate in enumerate(candidates):
            if fails(tries, test, candidate):
                return place, candidate
        return None

    return decide


def fails(tries: Tries, test: Test, candidate: Candidate, first: int = 0) -> bool:
    """
    Whether it fails as often as the test asks; attempts that broke count for nothing.

    Args:
        first: The number of its first attempt: others than before tell more.
    """
    failed = runs = 0
    numbered = (Task(candidate, number) for number in range(first, first + 2 * test.limit))
    with closing(tries(numbered)) as answers:
        for _, answer in answers:
            if answer.is_unfit:
                return False
            failed += answer.failed
            runs += not answer.broke
            if (decision := test.decision(failed, runs)) is not None:
                return decision
    return False
