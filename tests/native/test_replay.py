"""The replay of serial orders in C: each flaw by itself, and against the validator in Python."""

from __future__ import annotations

from array import array
from random import Random
from typing import Any

import pytest

from dissever.checkers.transactions.validation import refute_order
from dissever.harness.history import Event, History, Type
from dissever.native.replay import refute_replay

Made = tuple[int, int, int, str, list[list[Any]]]
"""A process, two times in seconds, how it ended, and micro-operations with their answers."""


def history(*made: Made) -> History:
    """Events in the order of their times, an invocation before a completion of the same time."""
    events = []
    for process, asked, answered, ending, micro in made:
        silent = [[f, key, None if f == "r" else value] for f, key, value in micro]
        events.append((asked, 0, process, "invoke", silent))
        events.append((answered, 1, process, ending, micro if ending == "ok" else silent))
    return History(
        Event(index, time * 10**9, process, Type(kind), "txn", value)
        for index, (time, _, process, kind, value) in enumerate(sorted(events, key=lambda e: e[:3]))
    )


def refuted(
    of: History, *order: int, append: bool = True, process: bool = False, realtime: bool = False
) -> str | None:
    return refute_replay(
        of.micro, array("i", order), is_append=append, process=process, realtime=realtime
    )


LISTS = history(
    (0, 0, 1, "ok", [["append", "x", 1], ["r", "x", [1]]]),
    (0, 2, 3, "ok", [["r", "x", [1]], ["append", "x", 2]]),
    (1, 2, 5, "ok", [["r", "x", [1, 2]], ["r", "y", []]]),
    (2, 6, 7, "fail", [["append", "x", 3]]),
    (3, 6, 7, "info", [["append", "y", 3]]),
)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 2, 4)])
def test_an_order_that_explains_every_answer_holds(order: tuple[int, ...]) -> None:
    assert refuted(LISTS, *order, process=True, realtime=True) is None


@pytest.mark.parametrize(
    ("order", "flaw"),
    [
        ((0, 1), "event 3 is ok, and is missing in the order"),
        ((0, 1, 2, 2), "event 3 stands twice in the order, or is no transaction"),
        ((0, 1, 2, 5), "row 5 stands twice in the order, or is no transaction"),
        ((0, 1, 2, -1), "row -1 stands twice in the order, or is no transaction"),
        ((0, 1, 2, 3), "event 6 failed, and stands in the order"),
        ((0, 2, 1), "event 3 read something else than its key holds by then"),
        ((4, 0, 1, 2), "event 3 read something else than its key holds by then"),
    ],
)
def test_an_order_with_a_flaw_is_refuted(order: tuple[int, ...], flaw: str) -> None:
    assert refuted(LISTS, *order) == f"the transaction of {flaw}"


def test_a_process_and_real_time_are_kept_only_where_they_must_be() -> None:
    stale = history(
        (0, 0, 1, "ok", [["w", "x", 1]]),
        (0, 2, 3, "ok", [["r", "x", None]]),
    )

    assert refuted(stale, 1, 0, append=False) is None
    assert "its process made later" in str(refuted(stale, 1, 0, append=False, process=True))
    assert "answered before it began" in str(refuted(stale, 1, 0, append=False, realtime=True))


def test_events_of_one_time_are_concurrent() -> None:
    touching = history(
        (0, 0, 1, "ok", [["w", "x", 1]]),
        (1, 1, 3, "ok", [["r", "x", None]]),
    )

    assert refuted(touching, 1, 0, append=False, realtime=True) is None


def test_what_nobody_answered_has_no_successors() -> None:
    unknown = history(
        (0, 0, 1, "info", [["append", "x", 1]]),
        (1, 2, 3, "ok", [["r", "x", []]]),
        (1, 4, 5, "ok", [["r", "x", [1]]]),
    )

    assert refuted(unknown, 1, 0, 2, process=True, realtime=True) is None


def test_other_micro_operations_are_refused() -> None:
    with pytest.raises(ValueError, match="contradict"):
        refuted(history((0, 0, 1, "ok", [["w", "x", 1]])), 0, append=True)


def _random(rng: Random, *, append: bool) -> tuple[History, list[int]]:
    """A serial execution with overlapping times, now and then with a wrong answer; its order."""
    state: dict[int, Any] = {}
    made: list[Made] = []
    for number in range(rng.randint(1, 7)):
        micro: list[list[Any]] = []
        ending = rng.choice(["ok", "ok", "ok", "info", "fail"])
        for place in range(rng.randint(1, 3)):
            key, value = rng.randrange(2), number * 10 + place
            held = state.get(key, [] if append else None)
            if rng.random() < 0.5:
                micro.append(["r", key, list(held) if append else held])
            else:
                micro.append(["append" if append else "w", key, value])
                if ending != "fail":
                    state[key] = [*held, value] if append else value
        if rng.random() < 0.1 and micro[0][0] == "r":
            micro[0][2] = [99] if append else 99
        made.append((number, number, number + rng.randint(1, 4), ending, micro))
    order = [at for at, each in enumerate(made) if each[3] != "fail"]
    return history(*made), order


@pytest.mark.parametrize("append", [True, False])
def test_it_agrees_with_the_validator(append: bool) -> None:
    rng = Random(12)
    refusals = 0
    for _ in range(300):
        of, order = _random(rng, append=append)
        if rng.random() < 0.5:
            rng.shuffle(order)
        if rng.random() < 0.1 and order:
            order.pop()
        starts = of.columns.inv
        for model, process, realtime in (
            ("serializable", False, False),
            ("strong-session-serializable", True, False),
            ("strict-serializable", True, True),
        ):
            wanted = refute_order(
                of, [starts[row] for row in order], model=model, rules="append" if append else "wr"
            )
            found = refuted(of, *order, append=append, process=process, realtime=realtime)
            assert (found is None) == (wanted is None), (model, found, wanted, of.events, order)
            refusals += found is not None

    assert 200 < refusals < 800
