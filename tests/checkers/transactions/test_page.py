"""docs/transactions.md: each example is what the page says it is, and each model is on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dissever.checkers.transactions import Transactions
from dissever.checkers.transactions.models import DECIDED, MODELS
from dissever.harness.results import Budget, Verdict

from .notation import history

PAGE = Path(__file__).resolve().parents[3] / "docs" / "transactions.md"

BLOCK = re.compile(r"```history (\w+)(?: (\S+) (\S+))?\n(.*?)```", re.DOTALL)

ASKED = {
    "G-monotonic": "monotonic-atomic-view",
    "fractured-read": "read-atomic",
    "non-causal-read": "causal",
    "internal": "serializable",
}


def _examples() -> list[tuple[str, str, str, str]]:
    """Name, rules, model and text of each."""
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        title = section.split("\n", 1)[0]
        for rules, model, name, text in BLOCK.findall(section):
            found.append((name or title, rules, model or ASKED.get(title, "serializable"), text))
    return found


@pytest.mark.parametrize(("name", "rules", "model", "text"), _examples())
def test_an_example_shows_its_anomaly(name: str, rules: Any, model: str, text: str) -> None:
    result = Transactions(rules, model)(history(text), Budget())

    names = {each.name.removesuffix("-process") for each in result.anomalies}
    assert result.verdict is Verdict.INVALID, result.why
    assert name in names | {each.name for each in result.anomalies}


def test_every_model_and_its_names_are_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")

    for name in DECIDED:
        row = f"| `{name}` | {', '.join(MODELS[name].aliases)} |"
        assert row in text
        assert f"| {', '.join(MODELS[name].forbids)} |" in text
