"""The stopwatch of a start: what was waited for, and for how long."""

from __future__ import annotations

from dissever.harness.plan import Start, Waited
from dissever.harness.starts import Stopwatch
from dissever.harness.waiting import Wait, heard, waiting


def test_innermost_wait_counts_and_the_same_wait_is_one() -> None:
    now = [100]
    told: list[Wait | None] = []
    stopwatch = Stopwatch(lambda: now[0], told.append)

    def pass_ns(took_ns: int) -> None:
        now[0] += took_ns

    with heard(stopwatch.hear):
        pass_ns(1)
        with waiting("starting the nodes"):
            pass_ns(2)
            with waiting("waiting for a leader"):
                pass_ns(40)
            pass_ns(3)
        with waiting("waiting for a leader"):
            pass_ns(50)
        stopwatch.stop()
        with waiting("healing"):
            pass_ns(1000)

    waits = (Waited("starting the nodes", 5), Waited("waiting for a leader", 90))
    assert stopwatch.start == Start(96, waits)
    assert told[-2:] == [Wait("healing"), None]


def test_start_that_never_ends_is_none() -> None:
    stopwatch = Stopwatch(lambda: 0, lambda _: None)
    stopwatch.hear(Wait("waiting for a leader"))

    assert stopwatch.start is None
