"""A cluster in which nothing succeeds is said to be dead, and only such a one."""

from __future__ import annotations

from dissever.harness.history import Event, Type
from dissever.harness.watch.silence import Silence

NS = 1_000_000_000


def event(at_s: float, type_: Type, process: int | str = 0) -> Event:
    return Event(0, int(at_s * NS), process, type_, "read")


def heard(*events: Event, limit_s: float = 60.0) -> list[bool]:
    silence = Silence(limit_s)
    return [silence.hear(each) for each in events]


def test_a_minute_without_a_success_is_told_once() -> None:
    assert heard(
        event(1, Type.OK), event(60, Type.FAIL), event(61, Type.INFO), event(62, Type.FAIL)
    ) == [False, False, True, False]


def test_a_success_ends_the_silence_and_another_one_is_told_again() -> None:
    assert heard(
        event(61, Type.INFO), event(62, Type.OK), event(90, Type.FAIL), event(122, Type.FAIL)
    ) == [True, False, False, True]


def test_a_run_without_any_success_counts_from_its_beginning() -> None:
    assert heard(event(9, Type.FAIL), event(10, Type.FAIL), limit_s=10) == [False, True]


def test_what_nemeses_do_and_what_is_only_asked_is_no_sign_of_death() -> None:
    assert (
        heard(
            event(100, Type.INFO, "kill"),
            event(100, Type.INVOKE),
            event(100, Type.INFO, "recovery"),
        )
        == [False] * 3
    )
