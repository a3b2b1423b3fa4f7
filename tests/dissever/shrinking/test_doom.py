"""The curve of a run, from continuations whose failing is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from dissever.harness.plan import Options, Reseed
from dissever.nemesis.plans.script import Step
from dissever.reports.insight import Doom
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.doom import doom, next_moment
from dissever.shrinking.shrink import CannotShrink, Deadline, Original
from dissever.shrinking.trials import Answer, Answers, Task

KILL = Step("kill", 3.0, for_s=1.0, nodes=("n1",))
PAUSE = Step("pause", 5.0, for_s=1.0, nodes=("n2",))

BASE = Candidate(
    Options(system="simulated", workload="register", time_limit_s=20), (KILL, PAUSE), (), True, 2
)


class Continued:
    """Answers by a probability of failure: of the candidate, and of the moment of its reseeding."""

    def __init__(self, chance: Callable[[Candidate, Reseed | None], float]) -> None:
        self._chance = chance
        self.made = 0
        self.most = 1 << 30

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        for task in tasks:
            if self.made == self.most:
                raise Deadline
            self.made += 1
            reseed = task.candidate.options.reseed
            luck = Random(f"{reseed}/{task.number}/{len(task.candidate.faults)}").random()
            yield task, Answer(failed=luck < self._chance(task.candidate, reseed))


def original(*, is_exact: bool = True) -> Original:
    judged = SimpleNamespace(history=SimpleNamespace(events=()))
    return Original(Path(), judged, "a/b", BASE, BASE, 8.0, is_exact)  # type: ignore[arg-type]


def found(tries: Continued, *, is_exact: bool = True, count: int = 30) -> Doom:
    return doom(
        original(is_exact=is_exact), tries, continuations=count, moments=60, heard=lambda _: None
    )


def by_kill(candidate: Candidate, reseed: Reseed | None) -> float:
    """Bound to fail from 3.2 s on, if the kill was there."""
    if reseed is None or KILL not in candidate.faults:
        return float(reseed is None)
    return 1.0 if reseed.at_s >= 3.2 else 0.5


def test_jump_is_found_and_the_fault_is_named() -> None:
    curve = found(Continued(by_kill))

    before = [each for each in curve.moments if each.time < 3_200_000_000]
    after = [each for each in curve.moments if each.time >= 3_200_000_000]
    assert all(each.k < each.n for each in before)
    assert all(each.k == each.n for each in after)
    assert after[0].time - before[-1].time < 5_000_000
    assert curve.named is not None
    assert (curve.named.fault, curve.named.start) == ("kill", 3_000_000_000)
    assert "0 of 30 without it" in curve.named.text
    assert curve.runs == sum(each.n for each in curve.moments) + 2 * 30


def test_fault_with_which_few_fail_is_told_from_chance_by_more_continuations() -> None:
    def by_few(candidate: Candidate, reseed: Reseed | None) -> float:
        return float(reseed is None) or 0.1 * (KILL in candidate.faults)

    curve = found(Continued(by_few))

    assert curve.named is not None
    assert curve.named.fault == "kill"
    assert max(each.n for each in curve.moments) > 30


def test_no_fault_is_named_when_it_fails_as_often_without_each() -> None:
    curve = found(Continued(lambda *_: 1.0))

    assert curve.named is None
    assert all(each.k == each.n for each in curve.moments)


def test_run_that_does_not_fail_again_has_no_curve() -> None:
    with pytest.raises(CannotShrink, match="does not fail in the same way"):
        found(Continued(lambda *_: 0.0))


def test_search_that_ends_early_keeps_what_is_known() -> None:
    tries = Continued(by_kill)
    tries.most = 1 + 3 * 30
    curve = found(tries)

    assert curve.named is not None
    assert len(curve.moments) == 2
    assert any("ended early" in note for note in curve.notes)


def test_on_real_nodes_a_moment_means_the_faults_before_it() -> None:
    def by_pause(candidate: Candidate, reseed: Reseed | None) -> float:
        assert reseed is None
        return 0.9 if PAUSE in candidate.faults else 0.0

    curve = found(Continued(by_pause), is_exact=False)

    assert [each.k > 0 for each in curve.moments] == [False, False, True]
    assert curve.named is not None
    assert curve.named.fault == "pause"


def test_on_real_nodes_the_first_of_several_faults_that_do_the_same_is_named() -> None:
    def by_any(candidate: Candidate, reseed: Reseed | None) -> float:
        return 0.9 if candidate.faults else 0.0

    curve = found(Continued(by_any), is_exact=False)

    assert curve.named is not None
    assert (curve.named.fault, curve.named.start) == ("kill", 3_000_000_000)
    assert "fail by the others" in curve.named.text


def test_next_moment_is_in_the_middle_of_the_steepest_rise() -> None:
    assert next_moment({0.0: 0.1, 4.0: 0.2, 6.0: 1.0}) == 5.0
    assert next_moment({0.0: 0.1, 4.0: 0.2}) is None
    assert next_moment({0.0: 0.1, 0.003: 1.0}) is None
