"""Each anomaly that a checker of transactions can name has a meaning for newcomers."""

from __future__ import annotations

import pytest

from dissever.checkers import bank
from dissever.checkers.rows.checker import STRANGE
from dissever.checkers.transactions.explanation import NAMES, WRITE_SKEW
from dissever.checkers.transactions.models import OF_AXIOMS, OF_CYCLES
from dissever.reports.prose import ANOMALIES

NAMED = {
    *NAMES.values(),
    *OF_CYCLES,
    *OF_AXIOMS,
    *bank.KINDS,
    WRITE_SKEW,
    STRANGE,
    "predicate-read-miss",
}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_anomaly_has_a_meaning(name: str) -> None:
    assert ANOMALIES[name].endswith(".")
