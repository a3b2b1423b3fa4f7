"""The sequential test keeps its errors."""

from __future__ import annotations

from random import Random

import pytest

from dissever.shrinking.sequential import Test
from dissever.shrinking.sequential import test_of as usual_test


def accepted(test: Test, share: float, rng: Random) -> tuple[bool, int]:
    """Whether a candidate counts that fails with this probability, and after how many attempts."""
    failed = runs = 0
    while (decision := test.decision(failed, runs)) is None:
        failed += rng.random() < share
        runs += 1
    return decision, runs


@pytest.mark.parametrize("often", [0.2, 0.5, 0.9])
def test_errors_are_bounded(often: float) -> None:
    test = Test(often, often / 3, limit=1000)
    rng = Random(7)
    seldom = [accepted(test, test.seldom, rng)[0] for _ in range(2000)]
    frequent = [accepted(test, test.often, rng)[0] for _ in range(2000)]

    assert sum(seldom) / 2000 <= 0.065  # 0.05, and three standard deviations.
    assert 1 - sum(frequent) / 2000 <= 0.12


def test_what_never_fails_is_rejected_soon() -> None:
    decision, runs = accepted(Test(0.9, 0.3), 0.0, Random(1))

    assert not decision
    assert runs <= 2


def test_undecided_at_the_limit_does_not_count() -> None:
    test = Test(0.5, 0.4, limit=10)

    assert test.decision(5, 9) is None
    assert test.decision(5, 10) is False


def test_shares_that_make_no_test_are_refused() -> None:
    with pytest.raises(ValueError, match="0 < seldom < often < 1"):
        Test(0.2, 0.2)


def test_run_that_failed_always_is_tested_all_the_same() -> None:
    assert usual_test(5, 5, 30).often == 0.95
