"""Which runs go, and why each of the others stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dissever.harness.results import Verdict
from dissever.runs import Index, Query, State, Stored
from dissever.runs import pruning as p
from dissever.runs.pruning import Choice, Rule, choose

NOW = datetime(2026, 11, 30, tzinfo=UTC)
V, U, I = Verdict.VALID, Verdict.UNKNOWN, Verdict.INVALID  # noqa: E741


def stored(day: int, verdict: Verdict | None = V, state: State = State.JUDGED) -> Stored:
    """A run of 10 bytes, 4 of them data, so many days old."""
    return Stored(
        path=f"run-{day}",
        state=state,
        system="a",
        workload="b",
        started=(NOW - timedelta(days=day)).isoformat(),
        verdict=verdict,
        size_bytes=10,
        data_bytes=4,
    )


RUNS = Index(
    runs=(
        stored(0, None, State.RUNNING),
        stored(1),
        stored(2, I),
        stored(3, U),
        stored(4, None, State.NOT_JUDGED),
        stored(5),
        stored(6, None, State.BROKEN),
    ),
    latest="run-1",
)
ANY = {"invalid_too": True, "unjudged_too": True, "latest_too": True}


def days(choice: Choice) -> list[int]:
    return [int(run.path.removeprefix("run-")) for run in choice.go]


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        (Rule(keep=0), [5, 3]),
        (Rule(keep=4), [5]),
        (Rule(keep=0, **ANY), [6, 5, 4, 3, 2, 1]),
        (Rule(keep=0, invalid_too=True), [5, 3, 2]),
        (Rule(keep=0, unjudged_too=True), [6, 5, 4, 3]),
        (Rule(keep=0, latest_too=True), [5, 3, 1]),
        (Rule(before=NOW - timedelta(days=4)), [5]),
        (Rule(keep=0, query=Query(verdicts=("unknown",))), [3]),
        (Rule(bytes_max=70), []),
        (Rule(bytes_max=69), [5]),
        (Rule(bytes_max=60), [5]),
        (Rule(bytes_max=0), [5, 3]),
        (Rule(bytes_max=55, **ANY), [6, 5]),
        (Rule(bytes_max=27, data_only=True), [5]),
        (Rule(bytes_max=0, keep=5), [5]),
    ],
)
def test_what_goes_oldest_first(rule: Rule, gone: list[int]) -> None:
    choice = choose(RUNS, rule)

    assert days(choice) == gone
    assert choice.stay.total() + len(choice.go) == len(RUNS.runs)


def test_run_that_goes_on_never_goes() -> None:
    choice = choose(RUNS, Rule(keep=0, bytes_max=0, **ANY))

    assert 0 not in days(choice)
    assert choice.stay == {p.RUNNING: 1}


def test_each_run_that_stays_has_a_reason() -> None:
    assert choose(RUNS, Rule(keep=6)).stay == {
        p.RUNNING: 1,
        p.IS_LATEST: 1,
        p.IS_INVALID: 1,
        p.NO_VERDICT: 2,
        p.AMONG_NEWEST: 2,
    }


def test_freed_is_of_the_data_alone_where_only_that_goes() -> None:
    choice = choose(RUNS, Rule(keep=0, data_only=True))

    assert choice.freed_bytes(data_only=True) == 8
    assert choice.freed_bytes(data_only=False) == 20
