"""Options that a system or a workload declares: defaults, limits, and what is refused."""

from __future__ import annotations

import pytest

from dissever.harness.options import Option, checked_options

DECLARED = {
    "mode": Option("how", default="fast", choices=("fast", "safe")),
    "size": Option("how many", default=3, least=1, most=9),
    "path": Option("where"),
}


def test_every_option_has_a_value() -> None:
    assert checked_options("toy", DECLARED, {}) == {"mode": "fast", "size": 3, "path": None}


def test_a_number_may_come_as_text_and_a_text_as_a_number() -> None:
    given = checked_options("toy", DECLARED, {"size": "9", "path": 7})

    assert (given["size"], given["path"]) == (9, "7")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"mood": "fast"},
            "expected an option of toy out of mode, size, path, got 'mood'; did you",
        ),
        ({"mode": "fasd"}, "expected a mode out of fast, safe, got 'fasd'; did you mean fast?"),
        ({"size": 10}, "expected size from 1 to 9, got 10"),
        ({"size": "big"}, "expected size from 1 to 9, got 'big'"),
        ({"size": -1}, "expected size from 1 to 9, got -1"),
    ],
)
def test_what_is_wrong_is_one_line(given: dict[str, str | int], message: str) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        checked_options("toy", DECLARED, given)

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_an_owner_without_options_takes_none() -> None:
    with pytest.raises(ValueError, match="expected an option of toy out of none, got 'size'"):
        checked_options("toy", {}, {"size": 1})
