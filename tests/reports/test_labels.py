"""How operations, values and times are written."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.history import Event, Operation, Type
from dissever.reports.labels import (
    VALUE_CHARACTERS_MAX,
    duration_text,
    error_text,
    label,
    value_text,
)


def operation(f: str, asked: Any, kind: Type | None, answer: Any = None) -> Operation:
    invocation = Event(0, 0, 0, Type.INVOKE, f, asked)
    return Operation(invocation, Event(1, 1, 0, kind, f, answer) if kind else None)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (operation("write", 41, Type.OK, 41), "write 41"),
        (operation("write", 41, Type.OK), "write 41"),
        (operation("read", None, Type.OK, 17), "read → 17"),
        (operation("read", None, Type.OK), "read → none"),
        (operation("read", None, Type.INFO), "read · info"),
        (operation("read", None, None), "read · info"),
        (operation("write", 41, Type.FAIL, 41), "write 41 · fail"),
        (operation("cas", [3, 4], Type.OK, [3, 4]), "cas 3→4"),
        (operation("read", None, Type.OK, [1, 2]), "read → [1, 2]"),
        (operation("transfer", ["a", "b", 5], Type.OK), "transfer [\"a\", \"b\", 5]"),
        (
            operation("txn", [["r", 1, None], ["append", 2, 6]], Type.OK,
                      [["r", 1, [4, 5]], ["append", 2, 6]]),
            "txn r 1 [4, 5], append 2 6",
        ),
        (operation("txn", [["r", 1, None]], Type.INFO), "txn r 1 · info"),
    ],
)  # fmt: skip
def test_label_shows_question_and_answer(asked: Operation, expected: str) -> None:
    assert label(asked) == expected


def test_long_value_is_cut() -> None:
    text = value_text("read", list(range(1000)))

    assert len(text) == VALUE_CHARACTERS_MAX
    assert text.endswith("…")


def test_value_that_is_no_json_does_not_break_a_report() -> None:
    assert value_text("read", {1, 2}).strip('"') == "{1, 2}"


def test_errors_are_a_class_and_what_came() -> None:
    assert error_text(["timeout", "no answer"]) == "timeout: no answer"
    assert error_text("refused") == "refused"
    assert error_text(None) == ""


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (0, "0 s"), (999, "999 ns"), (340_000, "340 µs"), (1_230_000, "1.23 ms"),
        (12_340_000_000, "12.3 s"), (200_000_000_000, "3 min 20 s"),
    ],
)  # fmt: skip
def test_durations_have_three_digits(duration_ns: int, expected: str) -> None:
    assert duration_text(duration_ns) == expected
