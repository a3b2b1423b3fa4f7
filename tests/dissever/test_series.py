"""Several runs in one command: their seeds, the table, and the status that counts most."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.commands import series
from dissever.harness.runner import CannotRun

FAST = ("test", "simulated", "-t", "1")
BROKEN = (*FAST, "--bug", "lost-write")


def seeds_of(runs: Path) -> list[int]:
    """Of the runs that were made, in their order."""
    plans = sorted(runs.glob("simulated/register/*/plan.json"))
    return [json.loads(plan.read_text())["options"]["seed"] for plan in plans]


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (("--seeds", "1-3"), [1, 2, 3]),
        (("--seeds", "9,4-5,9"), [9, 4, 5]),
        (("--seed", "7", "--test-count", "2"), [7, 8]),
    ],
)
def test_there_is_a_run_for_each_seed(
    dissever: Callable, runs: Path, words: tuple[str, ...], seeds: list[int]
) -> None:
    ran = dissever(*FAST, *words)

    assert ran.status == 0
    assert seeds_of(runs) == seeds
    assert f"{len(seeds)} of {len(seeds)} runs valid" in ran.text


def test_random_seeds_differ(dissever: Callable, runs: Path) -> None:
    dissever(*FAST, "--test-count", "2")

    assert len(set(seeds_of(runs))) == 2


def test_the_worst_verdict_is_the_status_and_the_table_names_what_was_found(
    dissever: Callable,
) -> None:
    ran = dissever(*BROKEN, "--seeds", "1-3")

    assert ran.status == 1
    assert "runs valid" in ran.text
    assert "stale-read" in ran.text or "lost-write" in ran.text


def test_until_failure_stops_at_the_first_that_is_not_valid(dissever: Callable, runs: Path) -> None:
    ran = dissever(*BROKEN, "-t", "4", "--seeds", "1-9", "--until-failure")

    assert ran.status == 1
    assert "not made" in ran.text
    assert len(seeds_of(runs)) < 9


def test_json_tells_of_every_run(dissever: Callable) -> None:
    ran = dissever(*FAST, "--seeds", "1-2", "--json", "--quiet")

    assert [run["seed"] for run in json.loads(ran.stdout)["runs"]] == [1, 2]


@pytest.mark.parametrize(("earlier", "status"), [(FAST, 3), ((*BROKEN, "-t", "4"), 1)])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CannotRun("the power is off"), "could not be made: the power is off"),
        (KeyboardInterrupt(), "was interrupted, and is not judged"),
    ],
)
def test_a_run_that_comes_to_nothing_leaves_the_verdicts_of_earlier_ones(
    dissever: Callable,
    monkeypatch: pytest.MonkeyPatch,
    earlier: tuple[str, ...],
    status: int,
    error: BaseException,
    said: str,
) -> None:
    made = series.run

    def run(options: object, *rest: object, **more: object) -> object:
        if getattr(options, "seed", None) == 2:
            raise error
        return made(options, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(series, "run", run)
    ran = dissever(*earlier, "--seeds", "1-3")

    assert ran.status == status
    assert f"the run with seed 2 {said}" in ran.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seeds", "3-1"), "the smaller end first"),
        (("--seeds", "a"), "such as 1-20 or 3,7,40-45"),
        (("--seeds", "1-99999999"), "expected 1 to 10,000 seeds"),
        (("--seeds", "1-2", "--seed", "4"), "expected --seed or --seeds, got both"),
        (("--seeds", "1-2", "--test-count", "4"), "expected --seeds or --test-count, got both"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(
    dissever: Callable, words: tuple[str, ...], told: str
) -> None:
    ran = dissever(*FAST, *words)

    assert ran.status == 64
    assert told in ran.text
