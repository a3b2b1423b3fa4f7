"""What is left out of a run whose times vary: coarse steps, because each attempt costs seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import msgspec

from dissever.harness.plan import Options
from dissever.nemesis.plans.script import Step
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.passes import passes
from dissever.shrinking.shrink import FRESH, SELDOM, Original, shrink
from dissever.shrinking.trials import Answer, Answers, Task

EARLY = Step("disk-error", 1.1, for_s=1.3, nodes=("n1",))
LATE = Step("kill", 5.0, for_s=1.0, nodes=("n2",))


def recorded(*, is_exact: bool = False) -> Candidate:
    """Ten seconds, of which only the first fault matters."""
    options = Options(system="simulated", workload="set", time_limit_s=10)
    return Candidate(options, (EARLY, LATE), () if is_exact else None, True, 1)


def smallest(
    name: str, guilty_s: float | None, fails: Callable[[Candidate], bool], current: Candidate
) -> tuple[Candidate, int]:
    """What is left after one pass, and how many candidates were tried."""
    search = passes(guilty_s, is_exact=current.operations is not None)[name](current)
    tried = 0
    answer = None
    try:
        while True:
            asked = search.send(answer)
            answer = None
            for place, each in enumerate(asked):
                tried += 1
                if fails(each):
                    answer = place, each
                    break
    except StopIteration as end:
        left: Candidate = end.value
        return left, tried


def has_early(candidate: Candidate) -> bool:
    """Whether it has the fault that matters, for a second at least."""
    return any(step.fault == EARLY.fault and (step.for_s or 0) >= 1 for step in candidate.faults)


def test_real_run_ends_at_a_multiple_of_the_grain() -> None:
    left, tried = smallest("shorter", None, has_early, recorded())
    cut, _ = smallest("shorter", 2.2, has_early, recorded())

    assert left.options.time_limit_s == 3
    assert [step.fault for step in left.faults] == ["disk-error"]
    assert tried <= 5
    assert cut.options.time_limit_s == 3


def test_real_windows_are_not_made_narrower_than_the_grain() -> None:
    def fails(_: Candidate) -> bool:
        return True

    left, _ = smallest("windows", None, fails, recorded())
    exact, _ = smallest("windows", None, fails, recorded(is_exact=True))

    assert [step.for_s for step in left.faults] == [1.3, 1.0]
    assert all(step.for_s and step.for_s < 0.1 for step in exact.faults)


class Lucky:
    """Every attempt fails that helps to choose; of others only those of runs that are not short."""

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        for task in tasks:
            candidate = task.candidate
            is_long = candidate.options.time_limit_s >= 5
            yield task, Answer(failed=has_early(candidate) and (task.number < FRESH or is_long))


def real(candidate: Candidate) -> Original:
    """A run of real nodes."""
    judged = SimpleNamespace(history=SimpleNamespace(events=()))
    return Original(Path(), judged, "a/b", candidate, candidate, None, False)  # type: ignore[arg-type]


def test_what_was_accepted_by_luck_is_not_kept() -> None:
    heard: list[str] = []
    shrunk = shrink(real(recorded()), Lucky(), found=lambda name, _: heard.append(name), limit=20)

    assert shrunk.candidate.options.time_limit_s == 5
    assert not shrunk.is_whole
    assert shrunk.why == SELDOM
    assert "tried again" in heard


def test_what_holds_when_it_is_tried_again_is_kept() -> None:
    class Steady(Lucky):
        def __call__(self, tasks: Iterable[Task]) -> Answers:
            for task in tasks:
                yield task, Answer(failed=has_early(task.candidate))

    shrunk = shrink(real(recorded()), Steady(), found=lambda *_: None, limit=20)

    assert shrunk.is_whole
    assert shrunk.candidate.size.faults == 1
    assert shrunk.candidate.options.time_limit_s <= 3
    assert (shrunk.failed, shrunk.runs) == (5, 5)


def test_of_two_ways_to_strike_the_one_that_fails_first_is_repeated() -> None:
    named = msgspec.structs.replace(recorded(), faults=(EARLY,))
    leader = Step("disk-error:leader", EARLY.at, for_s=EARLY.for_s)
    as_asked = msgspec.structs.replace(named, faults=(leader,))

    class OfLeaders(Lucky):
        def __call__(self, tasks: Iterable[Task]) -> Answers:
            for task in tasks:
                yield task, Answer(failed=leader.fault in {s.fault for s in task.candidate.faults})

    original = dataclasses.replace(real(named), as_asked=as_asked)
    shrunk = shrink(original, OfLeaders(), found=lambda *_: None, limit=20)

    assert [step.fault for step in shrunk.candidate.faults] == [leader.fault]
