"""Transactions into arrays: the same as a naive reading of the same events, in every notation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from dissever.harness.events import Event, Type
from dissever.harness.history import History, MalformedHistory
from dissever.harness.reader import read_history
from dissever.native.columns import APPEND, NONE, OK, READ, WRITE, Micro
from dissever.native.load import LoadError, load

KINDS = {"r": READ, "append": APPEND, "w": WRITE}


def _edn(value: Any, rng: Random | None = None) -> str:
    """A value in EDN; with `rng` spelt in one of several ways."""

    def pick(*ways: str) -> str:
        return rng.choice(ways) if rng is not None else ways[0]

    if isinstance(value, list):
        start, end = ("(", ")") if pick("[", "[", "[", "(") == "(" else ("[", "]")
        blank = pick("", "", " ", "\t", "#_ [9] ")
        return start + blank + pick(" ", " ", ", ").join(_edn(each, rng) for each in value) + end
    if isinstance(value, str):
        return pick(f":{value}", json.dumps(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return pick(str(value), str(value), f"{value}N", f"+{value}" if value >= 0 else str(value))
    return {None: "nil", True: "true", False: "false"}.get(value) or json.dumps(value)


def _events(rng: Random) -> list[dict[str, Any]]:
    """Events of transactions on lists and registers; answers are drawn, and mostly agree."""
    values: list[Any] = [1, 2, 12, 123, 3, "a", "ab", None, True, 1.5, [1, [2]]]
    lists: dict[Any, list[Any]] = {
        key: [rng.choice(values) for _ in range(12)] for key in (7, "x", "y")
    }
    events: list[dict[str, Any]] = []
    open_: dict[int, list[Any]] = {}
    for _ in range(rng.randrange(1, 40)):
        process = rng.randrange(4)
        if process not in open_:
            asked = [_asked(rng, values) for _ in range(rng.randrange(4))]
            open_[process] = asked
            if rng.random() < 0.2:
                asked = [_answered(rng, each, lists, values) for each in asked]
            events.append({"process": process, "type": "invoke", "value": asked})
            continue
        asked = open_.pop(process)
        kind = rng.choice(["ok", "ok", "ok", "fail"])
        answers = [_answered(rng, each, lists, values) for each in asked]
        if kind == "fail" and rng.random() < 0.5:
            answers = rng.choice([None, asked, "aborted"])
        before = events[-1]["value"] if events[-1]["process"] == process else None
        if before and kind == "ok" and rng.random() < 0.3:
            answers = before  # Of an invocation that has its answers already.
        events.append({"process": process, "type": kind, "value": answers})
    return [{"f": "txn", "index": at, "time": at, **each} for at, each in enumerate(events)]


def _asked(rng: Random, values: Sequence[Any]) -> list[Any]:
    f = rng.choice(["r", "r", "append", "w"])
    return [f, rng.choice([7, "x", "y"]), None if f == "r" else rng.choice(values)]


def _answered(
    rng: Random, micro: list[Any], lists: dict[Any, list[Any]], values: Sequence[Any]
) -> list[Any]:
    f, key, _ = micro
    if f != "r":
        return micro
    draw = rng.random()
    if draw < 0.15:
        return [f, key, rng.choice([each for each in values if not isinstance(each, list)])]
    found = list(lists[key][: rng.randrange(len(lists[key]))])
    if draw < 0.3 and found:
        found[rng.randrange(len(found))] = rng.choice(values)
    if draw < 0.2:
        lists[key] = found + lists[key][len(found) :]
    return [f, key, found]


def _written(events: Sequence[dict[str, Any]], notation: str, rng: Random) -> bytes:
    if notation == "json":
        return "\n".join(json.dumps(_shuffled(event, rng)) for event in events).encode()
    if notation == "array":
        return json.dumps([_shuffled(event, rng) for event in events], indent=1).encode()
    if notation == "events":  # What a run writes: the order of its fields, and no others.
        return "\n".join(json.dumps(event) for event in events).encode()
    if notation == "log":
        lines = (
            f"{event['process']}\t:{event['type']}\t:txn\t{_edn(event['value'], rng)}"
            for event in events
        )
        return "\n".join(lines).encode()
    if notation == "tuples":
        items = (
            f"[{event['process']} :{event['type']} :txn {_edn(event['value'], rng)}]"
            for event in events
        )
        return "[{}]".format("\n".join(items)).encode()
    return "\n".join(
        "{"
        + ", ".join(f":{name} {_edn(value, rng)}" for name, value in _shuffled(event, rng).items())
        + "}"
        for event in events
    ).encode()


def _shuffled(event: dict[str, Any], rng: Random) -> dict[str, Any]:
    names = list(event)
    if rng.random() < 0.3:
        rng.shuffle(names)
    return {name: event[name] for name in names if rng.random() < 0.9 or name != "f"}


def _naive(events: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Of each operation: of each micro-operation its kind, key, and value or answer."""
    rows: list[list[Any]] = []
    open_: dict[int, int] = {}
    for event in events:
        if event["type"] == "invoke":
            open_[event["process"]] = len(rows)
            rows.append(
                [[KINDS[f], k, "nobody knows" if f == "r" else v] for f, k, v in event["value"]]
            )
        elif event["type"] == "ok":
            rows[open_[event["process"]]] = [[KINDS[f], k, v] for f, k, v in event["value"]]
    return rows


def _longest(events: Sequence[dict[str, Any]]) -> dict[Any, list[Any]]:
    """Key -> the first of the longest lists that it was read as."""
    longest: dict[Any, list[Any]] = {}
    for event in events:
        for f, key, value in event["value"] if event["type"] == "ok" else ():
            is_list = f == "r" and isinstance(value, list)
            if is_list and (key not in longest or len(value) > len(longest[key])):
                longest[key] = value
    return longest


def _read(micro: Micro) -> Iterator[list[Any]]:
    """The rows of arrays, as `_naive` gives them."""
    values = micro.columns.values
    for operation in range(len(micro.columns)):
        row = []
        for at in range(micro.first[operation], micro.first[operation + 1]):
            start, length, value = micro.list[at], micro.length[at], micro.value[at]
            assert (start == NONE) == (length == NONE)
            answer = "nobody knows" if value == NONE else values[value]
            if start != NONE:
                assert value == NONE
                answer = [values[item] for item in micro.items[start : start + length]]
            row.append([micro.kind[at], values[micro.keys[micro.key[at]]], answer])
        yield row


def _check_places(micro: Micro, longest: dict[Any, list[Any]]) -> None:
    """The longest list of each key is right, and each read that begins like it has its place."""
    values = micro.columns.values
    of_keys: list[list[int]] = []
    for key, start, length in zip(micro.keys, micro.longest, micro.longest_length, strict=True):
        expected = longest.get(values[key])
        items = list(micro.items[start : start + length]) if start != NONE else []
        assert (start == NONE) == (expected is None) == (length == NONE)
        assert [values[item] for item in items] == (expected or [])
        of_keys.append(items)
    for key, start, length in zip(micro.key, micro.list, micro.length, strict=True):
        if start != NONE:
            items = list(micro.items[start : start + length])
            assert (start == micro.longest[key]) == (items == of_keys[key][:length])


@pytest.mark.parametrize("notation", ["events", "json", "array", "edn", "tuples", "log"])
def test_every_notation_gives_what_a_naive_reading_gives(notation: str) -> None:
    rng = Random(notation)
    seen = set()
    for _ in range(150):
        events = _events(rng)
        data = _written(events, notation, rng)
        loaded = load(data, transactions=True)

        assert loaded.micro is not None, data
        assert list(_read(loaded.micro)) == _naive(events), data
        _check_places(loaded.micro, _longest(events))
        _check_values(read_history(data, transactions=True).history, events)
        seen |= {len(events), -len(loaded.micro.items)}
    assert len(seen) > 50  # Of sizes, so that the events differ.


def _check_values(history: History, events: Sequence[dict[str, Any]]) -> None:
    """Every event has the value that stands in the file."""
    values = [event.value for event in history.events]
    expected = [event["value"] for event in events]
    if "aborted" not in expected:  # In logs that is an error, not a value.
        assert json.dumps(values) == json.dumps(expected)


def test_events_in_memory_give_the_arrays_of_the_file() -> None:
    rng = Random(1)
    for _ in range(60):
        data = _written(_events(rng), "events", rng)
        of_file = read_history(data, transactions=True).history
        of_events = History(of_file.events)

        assert of_events.micro.columns.type == of_file.micro.columns.type
        for name in ("first", "kind", "key", "list", "length", "longest", "longest_length"):
            assert getattr(of_events.micro, name) == getattr(of_file.micro, name), name
        assert list(_read(of_events.micro)) == list(_read(of_file.micro))


def test_columns_say_what_they_say_without_arrays() -> None:
    rng = Random(2)
    for _ in range(60):
        data = _written(_events(rng), "events", rng)
        plain = read_history(data, transactions=False).history
        rows = read_history(data, transactions=True).history

        assert rows.events == plain.events
        for name in ("type", "process", "inv", "ret", "inv_time", "ret_time"):
            assert getattr(rows.columns, name) == getattr(plain.columns, name)
        assert rows.interned.columns.value_out == History(plain.events).columns.value_out


def test_a_read_that_outgrows_another_order_becomes_the_longest() -> None:
    reads = [[1], [1, 2], [1, 3, 4], [1, 3], [1], [1, 3, 4, 5], [2, 2, 2, 2, 2], [2], [1, 3, 4]]
    lines = []
    for at, items in enumerate(reads):
        lines.append(f"{{:process {at} :type :invoke :f :txn :value [[:r :x nil]]}}")
        lines.append(f"{{:process {at} :type :ok :f :txn :value [[:r :x {_edn(items)}]]}}")
    micro = load("\n".join(lines).encode()).micro

    assert micro is not None
    found = [[item[0][2]] for item in _read(micro)]
    assert found == [[items] for items in reads]
    assert micro.longest_length[0] == 5
    assert [place == micro.longest[0] for place in micro.list] == [False] * 6 + [True] * 2 + [False]


OF_TRANSACTIONS = {
    "long names": "{:process 0 :type :invoke :f :txn :value [[:read 1 nil] [:write 1 2]]}",
    "no f": "{:process 0 :type :invoke :value [[:r 1 nil]]}",
    "another f": '{:process 0 :type :invoke :f :transfer :value [["r" 1 nil]]}',
    "no f in json": '{"process": 0, "type": "invoke", "value": [["append", 1, 2]]}',
    "the first is empty": "{:process 0 :type :invoke :f :txn :value []}\n"
    "{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}",
    "a nemesis": "{:process :nemesis :type :info :f :kill :value [[:r 1]]}\n"
    "{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}",
    "value first": '{"value": [["r", 1, null]], "process": 0, "type": "invoke", "f": "txn"}',
    "a named client": '{:process "c1" :type :invoke :f :txn :value [[:r 1 nil]]}',
}


@pytest.mark.parametrize("name", OF_TRANSACTIONS)
def test_transactions_are_recognised(name: str) -> None:
    data = OF_TRANSACTIONS[name].encode()

    assert load(data).micro is not None
    assert read_history(data).history.has_transactions
    assert read_history(data, transactions=False).history.has_transactions


OTHERS = {
    "a register": "{:process 0 :type :invoke :f :write :value 1}",
    "pairs": "{:process 0 :type :invoke :f :write :value [[1 2]]}",
    "no name": '{:process 0 :type :invoke :f :write :value [["x" 1 2]]}',
    "only empty": "{:process 0 :type :invoke :f :txn :value []}",
    "nothing": "",
    "a read first": "{:process 0 :type :invoke :f :read :value nil}\n"
    "{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_histories_are_not(name: str) -> None:
    assert load(OTHERS[name].encode()).micro is None
    assert not read_history(OTHERS[name].encode()).history.has_transactions


MALFORMED = {
    "unknown kind": ("[[:r 1 nil] [:cas 1 2]]", None, "got '[:cas 1 2]"),
    "two parts": ("[[:r 1 nil] [:r 1]]", None, "got '[:r 1]]"),
    "four parts": ("[[:r 1 nil 2]]", None, "got '[:r 1 nil 2]]"),
    "no list": ("[[:r 1 nil] 5]", None, "got '5]"),
    "a map": ("[[:r 1 nil] {:r 1}]", None, "got '{:r 1}]"),
    "no parts": ("[[:r 1 nil] []]", None, "got '[]]"),
    "another kind": ("[[:r 1 nil]]", "[[:w 1 2]]", "micro-operations of the invocation"),
    "another key": ("[[:r 1 nil]]", "[[:r 2 nil]]", "micro-operations of the invocation"),
    "another value": ("[[:w 1 1]]", "[[:w 1 2]]", "micro-operations of the invocation"),
    "fewer": ("[[:w 1 1] [:r 1 nil]]", "[[:w 1 1]]", "micro-operations of the invocation"),
    "no answer": ("[[:r 1 nil]]", "nil", "a list of micro-operations as the value"),
    "another answer": ("[[:r 1 nil]]", "5", "a list of micro-operations as the value"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_transaction_is_named_with_its_place(name: str) -> None:
    asked, answered, what = MALFORMED[name]
    first = "{:process 9 :type :invoke :f :txn :value [[:r 1 nil]]}\n"
    data = f"{first}{{:process 0 :type :invoke :f :txn :value {asked}}}\n"
    if answered is not None:
        data += f"{{:process 0 :type :ok :f :txn :value {answered}}}\n"

    with pytest.raises(LoadError, match="expected ") as error:
        load(data.encode(), transactions=True)
    assert what in error.value.message
    assert (error.value.index, error.value.line) == (2, 3) if answered else (1, 2)
    history = read_history(data.encode()).history  # Nobody said that these are transactions.
    assert history.has_transactions
    with pytest.raises(MalformedHistory) as malformed:
        history.micro  # noqa: B018
    assert malformed.value.index == (2 if answered else 1)


@pytest.mark.parametrize(
    "value", ["[[:r 1 nil] 5]", "[[:w12 1]]", "[[:r 1 [2]] [:cas 1 2]]", "[7]"]
)
def test_what_failed_may_say_anything(value: str) -> None:
    data = f"""{{:process 0 :type :invoke :f :txn :value [[:r 1 nil]]}}
{{:process 0 :type :fail :f :txn :value {value}}}
{{:value {value} :process 1 :type :info :f :txn}}"""
    data = data.replace("{:value", "{:process 1 :type :invoke :f :txn :value []}\n{:value")
    history = read_history(data.encode(), transactions=True).history

    expected = read_history(data.encode(), transactions=False).history
    assert history.events == expected.events
    assert len(history.micro) == 1


def test_a_mix_is_malformed() -> None:
    data = b"""{:process 0 :type :invoke :f :txn :value [[:r 1 nil]]}
{:process 1 :type :invoke :f :read :value nil}"""

    with pytest.raises(LoadError, match="as of other operations, of 'read'") as error:
        load(data, transactions=True)
    assert error.value.index == 1
    assert load(data).micro is None


def test_a_last_line_that_is_cut_off_is_left_out() -> None:
    whole = (
        '{"process":0,"type":"invoke","f":"txn","value":[["append","x",[1,"a"]],["r","x",null]]}'
    )
    for length in range(1, len(whole)):
        loaded = load((whole.replace("0", "1") + "\n" + whole[:length]).encode())

        assert loaded.cut_line == 2, whole[:length]
        assert len(loaded.columns) == 1


def test_values_count_towards_ids_and_slices_work() -> None:
    values = load(OF_TRANSACTIONS["long names"].encode()).columns.values

    assert values[len(values) - 2 :] == [
        [["r", 1, None], ["w", 1, 2]],
        [["r", 1, None], ["w", 1, 2]],
    ]
    with pytest.raises(IndexError):
        values[len(values)]


def test_a_crashed_transaction_keeps_what_its_completion_says() -> None:
    data = b"""{:process 0 :type :invoke :f :txn :value [[:r 1 nil] [:append 1 2]]}
{:process 0 :type :info :f :txn :value [[:r 1 [1 1]] [:append 1 2]] :error :timeout}
{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}
{:process 1 :type :ok :f :txn :value [[:r 1 [1]]]}"""
    history = read_history(data).history
    micro = history.micro

    assert micro.list[0] == NONE
    assert micro.longest_length[0] == 1
    assert history.operation(0).invocation.value == [["r", 1, None], ["append", 1, 2]]
    completion = history.operation(0).completion
    assert completion is not None
    assert (completion.value, completion.error) == ([["r", 1, [1, 1]], ["append", 1, 2]], "timeout")
    assert history.columns.type[1] == OK


def test_history_of_events_says_whether_it_has_transactions() -> None:
    asked = Event(0, 0, 0, Type.INVOKE, "txn", [])
    more = Event(1, 1, 1, Type.INVOKE, "txn", [["r", 1, None]])

    assert History([asked, more]).has_transactions
    assert not History([asked]).has_transactions
    with pytest.raises(MalformedHistory, match="list of micro-operations"):
        History([more, Event(2, 2, 2, Type.INVOKE, "read")]).micro  # noqa: B018
