"""A history in EDN: each value as Clojure reads it, and the same history back by our own reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.harness.history import Event, History, Type
from dissever.harness.reader import Format, read_history
from dissever.reports.exports.edn import lines, value_text

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


def read_back(*events: Event, keyed: bool = False) -> History:
    text = "".join(lines(History(events)))
    loaded = read_history(text.encode(), keyed=keyed, transactions=False)
    assert loaded.format is Format.EDN
    return loaded.history


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nil"),
        (True, "true"),
        (17, "17"),
        (-(1 << 63) - 1, "-9223372036854775809N"),
        (0.5, "0.5"),
        (float("inf"), "##Inf"),
        (float("nan"), "##NaN"),
        ("", '""'),
        ('a "b" \\ c\n', '"a \\"b\\" \\\\ c\\n"'),
        ("\x1b[31m\u202e", '"\\u001b[31m\\u202e"'),
        ([1, [2, None]], "[1 [2 nil]]"),
        ({"0": 10, "a": {"b c": 1}, "-3": 1, "007": 2}, '{0 10, :a {"b c" 1}, -3 1, "007" 2}'),
        (["append", 1, 2], '["append" 1 2]'),
    ],
)
def test_value_is_written_as_clojure_reads_it(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_events_are_maps_of_jepsen() -> None:
    history = History(
        [
            Event(0, 5, 3, Type.INVOKE, "txn", [["append", 1, 2], ["r", "x", None]], node="n1"),
            Event(1, 9, "kill", Type.INVOKE, "start-kill", {"count": 1}),
            Event(2, 12, 3, Type.INFO, "txn", None, node="n1", error=["timeout", "no answer"]),
            Event(3, 14, "kill", Type.OK, "start-kill", {"targets": ["n2"]}),
        ]
    )

    assert list(lines(history)) == [
        "{:index 0, :time 5, :process 3, :type :invoke, :f :txn, "
        ':value [[:append 1 2] [:r "x" nil]], :node "n1"}\n',
        "{:index 1, :time 9, :process :nemesis, :type :info, :f :start-kill, :value {:count 1}}\n",
        "{:index 2, :time 12, :process 3, :type :info, :f :txn, "
        ':value nil, :node "n1", :error ["timeout" "no answer"]}\n',
        "{:index 3, :time 14, :process :nemesis, :type :info, :f :start-kill, "
        ':value {:targets ["n2"]}}\n',
    ]


def test_value_on_one_of_many_keys_is_a_tuple() -> None:
    first = Event(0, 0, 0, Type.INVOKE, "write", 5, key=7)
    second = Event(1, 1, 1, Type.INVOKE, "read", None, key="b")

    history = read_back(first, second, keyed=True)

    assert [":value [7 5]" in line for line in lines(History([first]))] == [True]
    assert history.keys == (7, "b")
    assert [each.invocation.value for each in history.operations] == [5, None]


def test_name_that_is_no_keyword_stays_a_text() -> None:
    hostile = 'x} {:index 9, "'
    (operation,) = read_back(Event(0, 0, 0, Type.INVOKE, hostile, hostile, node=hostile)).operations

    assert (operation.f, operation.invocation.value) == (hostile, hostile)
    assert operation.invocation.node == hostile


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_every_value_comes_back(value: Any) -> None:
    (operation,) = read_back(Event(0, 0, 0, Type.INVOKE, "write", value)).operations

    assert operation.invocation.value == value
