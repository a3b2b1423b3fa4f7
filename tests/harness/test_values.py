"""What a message shows of values, texts, errors and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.values import SHOWN_CHARS_MAX, count_text, listed, plain, quoted, reason


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("n1", "'n1'"),
        ("é", "'é'"),
        ("\x1b[2J\u202e", r"'\x1b[2J\u202e'"),
        ("two\nlines", r"'two\nlines'"),
        (["\x9b", 1.5, None], r"['\x9b', 1.5, None]"),
    ],
)
def test_what_came_is_quoted_on_one_line(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_name_in_a_list_has_no_quotes_and_drives_no_terminal() -> None:
    assert plain("n1") == "n1"
    assert plain("n\x1b1") == r"n\x1b1"


@pytest.mark.parametrize("show", [quoted, plain])
def test_long_value_is_cut(show: Any) -> None:
    text = show("x" * 1000)

    assert len(text) == SHOWN_CHARS_MAX
    assert text.endswith("x…")


def test_error_without_a_message_has_a_name() -> None:
    assert reason(TimeoutError()) == "TimeoutError"
    assert reason(TimeoutError("too late")) == "too late"


def test_numbers_of_things_are_in_words() -> None:
    assert count_text(1, "anomaly") == "1 anomaly"
    assert count_text(2, "anomaly") == "2 anomalies"
    assert count_text(5000, "operation") == "5,000 operations"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, ""),
        (1, "n1"),
        (3, "n1, n2, n3"),
        (4, "n1, n2, n3 and 1 more"),
        (1203, "n1, n2, n3 and 1,200 more"),
    ],
)
def test_a_list_in_a_message_shows_three_elements(count: int, text: str) -> None:
    assert listed(f"n{number}" for number in range(1, count + 1)) == text


def test_a_list_of_lists_can_be_read() -> None:
    assert listed(["kill n1", "pause n2", "slow n1, n2", "stop n3"], "; ") == (
        "kill n1; pause n2; slow n1, n2; and 1 more"
    )
