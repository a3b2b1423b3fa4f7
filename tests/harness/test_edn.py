"""EDN as it is found in histories."""

from __future__ import annotations

import pytest

from dissever.harness.edn import EdnError, Keyword, Symbol, read_forms, write


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("nil", None),
        ("true", True),
        ("-12", -12),
        ("7N", 7),
        ("1.5e3", 1500.0),
        ("2.50M", 2.5),
        ("1/4", 0.25),
        (":a/b", Keyword("a/b")),
        ("foo", Symbol("foo")),
        (r'"a \"b\" \n"', 'a "b" \n'),
        (r"\newline", "\n"),
        (r"\a", "a"),
        ("[1, 2 ; three\n 4]", [1, 2, 4]),
        ("(1 2)", [1, 2]),
        ("#{1 2}", [1, 2]),
        ("{:a 1 :b [nil]}", {"a": 1, "b": [None]}),
        ('#inst "2020"', "2020"),
        ("#jepsen.history.Op{:index 0}", {"index": 0}),
        ("[1 #_ 2 3]", [1, 3]),
    ],
)
def test_forms_are_read(text: str, form: object) -> None:
    assert [each for each, _ in read_forms(text)] == [form]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("[1\n 2", 1, 1),
        ("\n ]", 2, 2),
        ("{:a}", 1, 1),
        ("{[1] 2}", 1, 1),
        ("[1 }", 1, 4),
        ('"abc', 1, 1),
        ("12x", 1, 1),
        ("[" * 200, 1, 102),
    ],
)
def test_error_names_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(EdnError) as caught:
        list(read_forms(text))

    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -1.5,
        'a "b"\n',
        Keyword("k"),
        [1, [2, None]],
        {Keyword("a"): {"b": [False]}},
    ],
)
def test_what_is_written_reads_the_same(value: object) -> None:
    assert [each for each, _ in read_forms(write(value))] == [value]
