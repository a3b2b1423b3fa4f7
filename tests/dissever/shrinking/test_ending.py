"""When an attempt on real nodes may end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissever.attempts import attempt
from dissever.harness.cluster.backends import Backend
from dissever.harness.history import Event, Type
from dissever.harness.plan import Options
from dissever.harness.runner import Enough
from dissever.harness.vocabulary import COMPARE, MAJORITY_ONLY, PROGRESS, READY, RESTART
from dissever.shrinking.ending import ENDED, Ending, Last, last_of

ADD, AGAIN = "add", "read"
RECOVERIES = (
    (10, "recovery", Type.INVOKE, PROGRESS),
    (20, "recovery", Type.INFO, PROGRESS),
    (30, "recovery", Type.INVOKE, READY),
    (40, "recovery", Type.INFO, READY),
    (41, "recovery", Type.INVOKE, RESTART),
    (42, "recovery", Type.INFO, RESTART),
    (50, 1, Type.INVOKE, AGAIN),
    (60, 1, Type.OK, AGAIN),
    (70, "recovery", Type.INVOKE, COMPARE),
    (80, "recovery", Type.INFO, COMPARE),
)
EVENTS = [
    Event(index=number, time=time_ns, process=process, type=type_, f=f)
    for number, (time_ns, process, type_, f) in enumerate(
        ((1, 1, Type.INVOKE, ADD), (2, 1, Type.OK, ADD), *RECOVERIES)
    )
]


def heard_until_it_ends(last: Last) -> int:
    """The time of the event with which a run ends; 0: it does not."""
    ending = Ending(last)
    for event in EVENTS:
        try:
            ending.event(event)
        except Enough:
            return event.time
    return 0


@pytest.mark.parametrize(
    ("guilty_ns", "ends_ns"),
    [(2, 10), (20, 20), (40, 40), (60, 70), (80, 80)],
    ids=["an answer", "no progress", "no recovery", "a read at the end", "replicas differ"],
)
def test_run_ends_after_the_step_in_which_the_recorded_failure_was_complete(
    guilty_ns: int, ends_ns: int
) -> None:
    last = last_of(guilty_ns, EVENTS)

    assert last is not None
    assert heard_until_it_ends(last) == ends_ns


def test_failure_of_which_nobody_knows_when_needs_the_whole_end() -> None:
    assert last_of(None, EVENTS) is None


def test_cut_for_the_end_of_the_run_ends_what_needs_no_part_of_it() -> None:
    cut = Event(index=3, time=5, process=MAJORITY_ONLY, type=Type.INVOKE, f="start-majority-only")
    Ending(Last(0)).event(cut)

    with pytest.raises(Enough):
        Ending(Last(-1)).event(cut)


def test_attempt_that_needs_no_end_shows_an_answer_that_cannot_be(tmp_path: Path) -> None:
    options = Options(
        system="simulated",
        workload="register",
        faults=("partition",),
        backend=Backend.SIMULATED,
        time_limit_s=4,
        rate=100,
        system_options={"bug": "stale-read"},
    )
    whole = attempt(options, keep=tmp_path / "whole")
    short = attempt(options, observer=Ending(Last(-1)))

    assert whole.signature.startswith("linearizable/")
    assert short.shows(whole.signature)
    assert short.interruption == ENDED
    assert not whole.interruption
