"""How people write durations."""

from __future__ import annotations

import pytest

from dissever.harness.durations import check_seconds, seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1m500ms", 60.5),
        ("1.5h", 5400),
        ("1d12h", 129_600),
        ("2w", 1_209_600),
        ("0.5", 0.5),
        ("1e3", 1000),
        (" 2s ", 2),
        ("0", 0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, number: float) -> None:
    assert seconds(text) == pytest.approx(number)


@pytest.mark.parametrize(
    "text",
    ["", "s", "5x", "5 m", "5M", "30m1h", "1s2s", "-5m", "nan", "inf", "m5", "1h30", "9" * 400],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration such as 90, 90s, 5m, .*, got '"):
        seconds(text)


def test_a_duration_out_of_its_range_names_the_range() -> None:
    with pytest.raises(ValueError, match=r"^expected a duration from 0\.5 to 3,600 seconds, such"):
        check_seconds("2h", 0.5, 3600)


def test_the_ends_of_a_range_are_in_it() -> None:
    assert (check_seconds("1h", 0.5, 3600), check_seconds("500ms", 0.5, 3600)) == (3600, 0.5)
