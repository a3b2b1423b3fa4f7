"""Two runs side by side: findings, differences, schedules."""

from __future__ import annotations

from msgspec import structs

from dissever.harness.plan import Options, Plan
from dissever.harness.results import Anomaly, Result, Results, Verdict, merge
from dissever.runs.comparison import (
    Difference,
    Strike,
    aligned,
    differences,
    findings,
    options_of,
)

OPTIONS = Options(
    system="dqlite", workload="register", seed=1, system_options={"timings": None, "level": "a"}
)
PLAN = Plan(options=OPTIONS, command="", started="")


def results(*signatures: str, unknown: str = "") -> Results:
    anomalies = tuple(
        Anomaly(name="x", summary=f"summary of {each}", indices=(), signature=each)
        for each in signatures
    )
    verdict = Verdict.INVALID if anomalies else Verdict.VALID
    found = [Result(checker="linearizable", verdict=verdict, why="", anomalies=anomalies)]
    if unknown:
        found.append(Result(checker=unknown, verdict=Verdict.UNKNOWN, why="who knows"))
    return merge(found)


def test_findings_are_in_a_in_b_or_in_both() -> None:
    found = findings(results("a/x", "both", "both"), results("both", "b/x", unknown="faults"))

    assert {each.signature: (each.a, each.b) for each in found} == {
        "a/x": (1, 0),
        "both": (2, 1),
        "b/x": (0, 1),
        "faults/unknown": (0, 1),
    }
    assert found[-1].signature == "faults/unknown"


def test_run_without_results_has_no_findings() -> None:
    assert findings(None, None) == ()
    assert [(each.a, each.b) for each in findings(None, results("x/y"))] == [(0, 1)]


def test_only_what_differs_is_listed() -> None:
    other = structs.replace(
        PLAN,
        options=structs.replace(OPTIONS, rate=5.0, system_options={"level": "b", "more": [1, 2]}),
    )
    found = differences(options_of(PLAN), options_of(other))

    assert {row.name: (row.a, row.b) for row in found.rows} == {
        "rate": ("200.0", "5.0"),
        "system_options.timings": ("nothing", ""),
        "system_options.level": ("a", "b"),
        "system_options.more": ("", "1, 2"),
    }
    assert found.equal == len(options_of(PLAN)) - 3


def test_seed_is_no_difference_of_options() -> None:
    other = structs.replace(PLAN, options=structs.replace(OPTIONS, seed=2))

    assert differences(options_of(PLAN), options_of(other)).rows == ()
    assert differences({}, {"a": "1"}).rows == (Difference("a", "", "1"),)


def strike(time: int, f: str, *nodes: str) -> Strike:
    return Strike(time, f, nodes)


def test_strikes_are_aligned_by_what_they_are_not_by_their_time() -> None:
    a = [strike(1, "kill", "n1"), strike(2, "pause", "n2"), strike(3, "kill", "n3")]
    b = [strike(5, "kill", "n1"), strike(6, "kill", "n3"), strike(7, "cut")]
    pairs = aligned(a, b)

    assert [(each.a, each.b) for each in pairs] == [
        (a[0], b[0]),
        (a[1], None),
        (a[2], b[1]),
        (None, b[2]),
    ]


def test_each_strike_stands_once() -> None:
    a = [strike(n, "kill", f"n{n % 3}") for n in range(50)]
    b = [strike(n, "kill", f"n{n % 5}") for n in range(60)]
    pairs = aligned(a, b)

    assert [each.a for each in pairs if each.a] == a
    assert [each.b for each in pairs if each.b] == b
