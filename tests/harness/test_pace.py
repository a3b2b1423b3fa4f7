"""The rate that a run reaches, and what would help where it is less than asked for."""

from __future__ import annotations

import pytest

from dissever.harness.history import Event, Type
from dissever.harness.pace import Pace
from dissever.harness.plan import Options

MS = 1_000_000


def lack(*, asked: float, every_ms: int, takes_ms: int, for_s: int = 10, limit_s: int = 30) -> str:
    """What is said after some seconds of operations by 10 clients of 5 nodes."""
    options = Options(system="", workload="", rate=asked, time_limit_s=limit_s)
    pace = Pace(options)
    starts = range(0, for_s * 1000, every_ms)
    moments = [(at, Type.INVOKE) for at in starts] + [(at + takes_ms, Type.OK) for at in starts]
    for index, (at, type_) in enumerate(sorted(moments, key=lambda each: each[0])):
        pace.hear(Event(index, at * MS, 1, type_, "read"))
    return pace.lack


def test_a_rate_as_asked_says_nothing() -> None:
    assert lack(asked=200, every_ms=5, takes_ms=40) == ""


def test_a_rate_a_little_below_says_nothing() -> None:
    assert lack(asked=220, every_ms=5, takes_ms=40) == ""


def test_busy_clients_are_told_how_many_would_do() -> None:
    # 100 a second of 90 ms keep 9 of 10 clients busy: 300 a second need 27, and some to spare.
    assert lack(asked=300, every_ms=10, takes_ms=90) == (
        "rate 99/s of 300 asked: clients are busy; use --concurrency 35"
    )


def test_clients_that_are_free_are_not_blamed() -> None:
    assert lack(asked=300, every_ms=10, takes_ms=20) == "rate 100/s of 300 asked"


@pytest.mark.parametrize("for_s", [1, 2])
def test_the_first_moments_say_nothing(for_s: int) -> None:
    assert lack(asked=300, every_ms=10, takes_ms=20, for_s=for_s) == ""


def test_time_after_the_limit_does_not_count() -> None:
    options = Options(system="", workload="", rate=10, time_limit_s=10)
    pace = Pace(options)
    for second in range(10):
        for tenth in range(10):
            at = (second * 10 + tenth) * 100 * MS
            pace.hear(Event(0, at, 1, Type.INVOKE, "read"))
            pace.hear(Event(0, at, 1, Type.OK, "read"))
    pace.hear(Event(0, 60_000 * MS, "recovery", Type.INVOKE, "await-ready"))

    assert pace.lack == ""
