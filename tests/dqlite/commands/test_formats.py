"""How rows are shown: nothing steers a terminal, JSON and CSV lose nothing."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.commands.formats import Format, format_rows, printable
from dqlite.values import Iso8601, UnixTime, Value

COLUMNS = ("n", "t", "n")
ROWS: tuple[tuple[Value, ...], ...] = (
    (1, "one", None),
    (-22, "zwei|2", 1.5),
    (True, b"\x00\xff", Iso8601("2024-01-02")),
)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=9),
    st.builds(UnixTime, st.integers(0, 2**40)),
)


def shown(format: Format, **options: bool) -> str:  # noqa: A002 - the field's word
    return "\n".join(format_rows(format, COLUMNS, ROWS, **options))


def test_pipe_is_what_shells_of_sqlite_print() -> None:
    assert shown(Format.PIPE) == "1|one|\n-22|zwei|2|1.5\ntrue|X'00FF'|2024-01-02"


def test_table_has_a_header_and_numbers_at_the_right() -> None:
    assert shown(Format.TABLE).splitlines() == [
        "n     t        n",
        "----  -------  ----------",
        "   1  one      NULL",
        " -22  zwei|2          1.5",
        "true  X'00FF'  2024-01-02",
    ]


def test_table_aligns_wide_characters() -> None:
    lines = list(format_rows(Format.TABLE, ("a", "b"), (("日本", "x"), ("abcd", "y"))))

    assert lines[2:] == ["日本  x", "abcd  y"]


def test_json_names_equal_columns_apart() -> None:
    assert json.loads(shown(Format.JSON)) == [
        {"n": 1, "t": "one", "n:1": None},
        {"n": -22, "t": "zwei|2", "n:1": 1.5},
        {"n": True, "t": {"hex": "00ff"}, "n:1": "2024-01-02"},
    ]


def test_csv_has_a_header() -> None:
    assert shown(Format.CSV).splitlines()[:2] == ["n,t,n", "1,one,"]


def test_infinity_in_json_is_a_number() -> None:
    (line,) = format_rows(Format.JSON, ("x",), ((math.inf,),))

    assert json.loads(line) == [{"x": math.inf}]


@pytest.mark.parametrize("format", list(Format))
def test_result_without_columns_shows_nothing(format: Format) -> None:  # noqa: A002
    assert list(format_rows(format, (), ())) == []


@pytest.mark.parametrize("format", list(Format))
@given(st.lists(st.tuples(values, values), max_size=5), st.text())
def test_no_value_steers_a_terminal(
    format: Format,  # noqa: A002
    rows: list[tuple[Value, Value]],
    column: str,
) -> None:
    for line in format_rows(format, (column, "b"), rows):
        assert all(part.isprintable() for part in line.split("\n"))


@given(st.lists(st.tuples(values, values), max_size=5))
def test_json_reads_as_the_values(rows: list[tuple[Value, Value]]) -> None:
    read = json.loads("\n".join(format_rows(Format.JSON, ("a", "b"), rows)))

    def plain(value: Value) -> object:
        match value:
            case bytes():
                return {"hex": value.hex()}
            case UnixTime():
                return value.seconds
            case _:
                return value

    assert read == [{"a": plain(a), "b": plain(b)} for a, b in rows]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_exact_csv_reads_as_the_texts(rows: list[tuple[str, str]]) -> None:
    text = "\r\n".join(format_rows(Format.CSV, ("a", "b"), rows, is_exact=True))

    if not any("\0" in each for row in rows for each in row):  # the reader takes no NUL
        assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [list(row) for row in rows]


def test_what_is_kept_stays() -> None:
    assert printable("a\n\x1b[31m\tb", keep="\n") == "a\n\\x1b[31m\\tb"
