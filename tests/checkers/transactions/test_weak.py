"""Weak models: the smallest histories, in words, and their axioms tried once more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from dissever.checkers.transactions.axioms import Axiom, refute_commit_order, refute_walk
from dissever.checkers.transactions.weak import CONFIRMED, judged
from dissever.harness.history import History
from dissever.native.weak import INITIAL, NOWHERE, Kind, Level, Step, Verdict, Wrong, judge_level

Notation = Callable[[str], History]

FRACTURED = """
    0 invoke txn [["w", "x", 1], ["w", "y", 1]]
    0 ok     txn [["w", "x", 1], ["w", "y", 1]]
    1 invoke txn [["r", "x", None], ["r", "y", None]]
    1 ok     txn [["r", "x", 1], ["r", "y", None]]
"""

GOES_BACK = """
    0 invoke txn [["w", "x", 1]]
    0 ok     txn [["w", "x", 1]]
    1 invoke txn [["w", "x", 2]]
    1 ok     txn [["w", "x", 2]]
    2 invoke txn [["r", "x", None]]
    2 ok     txn [["r", "x", 2]]
    2 invoke txn [["r", "x", None]]
    2 ok     txn [["r", "x", 1]]
"""


def test_a_part_of_a_transaction_seen_is_explained_by_the_initial_values(
    history: Notation,
) -> None:
    outcome = judge_level(history(FRACTURED).micro, Level.READ_ATOMIC)

    why = (Step(0, 1, Kind.WR, 0, 2),)
    assert outcome.verdict is Verdict.INVALID
    assert outcome.walk == (
        Step(0, INITIAL, Kind.COMMIT, 1, 3, why),
        Step(INITIAL, 0, Kind.SESSION, -1, NOWHERE),
    )


def test_an_order_of_commits_need_not_be_that_of_time(history: Notation) -> None:
    micro = history(GOES_BACK).micro

    assert list(judge_level(micro, Level.READ_ATOMIC).order) == [0, 1, 2, 3]
    assert list(judge_level(micro, Level.CAUSAL).order) == [1, 0, 2, 3]


def test_sessions_may_be_left_out(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["append", "x", 1]]
        0 ok     txn [["append", "x", 1]]
        0 invoke txn [["r", "x", None]]
        0 ok     txn [["r", "x", []]]
    """)

    assert judge_level(recorded.micro, Level.READ_ATOMIC).verdict is Verdict.INVALID
    outcome = judge_level(recorded.micro, Level.READ_ATOMIC, sessions=False)
    assert (outcome.verdict, list(outcome.order)) == (Verdict.VALID, [0, 1])
    with pytest.raises(ValueError, match="expected sessions"):
        judge_level(recorded.micro, Level.CAUSAL, sessions=False)


def test_a_value_written_twice_leaves_its_key_out(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["w", "x", 1]]
        0 ok     txn [["w", "x", 1]]
        1 invoke txn [["w", "x", 1], ["r", "y", None]]
        1 ok     txn [["w", "x", 1], ["r", "y", 3]]
    """)
    without = history("""
        0 invoke txn [["w", "x", 1]]
        0 ok     txn [["w", "x", 1]]
        1 invoke txn [["w", "x", 1]]
        1 ok     txn [["w", "x", 1]]
    """)

    outcome = judge_level(recorded.micro, Level.READ_COMMITTED)
    assert (outcome.verdict, outcome.ambiguous) == (Verdict.INVALID, 1)
    assert [(each.wrong, each.operation) for each in outcome.errors] == [(Wrong.PHANTOM, 1)]
    outcome = judge_level(without.micro, Level.READ_COMMITTED)
    assert (outcome.verdict, list(outcome.order)) == (Verdict.AMBIGUOUS, [])


def test_past_its_budget_causal_consistency_is_open_unless_a_weaker_level_is_broken(
    history: Notation,
) -> None:
    micro = history(GOES_BACK).micro

    assert judge_level(micro, Level.CAUSAL, steps_max=1).verdict is Verdict.BUDGET
    broken = judge_level(history(FRACTURED).micro, Level.CAUSAL, steps_max=1)
    assert broken.verdict is Verdict.INVALID


CAUSAL = """
    0 invoke txn [["w", "x", 1]]
    0 ok     txn [["w", "x", 1]]
    1 invoke txn [["r", "x", None], ["w", "x", 2]]
    1 ok     txn [["r", "x", 1], ["w", "x", 2]]
    2 invoke txn [["r", "x", None], ["w", "y", 3]]
    2 ok     txn [["r", "x", 2], ["w", "y", 3]]
    3 invoke txn [["r", "y", None], ["r", "x", None]]
    3 ok     txn [["r", "y", 3], ["r", "x", 1]]
"""

MONOTONIC = """
    0 invoke txn [["w", "x", 1]]
    0 ok     txn [["w", "x", 1]]
    1 invoke txn [["r", "x", None], ["w", "x", 2], ["w", "y", 2]]
    1 ok     txn [["r", "x", 1], ["w", "x", 2], ["w", "y", 2]]
    2 invoke txn [["r", "y", None], ["r", "x", None]]
    2 ok     txn [["r", "y", 2], ["r", "x", 1]]
"""

LISTS = """
    0 invoke txn [["append", 1, 1], ["append", 2, 1]]
    0 ok     txn [["append", 1, 1], ["append", 2, 1]]
    1 invoke txn [["append", 1, 2], ["append", 2, 2]]
    1 ok     txn [["append", 1, 2], ["append", 2, 2]]
    2 invoke txn [["r", 1, None], ["r", 2, None]]
    2 ok     txn [["r", 1, [1, 2]], ["r", 2, [1]]]
"""


@pytest.mark.parametrize(
    ("text", "level", "name", "kinds"),
    [
        (MONOTONIC, Level.READ_COMMITTED, "G-monotonic", ["wr", "commit"]),
        (FRACTURED, Level.READ_ATOMIC, "fractured-read", ["wr", "rw"]),
        (LISTS, Level.READ_COMMITTED, "G-monotonic", ["ww", "commit"]),
        (CAUSAL, Level.CAUSAL, "non-causal-read", ["wr", "commit"]),
    ],
)
def test_cycle_is_named_by_what_its_level_forbids(
    history: Notation, text: str, level: Level, name: str, kinds: list[str]
) -> None:
    rules = "append" if "append" in text else "wr"
    weak = judged(history(text), level, sessions=level is Level.CAUSAL, rules=rules)

    assert weak.found is not None
    assert (weak.found.name, weak.found.anomaly.confirmation) == (name, CONFIRMED)
    assert [edge.kind for edge in weak.found.anomaly.cycle] == kinds
    assert weak.why == weak.found.anomaly.summary
    for weaker in [each for each in Level if each.value < level.value and text is not FRACTURED]:
        assert judged(history(text), weaker, sessions=False, rules=rules).why is None


def test_step_by_a_third_transaction_tells_what_it_read(history: Notation) -> None:
    weak = judged(history(CAUSAL), Level.CAUSAL, rules="wr")

    assert weak.found is not None
    (_, commit) = weak.found.anomaly.cycle
    assert weak.found.anomaly.summary == (
        'T4 saw something that came after T2, and an older value of key "x" than T2 wrote'
        " (a read that is not causal)"
    )
    assert commit.text == (
        'T4 read key "x" as 1, which T1 wrote, although T2, which also wrote to key "x", was'
        ' visible to it: T3 read key "x" as 2, which T2 wrote; T4 read key "y" as 3, which'
        " T3 wrote; so T2 comes before T1"
    )
    assert commit.cited == ((7, 1), (3, 1), (5, 0), (7, 0))


def test_initial_value_is_told_without_who_wrote_it(history: Notation) -> None:
    weak = judged(history(FRACTURED), Level.READ_ATOMIC, rules="wr")

    assert weak.found is not None
    assert [edge.text for edge in weak.found.anomaly.cycle] == [
        'T2 read key "x" as 1, which T1 wrote',
        'T2 read key "y" as nil, as it was at first, and did not see what T1 wrote to it',
    ]


def test_name_says_when_a_cycle_needs_a_session(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["w", "x", 1]]
        0 ok     txn [["w", "x", 1]]
        0 invoke txn [["r", "x", None]]
        0 ok     txn [["r", "x", None]]
    """)

    weak = judged(recorded, Level.READ_ATOMIC, rules="wr")

    assert weak.found is not None
    assert weak.found.name == "fractured-read-process"
    assert weak.found.anomaly.summary.endswith("(its process went back)")
    assert judged(recorded, Level.READ_ATOMIC, sessions=False, rules="wr").why is None


def test_valid_rests_on_an_order_that_was_tried(history: Notation) -> None:
    weak = judged(history(GOES_BACK), Level.READ_ATOMIC, rules="wr")

    assert weak.why is None
    assert weak.certificate == f"a commit order of 4 transactions proves read atomic: {CONFIRMED}"


def test_reads_that_fit_no_order_are_no_cycle(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["r", "x", None]]
        0 ok     txn [["r", "x", 7]]
    """)

    weak = judged(recorded, Level.READ_COMMITTED, rules="wr")

    assert (weak.found, weak.outcome.verdict) == (None, Verdict.INVALID)
    assert weak.why == "1 read fit no order (phantom)"


ORDERS = [
    (GOES_BACK, [0, 2, 4, 6], Axiom.READ_ATOMIC, False, None),
    (GOES_BACK, [2, 0, 4, 6], Axiom.READ_ATOMIC, False, None),
    (GOES_BACK, [0, 2, 4, 6], Axiom.READ_ATOMIC, True, None),
    (GOES_BACK, [0, 2, 4, 6], Axiom.CAUSAL, True, '6 read key "x" from 0, not from a later'),
    (GOES_BACK, [4, 0, 2, 6], Axiom.CAUSAL, True, "2 must come before 4"),
    (GOES_BACK, [0, 2, 6, 4], Axiom.READ_COMMITTED, True, "4 must come before 6"),
    (GOES_BACK, [0, 2, 4], Axiom.READ_COMMITTED, False, "6 is missing"),
    (GOES_BACK, [0, 2, 4, 6, 6], Axiom.READ_COMMITTED, False, "twice"),
    (MONOTONIC, [0, 2, 4], Axiom.READ_COMMITTED, False, '4 read key "x" from 0'),
    (CAUSAL, [0, 2, 4, 6], Axiom.READ_ATOMIC, True, None),
    (CAUSAL, [0, 2, 4, 6], Axiom.CAUSAL, True, '6 read key "x" from 0'),
]


@pytest.mark.parametrize(("text", "order", "axiom", "sessions", "flaw"), ORDERS)
def test_axioms_refute_an_order(
    history: Notation,
    text: str,
    order: list[int],
    axiom: Axiom,
    sessions: bool,
    flaw: str | None,
) -> None:
    found = refute_commit_order(history(text), order, axiom=axiom, sessions=sessions, rules="wr")

    if flaw is None:
        assert found is None
    else:
        assert found is not None
        assert flaw in found


def test_lists_must_be_those_of_the_order(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["append", 1, 1]]
        0 ok     txn [["append", 1, 1]]
        1 invoke txn [["append", 1, 2]]
        1 ok     txn [["append", 1, 2]]
        2 invoke txn [["r", 1, None]]
        2 ok     txn [["r", 1, [2]]]
    """)

    def flaw(order: list[int]) -> str | None:
        axiom = Axiom.READ_COMMITTED
        return refute_commit_order(recorded, order, axiom=axiom, sessions=True, rules="append")

    assert flaw([2, 0, 4]) is None
    assert flaw([0, 2, 4]) == "4 read a list of key 1 that never was in this order"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (MONOTONIC, Level.READ_COMMITTED),
        (FRACTURED, Level.READ_ATOMIC),
        (CAUSAL, Level.CAUSAL),
        (LISTS, Level.READ_COMMITTED),
    ],
)
def test_axioms_refute_a_cycle_with_one_mistake(history: Notation, text: str, level: Level) -> None:
    recorded = history(text)
    rules = "append" if "append" in text else "wr"
    axiom = Axiom[level.name]
    found = judged(recorded, level, rules=rules).found
    assert found is not None
    cycle = found.anomaly.cycle

    def flaw(*edges: object) -> str | None:
        return refute_walk(recorded, edges, axiom=axiom, sessions=True, rules=rules)  # type: ignore[arg-type]

    assert flaw(*cycle) is None
    assert flaw(cycle[0]) is not None
    assert flaw(cycle[1], cycle[1]) is not None
    for at, edge in enumerate(cycle):
        for change in ({"key": "z"}, {"kind": "session"}):
            changed = list(cycle)
            changed[at] = structs.replace(edge, **change)
            assert flaw(*changed) is not None


def test_weaker_axiom_does_not_accept_the_cycle_of_a_stronger_one(history: Notation) -> None:
    recorded = history(CAUSAL)
    found = judged(recorded, Level.CAUSAL, rules="wr").found
    assert found is not None

    flaw = refute_walk(
        recorded, found.anomaly.cycle, axiom=Axiom.READ_ATOMIC, sessions=True, rules="wr"
    )
    assert flaw == "nothing shows that 2 comes before 0 (commit)"
