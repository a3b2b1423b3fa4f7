"""What C judges whole: the same verdicts as one key at a time, and what the result says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, REGISTER, TEXT, Linearizable, Model
from dissever.checkers.linearizability.judgement import Judgement
from dissever.checkers.linearizability.key_outcomes import EXPLAINED_KEYS_MAX
from dissever.checkers.linearizability.objects import ObjectJudge
from dissever.harness.history import Event, History, Rows, Type, columns_of
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine
from dissever.native.load import load
from tests.checkers.settled import settled

Notation = Callable[[str], History]

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "histories"


def _of_columns(history: History, model: Model) -> Result:
    """What comes of the columns alone, as of a file."""
    return Linearizable(model, threads=1)(
        History(rows=Rows.of_columns(columns_of(history.operations))), Budget()
    )


class _Clients:
    """Clients of several registers that mostly work, as events."""

    def __init__(self, rng: Random, *, keys: int, unique: bool) -> None:
        self._rng = rng
        self._unique = unique
        self._fresh = 0
        self._held: dict[int, object] = dict.fromkeys(range(keys))
        self._pending: dict[int, Event] = {}
        self._time = 0
        self._tie = rng.choice((0.0, 0.3))
        self._crash = rng.choice((0.0, 0.1, 0.3))
        self._wrong = rng.choice((0.0, 0.1, 0.2))
        self.events: list[Event] = []

    def run(self, operations: int) -> History:
        process = 0
        while operations or self._pending:
            self._time += self._rng.random() >= self._tie
            if operations and len(self._pending) < 5 and self._rng.random() < 0.6:
                self._invoke(process)
                process, operations = process + 1, operations - 1
            elif self._pending:
                self._complete(self._rng.choice(list(self._pending)))
        return History(tuple(self.events))

    def _value(self) -> int:
        self._fresh += 1
        return self._fresh if self._unique else self._rng.randrange(3)

    def _invoke(self, process: int) -> None:
        rng, key = self._rng, self._rng.choice(list(self._held))
        f = rng.choice(("read", "write", "cas"))
        value: object = {"read": None, "write": 0, "cas": [self._held[key], 0]}[f]
        if f == "write":
            value = self._value()
        elif f == "cas":
            old = self._held[key] if rng.random() < 0.8 else rng.randrange(3)
            value = [old, self._value()]
        event = Event(len(self.events), self._time, process, Type.INVOKE, f, value, key=key or None)
        self.events.append(event)
        self._pending[process] = event

    def _complete(self, process: int) -> None:
        asked, rng = self._pending.pop(process), self._rng
        key, drawn = asked.key or 0, rng.random()
        assert isinstance(key, int)
        held = self._held[key]
        fits = asked.f != "cas" or asked.value[0] == held
        kind, told = Type.OK, asked.value
        if drawn < self._crash:
            kind = Type.INFO
        elif not fits and rng.random() >= self._wrong:
            kind = Type.FAIL
        if asked.f == "read" and kind is Type.OK:
            told = held if rng.random() >= self._wrong else rng.randrange(3)
        if asked.f != "read" and fits and (kind is Type.OK or rng.random() < 0.5):
            self._held[key] = asked.value if asked.f == "write" else asked.value[1]
        if kind is Type.INFO and rng.random() < 0.5:
            return
        done = replace_event(asked, len(self.events), self._time, kind, told)
        self.events.append(done)


def replace_event(asked: Event, index: int, time: int, kind: Type, value: object) -> Event:
    return Event(index, time, asked.process, kind, asked.f, value, key=asked.key)


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "repeated"])
def test_verdicts_are_those_of_one_key_at_a_time(unique: bool) -> None:
    rng, keys, invalid = Random(f"fast {unique}"), 0, 0
    for _ in range(1_500):
        history = _Clients(rng, keys=rng.randrange(1, 4), unique=unique).run(rng.randrange(1, 40))
        expected: dict[object, Verdict] = {}
        for key in history.keys:
            operations = [each for each in history.operations if each.key == key]
            slow = ObjectJudge(CAS_REGISTER, None, operations, Budget())
            expected[key] = slow.judge().verdict

        result = Linearizable(CAS_REGISTER)(history, Budget())

        assert settled(result) is max(expected.values())
        wrong = {str(key) for key, verdict in expected.items() if verdict is Verdict.INVALID}
        assert {key.replace("-", "None") for key in result.details["invalid_keys"]} == wrong
        for anomaly in result.anomalies:
            assert _is_impossible(history, anomaly.context)
        keys, invalid = keys + len(expected), invalid + len(wrong)
    assert 0.05 < invalid / keys < 0.6


def _is_impossible(history: History, context: tuple[int, ...]) -> bool:
    """The events of the context alone are refused too, by the search alone."""
    small = History(tuple(history.events[index] for index in context))
    checker = Linearizable(CAS_REGISTER, engine=Engine.BREADTH)
    return checker(small, Budget()).verdict is Verdict.INVALID


def test_columns_give_what_their_history_gives() -> None:
    rng = Random("columns")
    for _ in range(150):
        history = _Clients(rng, keys=3, unique=rng.random() < 0.5).run(30)

        by_history = Linearizable(CAS_REGISTER)(history, Budget())
        by_columns = Linearizable(CAS_REGISTER, threads=1)(
            History(rows=Rows.of_columns(columns_of(history.operations))), Budget()
        )

        assert by_columns.verdict is by_history.verdict
        # Not the indices: columns do not keep the completion of an info.
        names = [(str(each.key), each.name) for each in by_history.anomalies]
        assert sorted((str(each.key), each.name) for each in by_columns.anomalies) == sorted(names)


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("0 invoke write 1\n0 ok write 1\n0 invoke read\n0 ok read 1", "zones"),
        ("0 invoke write 1\n0 ok write 1\n0 invoke cas [1, 2]\n0 ok cas [1, 2]", "chains"),
        (
            "0 invoke write 1\n0 ok write 1\n0 invoke write 1\n0 ok write 1\n"
            "0 invoke read\n0 ok read 1",
            "depth",
        ),
    ],
)
def test_the_engine_is_what_the_data_allow(history: Notation, text: str, engine: str) -> None:
    result = Linearizable(CAS_REGISTER)(history(text), Budget())

    assert result.verdict is Verdict.VALID
    assert result.details["engines"] == {engine: 1}


def test_an_invalid_key_says_which_engine_and_why(history: Notation) -> None:
    result = Linearizable(REGISTER)(
        history("""
        0 invoke write 1
        0 ok     write 1
        0 invoke read
        0 ok     read None
    """),
        Budget(),
    )

    details = result.details["invalid_keys"]["-"]
    assert (details["engine"], details["evidence"]) == (
        "zones",
        "each value is set at most once",
    )
    assert details["confirmed"]


def test_a_register_without_cas_does_not_know_it(history: Notation) -> None:
    result = Linearizable(REGISTER)(history("0 invoke cas [1, 2]\n0 ok cas [1, 2]"), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "malformed" in result.why


@pytest.mark.parametrize(("initial", "verdict"), [(0, Verdict.VALID), (None, Verdict.INVALID)])
def test_the_initial_value_is_what_the_model_says(
    history: Notation, initial: int | None, verdict: Verdict
) -> None:
    model = replace(CAS_REGISTER, initial=initial)

    found = Linearizable(model)(history("0 invoke read\n0 ok read 0"), Budget())

    assert found.verdict is verdict


def test_past_the_budget_the_others_are_decided(history: Notation) -> None:
    width = 24
    asked = "\n".join(f"{i} invoke x/write {i // 2}" for i in range(width))
    told = "\n".join(f"{i} ok x/write {i // 2}" for i in range(width))
    result = Linearizable(REGISTER)(
        history(f"""
        {asked}
        {told}
        99 invoke x/write 0
        99 ok     x/write 0
        99 invoke x/read
        99 ok     x/read  1
        50 invoke y/write 1
        50 ok     y/write 1
        50 invoke y/read
        50 ok     y/read 1
    """),
        Budget(configurations=2_000),
    )

    assert (result.verdict, result.details["valid"]) == (Verdict.UNKNOWN, 1)
    assert "no more configurations" in result.details["unknown_keys"]["x"]
    assert "may be set twice" in result.details["unknown_keys"]["x"]


def test_every_failing_key_is_told_and_some_are_explained(history: Notation) -> None:
    keys = EXPLAINED_KEYS_MAX + 5
    text = "\n".join(f"0 invoke k{i}/read\n0 ok k{i}/read {i}" for i in range(keys))

    result = Linearizable(REGISTER)(history(text), Budget())

    assert result.details["invalid"] == keys
    every = result.details["invalid_keys"].values()
    assert all(each["confirmed"] for each in every)
    assert sum("failing" in each for each in every) == EXPLAINED_KEYS_MAX
    why_not = [each["not_explained"] for each in every if "not_explained" in each]
    assert why_not == [f"{EXPLAINED_KEYS_MAX} keys are explained already"] * 5


def test_a_key_that_is_too_long_to_be_explained_says_so(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dissever.checkers.linearizability.key_outcomes.EXPLAINED_OPERATIONS_MAX", 3
    )
    wrong = "0 invoke {k}/read\n0 ok {k}/read 1\n"
    text = wrong.format(k="a") + 4 * wrong.format(k="b")

    result = Linearizable(REGISTER)(history(text), Budget())

    found = result.details["invalid_keys"]
    assert [found[key].get("not_explained") for key in ("a", "b")] == [
        None,
        "no key of more than 3 operations is explained",
    ]
    assert all(found[key]["confirmed"] for key in ("a", "b"))


def test_a_number_that_no_column_holds_leaves_it_unknown() -> None:
    far = 1 << 40
    events = (Event(0, 0, far, Type.INVOKE, "read"), Event(1, 1, far, Type.OK, "read", 1))

    result = Linearizable(REGISTER)(History(events), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "too large" in result.why


def test_what_c_names_is_confirmed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of keys that are too large to be told at length."""
    monkeypatch.setattr("dissever.checkers.linearizability.key_outcomes.EXPLAINED_KEYS_MAX", 0)
    rng, sentences = Random("witness"), Counter[str]()
    for _ in range(1_500):
        history = _Clients(rng, keys=1, unique=True).run(rng.randrange(1, 40))

        result = Linearizable(CAS_REGISTER)(history, Budget())

        if result.verdict is Verdict.INVALID:
            (anomaly,) = result.anomalies
            sentences[anomaly.confirmation] += 1
            assert all(0 <= len(each.indices) <= 6 for each in anomaly.orders)
        else:
            assert settled(result) is Verdict.VALID or not history.operations, result.why
    confirmed = [sentence for sentence in sentences if sentence.startswith("confirmed by")]
    assert len(confirmed) == 1
    assert sentences[confirmed[0]] > 0.9 * sentences.total() > 50


@pytest.mark.parametrize("verdict", [Verdict.VALID, Verdict.UNKNOWN])
def test_a_second_engine_that_contradicts_the_first_makes_the_key_unknown(
    history: Notation, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    def contradict(*_: object) -> Judgement:
        found = Judgement(None, 1, Verdict.VALID, "an order explains every answer")
        return found if verdict is Verdict.VALID else found.doubted("the evidence does not hold")

    monkeypatch.setattr(ObjectJudge, "explain", contradict)

    result = Linearizable(REGISTER)(history("0 invoke read\n0 ok read 1"), Budget())

    assert result.verdict is Verdict.UNKNOWN, result.why
    assert not result.anomalies


def test_other_objects_in_columns_are_judged_key_by_key(history: Notation) -> None:
    held = "0 invoke a/acquire\n0 ok a/acquire\n0 invoke b/acquire\n0 ok b/acquire"
    text = f"{held}\n1 invoke b/acquire\n1 ok b/acquire"

    result = _of_columns(history(text), MUTEX)

    assert (result.verdict, result.details["valid"]) == (Verdict.INVALID, 1)
    assert result.anomalies == Linearizable(MUTEX)(history(text), Budget()).anomalies


def test_an_order_of_c_that_is_none_is_a_bug_and_says_so(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        return "made up"

    monkeypatch.setattr("dissever.checkers.linearizability.certificate.flaw", refuse)

    result = Linearizable(REGISTER)(history("0 invoke write 1\n0 ok write 1"), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "made up" in result.why


class _Writers(_Clients):
    """Clients of several texts that mostly work."""

    def _text(self) -> str:
        self._fresh += 1
        fresh = self._fresh if self._unique or self._rng.random() < 0.7 else self._rng.randrange(3)
        return f"x {fresh} y"

    def _invoke(self, process: int) -> None:
        rng, key = self._rng, self._rng.choice(list(self._held))
        f = rng.choice(("get", "get", "append", "append", "put"))
        value = None if f == "get" else self._text()
        event = Event(len(self.events), self._time, process, Type.INVOKE, f, value, key=key or None)
        self.events.append(event)
        self._pending[process] = event

    def _complete(self, process: int) -> None:
        asked, rng = self._pending.pop(process), self._rng
        key = asked.key or 0
        assert isinstance(key, int)
        held, is_crashed = str(self._held[key] or ""), rng.random() < self._crash
        told = asked.value
        if asked.f == "get":
            told = held if rng.random() >= self._wrong / 2 else held[: rng.randrange(len(held) + 1)]
        elif not is_crashed or rng.random() < 0.5:
            self._held[key] = asked.value if asked.f == "put" else held + asked.value
        if not is_crashed:
            done = replace_event(asked, len(self.events), self._time, Type.OK, told)
            self.events.append(done)


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "repeated"])
def test_texts_come_out_as_one_key_at_a_time(unique: bool) -> None:
    rng, keys, invalid = Random(f"texts {unique}"), 0, 0
    for _ in range(400):
        history = _Writers(rng, keys=rng.randrange(1, 4), unique=unique).run(rng.randrange(1, 40))
        expected: dict[object, Verdict] = {}
        for key in history.keys:
            operations = [each for each in history.operations if each.key == key]
            slow = ObjectJudge(TEXT, None, operations, Budget(), Engine.BREADTH)
            expected[key] = slow.judge().verdict

        result = Linearizable(TEXT)(history, Budget())
        by_columns = _of_columns(history, TEXT)

        wrong = {str(key) for key, verdict in expected.items() if verdict is Verdict.INVALID}
        assert {key.replace("-", "None") for key in result.details["invalid_keys"]} == wrong
        assert settled(result) is settled(by_columns) is max(expected.values())
        assert all(each["confirmed"] for each in result.details["invalid_keys"].values())
        keys, invalid = keys + len(expected), invalid + len(wrong)
    assert 0.05 < invalid / keys < 0.6


def test_a_text_says_why_it_is_none(history: Notation) -> None:
    small = "0 invoke append 'a'\n0 ok append 'a'\n0 invoke get\n0 ok get ''"

    told = Linearizable(TEXT)(history(small), Budget()).details["invalid_keys"]["-"]
    valid = Linearizable(TEXT)(history(small.replace("''", "'a'")), Budget())
    misfit = Linearizable(TEXT)(history("0 invoke append 1\n0 ok append 1"), Budget())

    assert (told["engine"], told["proof"]) == (
        "texts",
        "each of the two values would have to come before the other",
    )
    assert told["confirmed"]
    assert valid.details["engines"] == {"texts": 1}
    assert (misfit.verdict, misfit.why) == (
        Verdict.UNKNOWN,
        "1 object of 1: malformed: event 1: append wants a text, got 1",
    )


def test_recorded_texts_are_judged_in_c() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no recorded histories in ../shared/histories")
    for path in sorted((CORPUS / "porcupine" / "kv").glob("*.txt")):
        columns = load(path.read_bytes()).columns
        result = Linearizable(TEXT, threads=1)(History(rows=Rows.of_columns(columns)), Budget())

        is_ok = path.stem.endswith("ok")
        assert result.verdict is (Verdict.VALID if is_ok else Verdict.INVALID)
        assert set(result.details["engines"]) <= {"texts", "depth", "breadth"}
        assert is_ok or all(each["confirmed"] for each in result.details["invalid_keys"].values())


def test_recorded_logs_are_judged_in_c() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no recorded histories in ../shared/histories")
    engines: dict[str, int] = {}
    for path in sorted((CORPUS / "porcupine" / "jepsen").glob("etcd_00*.log")):
        history = read_history(path).history
        result = Linearizable(CAS_REGISTER, threads=1)(
            History(rows=Rows.of_columns(columns_of(history.operations))), Budget()
        )
        for engine, keys in result.details["engines"].items():
            engines[engine] = engines.get(engine, 0) + keys

    assert set(engines) <= {"depth", "breadth", "values"}
    assert sum(engines.values()) >= 9
