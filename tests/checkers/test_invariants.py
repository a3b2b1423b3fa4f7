"""Invariants that a simulation saw broken are anomalies, by their names."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import dissever
from dissever.checkers import EVERY_RUN, INVARIANTS, Invariants, Remains, Violation
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict
from dissever.reports.prose import ANOMALIES

Notation = Callable[[str], History]

PAGE = Path(dissever.__file__).parents[1] / "docs" / "anomalies.md"


def test_a_violation_is_an_anomaly_with_its_node_and_time(history: Notation) -> None:
    seen = Violation("election-safety", "n3", "leads term 4, which n1 leads as well", 2_500_000_000)

    result = Invariants([seen])(history(""), Budget())

    assert result.verdict is Verdict.INVALID
    assert [(each.name, each.summary) for each in result.anomalies] == [
        (
            "election-safety",
            "election-safety on n3 at 2.500 s: leads term 4, which n1 leads as well",
        )
    ]


def test_no_violation_is_valid(history: Notation) -> None:
    assert Invariants([])(history(""), Budget()).verdict is Verdict.VALID


def test_the_first_in_time_is_named_and_the_others_are_counted(history: Notation) -> None:
    late = [Violation("a-new-one", None, "again", 10 + number) for number in range(30)]
    result = Invariants([*late, Violation("durability", "n1", "two disks", 5)])(
        history(""), Budget()
    )

    assert result.anomalies[0].name == "durability"
    assert len(result.anomalies) == 20
    assert result.why.endswith("; 30 more")
    assert result.details["violations"] == 31
    assert result.details["moments"][:2] == [
        {"node": "n1", "time_ns": 5},
        {"node": None, "time_ns": 10},
    ]
    assert len(result.details["moments"]) == len(result.anomalies)


def test_a_run_that_did_not_look_is_not_judged_by_it() -> None:
    record = EVERY_RUN["invariants"]

    assert not record.applies(Remains())
    assert record.applies(Remains(violations=[]))


def test_the_table_has_every_invariant_that_a_simulation_of_ours_looks_at() -> None:
    tree = Path(dissever.__file__).parents[1]
    in_c = (tree / "native" / "simulation" / "violations.c").read_text(encoding="utf-8")
    in_python = tree / "systems" / "simulated" / "raft" / "invariants.py"
    names = re.findall(r'\] = "([a-z-]+)"', in_c)
    names += re.findall(r'_broken\(\w+, "([a-z-]+)"', in_python.read_text(encoding="utf-8"))

    assert len(names) > 15
    assert sorted(set(names) - set(INVARIANTS)) == []


@pytest.mark.parametrize("name", INVARIANTS)
def test_each_invariant_is_explained_on_the_page_and_in_reports(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
    assert name in ANOMALIES
