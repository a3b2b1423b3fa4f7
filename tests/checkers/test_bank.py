"""For each anomaly of a bank the smallest history, and its nearest innocent twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.checkers.bank import UNIT, Bank, balance_of, coded
from dissever.harness.history import Event, History, Type
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Result, Verdict

Notation = Callable[[str], History]

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "histories" / "elle-cli"

BANK = Bank(accounts=("0", "1"), total=10)

TRANSFER = """
    0 invoke transfer {"from": 0, "to": 1, "amount": 5}
    0 ok     transfer {"from": 0, "to": 1, "amount": 5}
"""


def judge(history: History, bank: Bank = BANK) -> Result:
    return bank(history, Budget())


def found(result: Result) -> list[tuple[str, tuple[int, ...]]]:
    return [(anomaly.name, anomaly.indices) for anomaly in result.anomalies]


@pytest.mark.parametrize(
    ("name", "guilty", "innocent"),
    [
        ("wrong-total", {"0": 5, "1": 4}, {"0": 6, "1": 4}),
        ("wrong-total", {"0": 11, "1": 0}, {"0": 10, "1": 0}),
        ("nil-balance", {"0": 10, "1": None}, {"0": 10, "1": 0}),
        ("nil-balance", {"0": 10}, {"0": 10, "1": 0}),
        ("unexpected-key", {"0": 5, "1": 5, "2": 0}, {"0": 5, "1": 5}),
        ("negative-value", {"0": 11, "1": -1}, {"0": 10, "1": 0}),
    ],
)
def test_smallest_history_and_its_innocent_twin(
    history: Notation, name: str, guilty: object, innocent: object
) -> None:
    text = TRANSFER + "0 invoke read\n0 ok read {}"

    assert found(judge(history(text.replace("{}", str(guilty))))) == [(name, (2, 3))]
    assert judge(history(text.replace("{}", str(innocent)))).verdict is Verdict.VALID


def test_negative_balance_is_right_where_it_is_allowed(history: Notation) -> None:
    events = history(TRANSFER + '0 invoke read\n0 ok read {"0": 11, "1": -1}')

    result = judge(events, Bank(("0", "1"), 10, allows_negative=True))

    assert result.verdict is Verdict.VALID


def test_first_thing_that_is_wrong_names_a_read(history: Notation) -> None:
    events = history(TRANSFER + '0 invoke read\n0 ok read {"0": -3, "1": None, "7": 1}')

    assert found(judge(events)) == [("unexpected-key", (2, 3))]


def test_account_is_known_by_a_number_as_by_its_text(history: Notation) -> None:
    events = history(TRANSFER + "0 invoke read\n0 ok read {0: 5, 1: 5}")

    assert judge(events).verdict is Verdict.VALID


def test_anomaly_says_when_it_began_and_how_bad_it_became(history: Notation) -> None:
    events = history(
        TRANSFER
        + """
        1 invoke read
        1 ok     read {"0": 5, "1": 5}
        1 invoke read
        1 ok     read {"0": 5, "1": 4}
        2 invoke read
        2 ok     read {"0": 1, "1": 1}
        1 invoke read
        1 ok     read {"0": 5, "1": 6}
    """
    )

    result = judge(events)
    (anomaly,) = result.anomalies

    assert anomaly.summary == (
        "3 of 4 reads add up to another total: that of process 1 at 0.005 s adds up to 9, not 10"
    )
    assert anomaly.indices == (4, 5, 6, 7, 8, 9)
    assert anomaly.context == (2, 3, 4, 5, 6, 7, 8, 9)
    assert [step.text for step in anomaly.steps] == [
        "the read of process 1, answered at 0.003 s, adds up to 10: 0: 5, 1: 5",
        "the read of process 1, answered at 0.005 s, adds up to 9, not 10: 0: 5, 1: 4",
        "the read of process 2, answered at 0.007 s, adds up to 2, not 10: 0: 1, 1: 1",
        "the read of process 1, answered at 0.009 s, adds up to 11, not 10: 0: 5, 1: 6",
    ]
    assert anomaly.smallest == (4,)
    assert result.details == {
        "reads": 4, "total": 10, "lowest": 2, "highest": 11, "wrong-total": 3,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["fail", "info"])
def test_read_that_was_not_answered_says_nothing(history: Notation, kind: str) -> None:
    events = history(
        TRANSFER
        + f"""
        1 invoke read
        1 {kind} read {{"0": 1, "1": 1}}
        2 invoke read
        2 ok     read {{"0": 5, "1": 5}}
    """
    )

    assert judge(events).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no read of all accounts was answered"),
        (TRANSFER, "no read of all accounts was answered"),
        ('1 invoke read\n1 ok read {"0": 10, "1": 0}', "no transfer succeeded"),
        (
            """
            0 invoke transfer {"from": None, "to": 0, "amount": 10}
            0 ok     transfer {"from": None, "to": 0, "amount": 10}
            0 invoke transfer {"from": 0, "to": 1, "amount": 1}
            0 info   transfer {"from": 0, "to": 1, "amount": 1}
            1 invoke read
            1 ok     read {"0": 10, "1": 0}
            """,
            "no transfer succeeded",
        ),
        (TRANSFER + "1 invoke read\n1 ok read [5, 5]", "malformed: event 3: expected a map"),
        (TRANSFER + "1 invoke read\n1 ok read {}", "malformed: event 3: expected a map"),
        (TRANSFER + '1 invoke read\n1 ok read {"0": "5"}', "got '5' of 0"),
        (TRANSFER + "1 invoke txn\n1 ok txn 5", "malformed: event 3: expected micro-operations"),
        (TRANSFER + "1 invoke txn\n1 ok txn [[1, 2]]", "got [[1, 2]]"),
        (TRANSFER + '1 invoke read\n1 ok read {"0": True}', "got True of 0"),
    ],
)
def test_what_shows_nothing_is_unknown(history: Notation, text: str, why: str) -> None:
    result = judge(history(text))

    assert result.verdict is Verdict.UNKNOWN
    assert why in result.why


def test_wrong_read_is_invalid_also_when_no_transfer_succeeded(history: Notation) -> None:
    result = judge(history('1 invoke read\n1 ok read {"0": 9, "1": 0}'))

    assert result.verdict is Verdict.INVALID


def test_first_read_gives_the_accounts_and_the_total_where_nobody_says_them(
    history: Notation,
) -> None:
    first = TRANSFER + '1 invoke read\n1 ok read {"a": 3, "b": 4}\n'
    right = history(first + '1 invoke read\n1 ok read {"a": 7, "b": 0}')
    wrong = judge(history(first + '1 invoke read\n1 ok read {"a": 7, "b": 1}'), Bank())

    assert judge(history(first), Bank()).verdict is Verdict.UNKNOWN
    assert judge(right, Bank()).verdict is Verdict.VALID
    assert found(wrong) == [("wrong-total", (4, 5))]
    assert wrong.anomalies[0].smallest == (2, 4), "the read that gave the total belongs to it"
    assert "adds up to 7, which is taken for the total: a: 3" in wrong.anomalies[0].steps[0].text


@pytest.mark.parametrize("balance", [0, 1, 100, -1, -250, UNIT // 2 - 1, -UNIT // 2])
def test_coded_value_holds_its_balance(balance: int) -> None:
    assert balance_of(coded(1, balance)) == balance_of(coded(977, balance)) == balance
    assert balance_of(balance) == balance, "plain balances are their own code"


def of_transactions(*values: list[Any]) -> History:
    events = []
    for value in values:
        index = len(events)
        asked = [[f, key, None if f == "r" else held] for f, key, held in value]
        events.append(Event(index, index, 0, Type.INVOKE, "txn", asked))
        events.append(Event(index + 1, index + 1, 0, Type.OK, "txn", value))
    return History(events)


FIRST = [["r", 0, None], ["r", 1, None], ["w", 0, coded(1, 10)], ["w", 1, coded(1, 0)]]
MOVE = [
    ["r", 0, coded(1, 10)], ["r", 1, coded(1, 0)],
    ["w", 0, coded(2, 6)], ["w", 1, coded(2, 4)],
]  # fmt: skip


def test_transactions_are_reads_when_they_read_every_account() -> None:
    half = [["r", 0, coded(2, 6)]]
    torn = [["r", 0, coded(2, 6)], ["r", 1, coded(1, 0)]]
    lost = [["r", 0, coded(2, 6)], ["r", 1, None]]
    gone = [["r", 0, None], ["r", 1, None]]

    assert judge(of_transactions(FIRST, MOVE, half)).verdict is Verdict.VALID
    assert judge(of_transactions(FIRST)).verdict is Verdict.UNKNOWN
    assert found(judge(of_transactions(FIRST, MOVE, torn))) == [("wrong-total", (4, 5))]
    assert found(judge(of_transactions(FIRST, MOVE, torn), Bank())) == [("wrong-total", (4, 5))]
    assert found(judge(of_transactions(FIRST, MOVE, lost))) == [("nil-balance", (4, 5))]
    assert found(judge(of_transactions(FIRST, MOVE, gone))) == [("nil-balance", (4, 5))]


def test_long_names_of_micro_operations_mean_the_short_ones() -> None:
    torn = [["r", 0, coded(2, 6)], ["r", 1, coded(1, 0)]]
    names = {"r": "read", "w": "write"}
    every = [[[names[f], *rest] for f, *rest in each] for each in (FIRST, MOVE, torn)]

    assert found(judge(of_transactions(*every))) == [("wrong-total", (4, 5))]


def brute(values: Sequence[dict[str, int]], total: int) -> set[int]:
    """The places of the reads that are wrong, by the definition."""
    return {
        at
        for at, value in enumerate(values)
        if sum(value.values()) != total or min(value.values()) < 0
    }


@pytest.mark.parametrize("is_torn", [False, True])
def test_random_interleavings_against_the_definition(is_torn: bool) -> None:
    """A read that is torn takes accounts one by one, with transfers between them."""
    caught = 0
    for seed in range(150):
        rng = Random(seed)
        held, events, answers = {"0": 10, "1": 0, "2": 0}, [], []

        def add(f: str, asked: Any, answer: Any, events: list[Event] = events) -> None:
            for kind, value in ((Type.INVOKE, asked), (Type.OK, answer)):
                events.append(Event(len(events), len(events), 0, kind, f, value))

        def transfer(rng: Random = rng, held: dict[str, int] = held) -> None:
            source, target = rng.sample(list(held), 2)
            amount = rng.randint(0, held[source])
            held[source] -= amount
            held[target] += amount
            value = {"from": source, "to": target, "amount": amount}
            add("transfer", value, value)

        for _ in range(8):
            transfer()
            seen = {}
            for account in held:
                seen[account] = held[account]
                if is_torn and rng.random() < 0.2:
                    transfer()
            answers.append(seen)
            add("read", None, seen)
        result = judge(History(events), Bank(("0", "1", "2"), 10))
        wrong = brute(answers, 10)
        caught += bool(wrong)

        assert (result.verdict is Verdict.INVALID) == bool(wrong)
        assert result.details.get("wrong-total", 0) == len(wrong)
    assert (caught > 50) == is_torn


@pytest.mark.parametrize(
    ("file", "verdict"),
    [
        ("bank.edn", Verdict.VALID),
        ("bank.json", Verdict.VALID),
        ("bank-neg.edn", Verdict.UNKNOWN),  # Its one read is what gives the total.
    ],
)
def test_published_histories(file: str, verdict: Verdict) -> None:
    """Of elle-cli, which calls the last one valid."""
    path = CORPUS / file
    if not path.exists():
        pytest.skip("no recorded histories in ../shared/histories")

    assert judge(read_history(path).history, Bank()).verdict is verdict
