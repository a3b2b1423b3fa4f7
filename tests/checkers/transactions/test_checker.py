"""The checker of transactions: verdicts by model, what they rest on, and the words."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.checkers.transactions import Transactions, checker, evidence, proof, solving
from dissever.checkers.transactions.enumeration import has_serial_order
from dissever.harness.history import Event, History, Type
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Result, Verdict, smallest_history

from .notation import history

VALID, UNKNOWN, INVALID = Verdict.VALID, Verdict.UNKNOWN, Verdict.INVALID

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "histories" / "elle-cli"


def judged(text: str | History, model: str = "serializable", rules: Any = "append") -> Result:
    return Transactions(rules, model)(history(text) if isinstance(text, str) else text, Budget())


SERIAL = """
    0 0-1 ok append x 1
    0 2-3 ok r x [1], append x 2
    1 4-5 ok r x [1 2]
"""
WRITE_SKEW = """
    0 0-1 ok r x [], append y 1
    1 0-1 ok r y [], append x 1
    2 3-4 ok r x [1], r y [1]
"""
READ_SKEW = """
    0 0-1 ok append x 1, append y 1
    1 0-1 ok r x [1], r y []
    2 3-4 ok r x [1], r y [1]
"""
STALE_READ = """
    0 0-1 ok append x 1
    1 2-3 ok r x []
    2 4-5 ok r x [1]
"""
LOST_UPDATE = """
    0 0-1 ok w x 1
    1 2-5 ok r x 1, w x 2
    2 2-5 ok r x 1, w x 3
"""
CIRCLE = """
    0 0-1 ok append x 1, r y [1]
    1 0-1 ok append y 1, r x [1]
"""
OLD_FIRST = """
    0 0-1 ok append x 1
    0 2-3 ok r x []
    1 4-5 ok r x [1]
"""


@pytest.mark.parametrize(
    ("text", "rules", "model", "verdict", "names"),
    [
        (SERIAL, "append", "strict-serializable", VALID, []),
        (WRITE_SKEW, "append", "serializable", INVALID, ["write-skew"]),
        (WRITE_SKEW, "append", "repeatable-read", INVALID, ["write-skew"]),
        (WRITE_SKEW, "append", "snapshot-isolation", VALID, []),
        (WRITE_SKEW, "append", "strong-SI", VALID, []),
        (READ_SKEW, "append", "serializable", INVALID, ["G-single"]),
        (READ_SKEW, "append", "snapshot-isolation", INVALID, ["G-single"]),
        (READ_SKEW, "append", "consistent-view", INVALID, ["G-single"]),
        (READ_SKEW, "append", "read-committed", VALID, []),
        (STALE_READ, "append", "strict-serializable", INVALID, ["G-single-realtime"]),
        (STALE_READ, "append", "strong-SI", INVALID, ["G-single-realtime"]),
        (STALE_READ, "append", "strong-session-serializable", VALID, []),
        (STALE_READ, "append", "serializable", VALID, []),
        (OLD_FIRST, "append", "strong-session-serializable", INVALID, ["G-single-process"]),
        (OLD_FIRST, "append", "strict-serializable", INVALID, ["G-single-process"]),
        (OLD_FIRST, "append", "serializable", VALID, []),
        (LOST_UPDATE, "wr", "snapshot-isolation", INVALID, ["lost-update"]),
        (LOST_UPDATE, "wr", "read-committed", VALID, []),
        (CIRCLE, "append", "read-committed", INVALID, ["G1c"]),
        (CIRCLE, "append", "read-uncommitted", VALID, []),
    ],
)
def test_the_model_says_which_anomalies_count(
    text: str, rules: str, model: str, verdict: Verdict, names: list[str]
) -> None:
    result = judged(text, model, rules)

    assert result.verdict is verdict, result.why
    assert [each.name for each in result.anomalies][: len(names)] == names
    assert all(each.confirmation for each in result.anomalies)
    assert bool(result.anomalies) == bool(names)


def test_what_a_model_allows_is_told_and_does_not_count() -> None:
    result = judged(STALE_READ)

    assert result.verdict is VALID
    assert result.why.endswith(
        "the history also shows G-single-realtime, which serializable allows"
    )
    assert [each["name"] for each in result.details["allowed"]] == ["G-single-realtime"]
    assert result.details["ruled_out"] == ["strong-snapshot-isolation"]
    assert result.details["remaining"] == ["strong-session-serializable"]
    assert result.details["counts"] == {"G-single-realtime": 1}


def test_valid_says_what_was_replayed() -> None:
    result = judged(SERIAL)

    assert result.details["certificate"] == (
        "a serial order of 3 transactions, which keeps real time, was replayed: strict-serializable"
    )
    assert result.details["completeness"] == {
        "order": "full",
        "fraction": 1.0,
        "partial_keys": 0,
        "keys": {},
    }


def test_each_edge_is_a_sentence_with_its_values() -> None:
    (anomaly,) = judged(READ_SKEW).anomalies

    assert [(edge.kind, edge.key, edge.text) for edge in anomaly.cycle] == [
        ("wr", "x", 'T2 read key "x" as [1], with 1, which T1 appended'),
        ("rw", "y", 'T2 read key "y" as [], and did not see 1, which T1 appended'),
    ]
    assert anomaly.cycle[0].cited == ((2, 0), (3, 0))
    assert anomaly.summary == (
        "T2 did not see a write of T1, although by its other reads and writes it comes after T1"
        " (read skew)"
    )
    assert [step.text for step in anomaly.steps][:2] == [
        'T1: process 0 at 0.000 s: appended 1 to key "x", appended 1 to key "y"; acknowledged at'
        " 1.000 s",
        'T2: process 1 at 0.000 s: read key "x" as [1], read key "y" as []; acknowledged at'
        " 1.000 s",
    ]


def test_an_edge_of_appends_shows_the_order_that_was_read() -> None:
    (anomaly, *_) = judged("""
        0 0-1 ok append x 1, append y 2
        1 0-1 ok append x 2, append y 1
        2 2-3 ok r x [1 2], r y [1 2]
    """).anomalies

    assert anomaly.name == "G0"
    assert [edge.text for edge in anomaly.cycle] == [
        'T2 appended 2 to key "x" after T1 had appended 1 to it: the key was read as [1 2]',
        'T1 appended 2 to key "y" after T2 had appended 1 to it: the key was read as [1 2]',
    ]


def test_edges_of_time_and_processes_say_who_and_when() -> None:
    (stale,) = judged(STALE_READ, "strict-serializable").anomalies
    (old,) = judged(OLD_FIRST, "strong-session-serializable").anomalies

    assert stale.cycle[0].text == "T1 was acknowledged at 1.000 s, before T2 began at 2.000 s"
    assert old.cycle[0].text == "process 0 made T1 before it made T2"


@pytest.mark.parametrize(
    ("text", "name", "summary"),
    [
        (
            "0 0-1 fail append x 1\n1 2-3 ok r x [1]",
            "G1a",
            'T2 read key "x" as [1], with 1, which T1 appended; but T1 was answered with a failure,'
            " so nobody may see its writes",
        ),
        (
            "0 0-1 ok append x 1, append x 2\n1 0-3 ok r x [1]",
            "G1b",
            'T2 read key "x" as [1]: T1 appended 1 there and later 2, so T2 saw the middle of T1',
        ),
        (
            "0 0-1 ok r x [7], append x 1\n1 2-3 ok r x [7 1]",
            "phantom",
            'T1 read key "x" as [7], with 7, which no transaction ever tried to write',
        ),
        (
            "0 0-1 ok r x [1], append x 1",
            "future-read",
            'T1 read key "x" as [1], with 1, which it wrote only after that read',
        ),
        (
            "0 0-1 ok append x 1, r x []",
            "internal",
            'T1 read key "x" as [], although before that it had itself appended 1 there',
        ),
        (
            "0 0-3 ok append x 1\n1 1-2 ok r x [], r x [1]",
            "internal",
            'T1 read key "x" as [1], although before that it had itself read [] there',
        ),
        (
            "0 0-1 ok append x 1\n1 2-3 ok r x [1 1]",
            "duplicate-elements",
            'T2 read key "x" as [1 1], which holds 1 more than once; T1 appended it once',
        ),
        (
            "0 0-1 ok append x 1, append x 2\n1 2-3 ok r x [2 1]",
            "cyclic-versions",
            'T1 appended 1 and then 2 to key "x", but T2 read it as [2 1]',
        ),
    ],
)
def test_anomalies_without_a_cycle_are_told_in_a_sentence(
    text: str, name: str, summary: str
) -> None:
    result = judged(text)

    found = {each.name: each for each in result.anomalies}
    assert result.verdict is INVALID
    assert found[name].summary == summary
    assert found[name].key == "x"


LOST = """
    0 0-1 ok append x 1
    1 2-3 ok append x 2
    2 3-5 ok r x [1 2]
    3 6-7 ok r x [1], append x 3
    4 8-9 ok r x [1 3]
    5 9-10 ok r x [1 3]
    6 11-12 ok r x [1 3 4]
    7 10-13 ok append x 4
"""


def test_an_element_that_is_lost_is_named_with_its_append_and_the_first_read_without_it() -> None:
    found = [each for each in judged(LOST).anomalies if each.name == "incompatible-order"]

    assert [each.summary for each in found] == [
        '2, which T1 appended to key "x" and the system acknowledged at 3.000 s, is missing from'
        " what T3 (process 4) read at 8.000 s: [1 3], though T2 read [1 2]"
    ]
    assert found[0].indices == (2, 3, 4, 5, 8, 10)
    assert [(wrong.answer, wrong.value, wrong.against) for wrong in found[0].wrong] == [
        (8, "2 is missing", 2),
        (9, "2 is missing", 2),
        (13, "2 is missing", 2),
    ]
    assert found[0].wrong_count == 3


def test_what_is_lost_is_what_was_read_first_whichever_list_is_longer() -> None:
    late = """
        0 0-1 ok append x 1
        1 2-3 ok append x 2
        2 2-3 ok append x 3
        3 4-5 ok r x [1 2]
        4 6-7 ok r x [1 2]
        5 8-9 ok r x [1 3]
    """
    (lost,) = (each for each in judged(late).anomalies if each.name == "incompatible-order")
    (lacks,) = lost.wrong

    assert lost.summary.startswith("2, which T1 appended"), lost.summary
    assert lacks.value == "2 is missing"


def test_elements_that_changed_places_are_not_called_missing() -> None:
    swapped = """
        0 0-1 ok append x 1
        1 0-1 ok append x 2
        2 2-3 ok r x [1 2]
        3 4-5 ok r x [2 1]
    """
    (found,) = (each for each in judged(swapped).anomalies if each.name == "incompatible-order")

    assert found.summary == (
        '2 stands before 1 in key "x" as T3 (process 3) read at 4.000 s: [2 1], though T2 read'
        " [1 2]"
    )


def test_a_long_list_is_shown_around_the_place_where_it_parts() -> None:
    begin = " ".join(map(str, range(1, 40)))
    (found,) = (
        each
        for each in judged(f"""
            0 0-1 ok append x 50
            1 2-3 ok r x [{begin} 50]
            2 4-5 ok r x [{begin} 60 61 62 63 64 65 66 67 68 69]
        """).anomalies
        if each.name == "incompatible-order"
    )

    assert "[… 37 38 39 50]" in found.summary
    assert "[… 39 60 61 62 63 64 65 66 …]" in found.summary
    assert not any("67" in step.text for step in found.steps)


def test_transactions_are_numbered_by_the_time_of_their_question() -> None:
    text = """
        0 1-4 ok r x [], append x 1
        1 0-3 ok r x [], append x 2
        2 5-6 ok r x [1 2]
    """
    found = {each.name: each for each in judged(text).anomalies}

    assert found["lost-update"].summary == (
        'T1 and T2 both read key "x" as []; then T1 appended 2 and T2 appended 1, and one of them'
        " did not know of the other (lost update)"
    )
    assert found["lost-update"].steps[0].text.startswith("T1: process 1 at 0.000 s")


def test_an_append_that_failed_is_not_told_as_acknowledged() -> None:
    failed = """
        0 0-1 fail append x 1
        1 2-3 ok append x 2
        2 4-5 ok r x [1]
        3 6-7 ok r x [2]
    """
    (found,) = (each for each in judged(failed).anomalies if each.name == "incompatible-order")

    assert 'which T1 appended to key "x", answered with a failure at 1.000 s,' in found.summary


def test_registers_whose_values_follow_each_other_in_a_circle_say_which() -> None:
    found = {each.name: each for each in judged("""
        0 0-1 ok r x 2, w x 1
        1 0-1 ok r x 1, w x 2
    """, rules="wr").anomalies}  # fmt: skip

    assert found["cyclic-versions"].summary == (
        'in key "x" T1 read 2 and wrote 1 over it; but T2 read 1 and wrote 2 over it: none can be'
        " the first"
    )


@pytest.mark.parametrize(
    ("text", "model", "rules", "why"),
    [
        ("0 0-1 ok append x 1", "serializable", "append", "nothing was checked: no acknowledged"),
        ("0 0-1 info r x []", "serializable", "append", "nothing was checked: no transaction was"),
        ("0 0-1 open append x 1", "serializable", "append", "nothing was checked: no transaction"),
        ("0 0-1 ok r x []", "serializable", "append", "nothing was checked: no transaction wrote"),
        ("", "serializable", "append", "no operations"),
        ("0 0-1 ok w x 1", "serializable", "append", "malformed: expected appends and reads"),
        ("0 0-1 ok append x 1", "serializable", "wr", "malformed: expected writes and reads"),
    ],
)
def test_unknown_says_why(text: str, model: str, rules: str, why: str) -> None:
    result = judged(text, model, rules)

    assert result.verdict is UNKNOWN
    assert result.why.startswith(why)


def test_operations_that_are_no_transactions_are_malformed() -> None:
    result = judged(History([Event(0, 0, 0, Type.INVOKE, "read", None)]))

    assert result.verdict is UNKNOWN
    assert result.why.startswith("malformed: ")


def test_unknown_never_hides_an_anomaly() -> None:
    result = judged("""
        0 0-1 ok append x 1, append z 1
        1 0-1 ok append x 1, append z 2
        2 2-3 ok r x [1 1]
        3 2-3 fail append y 1
        4 4-5 ok r y [1]
    """)

    assert result.verdict is INVALID
    assert "G1a" in {each.name for each in result.anomalies}


def test_a_history_without_times_says_nothing_of_real_time() -> None:
    sessions = [
        [{"events": [{"Write": {"variable": 0, "version": 1}}], "committed": True}],
        [{"events": [{"Read": {"variable": 0, "version": 1}}], "committed": True}],
    ]
    loaded = read_history(json.dumps(sessions).encode()).history

    strict, serial = judged(loaded, "PL-SS", "wr"), judged(loaded, "serializable", "wr")

    assert strict.verdict is UNKNOWN
    assert strict.why.startswith("no times: ")
    assert serial.verdict is VALID
    assert serial.details["remaining"] == ["strong-session-serializable"]


def test_what_the_validator_refutes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: History, anomalies: list[Any], *, rules: str) -> tuple[str, ...]:
        return ("it does not follow",) * len(anomalies)

    monkeypatch.setattr(evidence, "refute_anomalies", refuse)

    result = judged(WRITE_SKEW)

    assert result.verdict is UNKNOWN
    assert result.why == "contradiction: the engine found write-skew, but it does not follow"
    assert result.details["ruled_out"] == []


def test_an_order_that_does_not_replay_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "refute_order", lambda *_, **__: "a read differs")

    result = judged(SERIAL)

    assert result.verdict is UNKNOWN
    assert result.why.startswith("contradiction: the serial order of the engine")


@pytest.mark.parametrize("text", [SERIAL, STALE_READ, OLD_FIRST])
def test_large_histories_are_replayed_in_c(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(text)
    monkeypatch.setattr(proof, "VALIDATED_MAX", 0)
    monkeypatch.setattr(proof, "refute_order", None)

    assert judged(text) == whole


def test_large_histories_are_confirmed_by_the_transactions_that_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "VALIDATED_MAX", 0)

    (cycle,) = judged(WRITE_SKEW).anomalies
    (phantom,) = judged("0 0-1 ok r x [7]\n1 0-1 ok append x 1").anomalies

    assert cycle.confirmation == evidence.CONFIRMED
    assert phantom.confirmation == evidence.ALONE


def _noisy(seed: int) -> History:
    """A write skew between many transactions that have nothing to do with it."""
    rng = Random(seed)
    state: dict[str, list[int]] = {}
    lines = []
    for number in range(60):
        key = rng.choice("abc")
        held = state.setdefault(key, [])
        lines.append(
            f"{number} {number}-{number + 1} ok r {key} {_list(held)}, append {key} {number}"
        )
        held.append(number)
        if number in (20, 40):
            one, other = ("x", "y") if number == 20 else ("y", "x")
            first = f"r {key} {_list(held)}, r {one} [], append {other} {number}"
            lines.append(f"{100 + number} 20-60 ok {first}")
    return history("\n".join(lines))


def _list(values: list[int]) -> str:
    return f"[{' '.join(map(str, values))}]"


def test_the_smallest_history_has_the_anomaly_and_nothing_else() -> None:
    noisy = _noisy(1)

    anomaly = next(each for each in judged(noisy).anomalies if each.name == "write-skew")
    small = smallest_history(noisy, anomaly)

    assert [each.value for each in small.operations] == [
        [["r", "x", []], ["append", "y", 20]],
        [["r", "y", []], ["append", "x", 40]],
    ]
    assert [each.name for each in judged(small).anomalies] == ["write-skew"]


def test_the_smallest_history_is_the_same_each_time() -> None:
    first, second = (judged(_noisy(2)).anomalies for _ in range(2))

    assert first == second
    assert first[0].smallest


def test_many_of_one_name_are_counted_and_some_shown() -> None:
    result = judged(
        "\n".join(f"{i} 0-1 fail append x{i} 1\n{50 + i} 2-3 ok r x{i} [1]" for i in range(20))
    )

    assert result.details["counts"] == {"G1a": 20}
    assert len(result.anomalies) == 8
    assert result.why.startswith("not serializable: 20 G1a: ")


def test_long_lists_are_shown_around_what_matters() -> None:
    appends = "\n".join(f"{i} 0-1 ok append x {i}" for i in range(30))
    (anomaly,) = judged(f"""
        {appends}
        40 0-1 fail append x 30
        41 2-3 ok r x {_list(list(range(31)))}
    """).anomalies

    assert 'read key "x" as [… 27 28 29 30], with 30' in anomaly.summary


@pytest.mark.parametrize(
    ("rules", "model", "message"),
    [
        ("lists", "serializable", "expected the rules append or wr, got 'lists'"),
        ("append", "serialisable", "did you mean serializable?"),
        ("append", "prefix", "which no history of transactions is judged by"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(rules: Any, model: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as error:
        Transactions(rules, model)

    assert "\n" not in str(error.value)


def test_histories_of_elle_cli_are_judged() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no recorded histories in ../shared/histories")

    def of(name: str, rules: Any) -> Result:
        return judged(read_history(CORPUS / name).history, rules=rules)

    assert [each.name for each in of("list-append-gh-30.edn", "append").anomalies] == ["write-skew"]
    assert [each.name for each in of("rw-register.edn", "wr").anomalies] == ["phantom"]
    assert of("rw-register.json", "wr").verdict is INVALID


def test_ctrl_c_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checker.evidence, "gathered", interrupt)

    assert judged(SERIAL).why == "interrupted: stopped before anything was judged"


FORCED = """
    0 0-9 ok w x 1, w y 1
    1 0-9 ok w x 2, w y 2
    2 0-9 ok r x 2, r y 1
"""


def test_what_no_order_of_the_versions_explains_is_tried_in_every_order() -> None:
    (anomaly,) = judged(FORCED, rules="wr").anomalies

    assert anomaly.name == "G2-item"
    assert anomaly.confirmation == evidence.TRIED
    assert anomaly.summary == (
        "no order of T1, T2 and T3 explains what they read, whatever order the values were written"
        " in"
    )


def test_a_forced_cycle_is_unknown_where_an_order_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "has_serial_order", lambda *_, **__: True)

    result = judged(FORCED, rules="wr")

    assert result.verdict is UNKNOWN
    assert result.why.startswith("contradiction: ")


@pytest.mark.parametrize(
    ("text", "rules", "process", "realtime", "exists"),
    [
        (SERIAL, "append", True, True, True),
        (WRITE_SKEW, "append", False, False, False),
        (STALE_READ, "append", True, False, True),
        (STALE_READ, "append", True, True, False),
        (OLD_FIRST, "append", False, False, True),
        (OLD_FIRST, "append", True, False, False),
        (FORCED, "wr", False, False, False),
        ("0 0-1 info append x 1\n1 2-3 ok r x []", "append", True, True, True),
        ("0 0-1 info append x 1\n1 2-3 ok r x [1]", "append", True, True, True),
        ("0 0-1 fail w x 1\n1 2-3 ok r x 1", "wr", False, False, False),
    ],
)
def test_every_serial_order_is_tried(
    text: str, rules: str, process: bool, realtime: bool, exists: bool
) -> None:
    found = has_serial_order(history(text), rules=rules, process=process, realtime=realtime)

    assert found is exists


UNSEEN = """
    0 0-1 ok r y [], append z 1, append x 1
    1 0-1 ok r z [], append y 1, append x 2
"""


def test_writers_that_nobody_saw_are_tried_in_each_order() -> None:
    (anomaly,) = judged(UNSEEN, "snapshot-isolation").anomalies

    assert anomaly.name == "G-nonadjacent"
    assert anomaly.confirmation.startswith("single-engine")
    assert anomaly.summary == (
        "no order of T1 and T2 explains what they read under snapshot-isolation, whatever order"
        " they wrote in"
    )


def test_an_order_of_snapshots_proves_what_snapshot_isolation_implies() -> None:
    text = """
        0 0-9 ok r x null, w y 1
        1 0-9 ok r y null, w x 1
        2 0-9 ok w x 2
    """
    models = ("serializable", "snapshot-isolation", "consistent-view")
    verdicts = [Transactions("wr", model)(history(text), Budget()).verdict for model in models]

    assert verdicts == [INVALID, VALID, VALID]


def test_histories_that_are_too_large_for_the_solver_stay_partial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(solving, "TRANSACTIONS_MAX", 1)

    result = judged(UNSEEN, "snapshot-isolation")

    assert result.verdict is UNKNOWN
    assert result.why.startswith("partial-order: 0.0% of the pairs of writes are in a known order")


def test_ambiguous_values_are_no_contradiction() -> None:
    result = judged("""
        0 0-9 ok r x [], append x 1
        1 0-9 ok append x 1
        2 0-9 ok r x []
    """)

    assert result.verdict is not INVALID
    assert "contradiction" not in result.why


def test_a_cycle_by_a_value_that_was_written_twice_is_no_contradiction() -> None:
    result = judged("""
        0 0-1 ok append y 1, append x 2, r y [1]
        0 2-3 ok append y 2, append x 3, r x [3]
        0 4-5 ok append x 3
    """)

    assert result.verdict is UNKNOWN
    assert result.why == 'ambiguous-values: a value was written twice to 1 key ("x")'
