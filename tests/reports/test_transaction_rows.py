"""Lists that contradict each other, on the page: one row a cause, and where the lists part."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dissever.checkers.rows import Rows
from dissever.checkers.transactions import Transactions
from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Result, merge
from dissever.reports import Subject, render_html
from dissever.reports.anomaly_view import findings, operations_by_index
from dissever.reports.cycle import transaction_labels
from dissever.reports.headlines import Headline, headlines
from dissever.reports.lamport import TELLING_SHOWN_MAX, span_of
from dissever.reports.simulation import Message, Simulation
from dissever.reports.versions_view import AROUND, versions_view
from tests.checkers.transactions.notation import history, recorded

SUBJECT = Subject(system="db", workload="append", command="")
LONG = " ".join(map(str, range(100, 160)))

LOST = f"""
    0 0-1 ok append x 1
    1 2-3 ok r x [{LONG} 1]
    2 4-5 ok r x [{LONG} 2]
    3 6-7 ok r x [{LONG} 2]
    4 8-9 ok r x [{LONG} 2 3]
"""


def _judged(text: str) -> tuple[History, Result]:
    read = history(text)
    return read, Transactions("append", "serializable")(read, Budget())


def _headlines(text: str) -> dict[str, Headline]:
    read, result = _judged(text)
    found = episodes_of(read)
    told = findings(merge([result]), read, found)
    return {each.name: each for each in headlines(told, operations_by_index(read), found)}


def _page(text: str) -> str:
    read, result = _judged(text)
    return render_html(SUBJECT, read, merge([result]))


def test_reads_that_lack_one_element_are_one_row_with_their_number() -> None:
    headline = _headlines(LOST)["incompatible-order"]

    assert headline.title == "1 element was read in a list and is missing from other reads"
    assert headline.columns == (
        "What", "Key", "Appended by", "First wrong read", "Wrong reads", "Fault in force"
    )  # fmt: skip
    (row,) = headline.rows
    assert row.cells == (
        "1 is missing",
        '"x"',
        "process 0, acknowledged at 1.000 s",
        "process 2 at 4.000 s",
        "3",
        "none",
    )
    assert headline.more == 0
    assert headline.note == "1 read contradicts the longest list of its key."


def test_the_lists_are_shown_around_the_place_where_they_part() -> None:
    read, result = _judged(LOST)
    by_index = operations_by_index(read)
    (lost,) = (each for each in result.anomalies if each.name == "incompatible-order")
    view = versions_view(lost, by_index, transaction_labels(lost, by_index))

    assert view is not None
    assert view.place == 61
    assert [row.label for row in view.rows] == ["T2", "T3"]
    for row, odd in zip(view.rows, ("1", "2"), strict=True):
        assert [each.text for each in row.elements if each.is_odd] == [odd]
        assert row.before == 60 - AROUND
        assert len(row.elements) == AROUND + 1


def test_an_element_that_differs_is_marked_by_more_than_its_colour() -> None:
    page = _page(LOST)

    assert page.count("<mark>1</mark>") == page.count("<mark>2</mark>") == 1
    assert re.search(r"\.versions mark \{[^}]*border: 2px solid", page)


def test_an_element_that_looks_like_markup_is_text() -> None:
    page = _page("""
        0 0-1 ok append x "<b>"
        1 2-3 ok r x ["<b>"]
        2 4-5 ok r x ["<i>"]
    """)

    assert "<mark>&#34;&lt;b&gt;&#34;</mark>" in page
    assert "<b>&#34;" not in page


def test_transactions_that_show_one_cause_are_counted_in_its_row() -> None:
    headline = _headlines("""
        0 0-1 ok r x [], append x 1
        1 0-1 ok r x [], append x 2
        2 0-1 ok r x [], append x 3
        3 2-3 ok r x [1 2 3]
    """)["lost-update"]

    (row,) = headline.rows
    assert headline.title == "2 updates were lost"
    assert (headline.columns[-1], row.cells[-1]) == ("Transactions", "2")
    assert headline.note == "They have 1 cause."


def test_a_name_of_the_literature_is_explained_without_a_cycle_too() -> None:
    found = _headlines("""
        0 0-1 fail append x 1
        1 2-3 ok r x [1]
    """)

    assert dict(found["G1a"].words)["G1a"].startswith("Aborted read")
    assert _headlines(LOST)["incompatible-order"].words == ()


def test_the_others_that_lack_the_element_are_a_click_away() -> None:
    page = _page(LOST)

    assert "2 more transactions with the same wrong answer" in page
    assert "are linked here" not in page, "all of them are linked"


def test_words_of_the_literature_are_explained_where_they_stand_first() -> None:
    found = _headlines("""
        0 0-1 ok append x 1, r y [1]
        1 0-1 ok append y 1, r x [1]
        2 2-3 ok append z 1, append z 2
        3 2-3 ok r z [1]
    """)

    words = dict(found["G1c"].words)
    assert set(words) >= {"G1c", "wr"}
    assert words["G1c"].startswith("Circular information flow")
    assert all("wr" not in dict(each.words) for each in found.values() if each.name != "G1c")


def test_bars_have_the_names_that_the_sentences_use() -> None:
    labels = re.findall(r'class="op-bar[^>]*><span>(T\d)', _page(LOST))

    assert labels[:3] == ["T1", "T2", "T3"]


def test_the_window_of_messages_shows_the_append_that_was_lost() -> None:
    read, result = _judged(LOST)
    (lost,) = (each for each in result.anomalies if each.name == "incompatible-order")
    messages = tuple(
        Message(at_ns, at_ns + 1, "n1", "n2", "AppendEntries", 1, "")
        for at_ns in range(0, 9_000_000_000, 20_000_000)
    )
    simulation = Simulation(("n1", "n2"), messages, (), (), ())
    span = span_of(lost, None, simulation, operations_by_index(read), end_ns=9_000_000_000)

    append, *_ = read.operations
    assert append.completion is not None
    assert span.start_ns <= append.invocation.time
    assert append.completion.time <= span.end_ns < 2_000_000_000
    assert "the write that was lost" in span.what
    assert sum(span.start_ns <= each.start_ns <= span.end_ns for each in messages) < 1.3 * (
        TELLING_SHOWN_MAX
    )
    assert set(span.guilty) == {operation.invocation.index for operation in read.operations[:3]}


def test_a_cycle_of_transactions_that_were_told_before_says_so() -> None:
    found = _headlines("""
        0 0-1 ok r x [], append x 1
        1 0-1 ok r x [], append x 2
        2 2-3 ok r x [1 2]
    """)

    assert found["lost-update"].note == ""
    assert found["G-single"].note == (
        "It joins the same transactions as an anomaly above: one cause, seen in two ways."
    )


SMALLEST = tomllib.loads(
    (Path(__file__).parents[1] / "checkers" / "transactions" / "smallest.toml").read_text()
)
SHORT = re.compile(r"\bT\d+\b")


@pytest.mark.parametrize("model", ["strict-serializable", "read-atomic", "causal"])
@pytest.mark.parametrize("name", SMALLEST)
def test_drawings_name_transactions_as_the_sentences_do(name: str, model: str) -> None:
    case = SMALLEST[name]
    of_case = recorded(case["history"], rules=case["rules"])
    by_index = operations_by_index(of_case)

    for anomaly in Transactions(case["rules"], model)(of_case, Budget()).anomalies:
        labels = transaction_labels(anomaly, by_index)
        for edge in anomaly.cycle:
            assert {labels[edge.source], labels[edge.target]} <= set(SHORT.findall(edge.text))
        for step in anomaly.steps:
            label, colon, _ = step.text.partition(":")
            if colon and SHORT.fullmatch(label):
                assert labels[step.indices[0]] == label, step.text


def test_drawings_of_rows_name_transactions_as_the_sentences_do() -> None:
    def micros(row: int, found: object, inserted: object) -> list[object]:
        return [["select", 0, [2, 0], found], ["insert", 0, [row, 10 * row], inserted]]

    of_rows = History(
        [
            Event(0, 0, 1, Type.INVOKE, "rows", micros(2, None, None)),
            Event(1, 10, 0, Type.INVOKE, "rows", micros(1, None, None)),
            Event(2, 20, 0, Type.OK, "rows", micros(1, [], True)),
            Event(3, 30, 1, Type.OK, "rows", micros(2, [], True)),
        ]
    )
    (skew,) = Rows()(of_rows, Budget()).anomalies
    labels = transaction_labels(skew, operations_by_index(of_rows))

    assert labels == {0: "T1", 1: "T2"}
    assert skew.cycle[0].source == 0
    for edge in skew.cycle:
        assert {labels[edge.source], labels[edge.target]} <= set(SHORT.findall(edge.text))
