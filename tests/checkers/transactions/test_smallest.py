"""The smallest history of each anomaly, and its innocent twin: see smallest.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dissever.checkers.transactions import Transactions
from dissever.harness.results import Budget, Result, Verdict

from .notation import recorded

CASES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("smallest.toml").read_text(encoding="utf-8")
)


def judged(text: str, rules: Any) -> Result:
    checker = Transactions(rules=rules, consistency_model="strict-serializable")
    return checker(recorded(text, rules=rules), Budget())


@pytest.mark.parametrize("name", CASES)
def test_smallest_history_shows_this_and_nothing_else(name: str) -> None:
    case = CASES[name]

    result = judged(case["history"], case["rules"])

    assert result.verdict is Verdict.INVALID, result.why
    assert sorted({each.name for each in result.anomalies}) == case["anomalies"]
    assert result.details["ruled_out"] == case["ruled_out"]


@pytest.mark.parametrize("name", CASES)
def test_innocent_twin_is_valid(name: str) -> None:
    case = CASES[name]

    result = judged(case["twin"], case["rules"])

    assert result.anomalies == ()
    assert result.verdict is Verdict.VALID, result.why
