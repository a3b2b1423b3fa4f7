"""Points of an order lie inside their bars, and never go back."""

from __future__ import annotations

from itertools import pairwise

from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Anomaly, Order
from dissever.reports.anomaly_view import OrderView, main_order, order_views
from dissever.reports.excerpt import excerpt

MS = 1_000_000


def _history(*spans: tuple[int, int, Type]) -> History:
    """A write per span, from and to in ms, each by a process of its own."""
    events = [
        (at, process, kind)
        for process, (start, end, outcome) in enumerate(spans)
        for at, kind in ((start, Type.INVOKE), (end, outcome))
    ]
    events.sort(key=lambda each: each[0])
    return History(
        tuple(
            Event(index, at * MS, process, kind, "write", process)
            for index, (at, process, kind) in enumerate(events)
        )
    )


def _views(history: History, order: Order, *, guilty: tuple[int, ...] = ()) -> list[OrderView]:
    every = history.operations
    anomaly = Anomaly(name="stale-read", summary="", indices=guilty, orders=(order,))
    window = excerpt(anomaly, every, (), end_ns=history.duration_ns)
    assert window is not None
    by_index: dict[int, Operation] = {each.invocation.index: each for each in every}
    return list(order_views(anomaly, window, by_index))


def _order(history: History, *processes: int) -> Order:
    first = {each.process: each.invocation.index for each in history.operations}
    return Order(
        indices=tuple(first[process] for process in processes),
        states=tuple(str(process) for process in processes),
        holds="9",
    )


def test_points_follow_each_other_inside_their_bars() -> None:
    history = _history((0, 90, Type.OK), (10, 30, Type.OK), (20, 80, Type.OK), (70, 95, Type.OK))
    for processes in ((0, 1, 2, 3), (1, 2, 3, 0), (1, 3, 0, 2), (1, 0, 3, 2)):
        (view,) = _views(history, _order(history, *processes))

        lefts = [left for _, _, left in view.points]
        times = {each.invocation.index: each for each in history.operations}
        assert all(one <= other for one, other in pairwise(lefts)), processes
        for index, _, left in view.points:
            operation = times[index]
            assert operation.completion is not None
            start, end = (e.time / MS for e in (operation.invocation, operation.completion))
            # The plot leaves room on both sides: 1.5 % and 6 %.
            assert 1.4 + start * 92.5 / 95 <= left <= 1.6 + end * 92.5 / 95, processes


def test_what_is_unknown_may_take_effect_behind_its_bar() -> None:
    history = _history((0, 10, Type.INFO), (50, 60, Type.OK))
    (view,) = _views(history, _order(history, 1, 0))

    (_, _, first), (_, _, second) = view.points
    assert second >= first > 40


def test_only_the_last_places_of_a_long_order_are_told() -> None:
    history = _history(*((10 * i, 10 * i + 5, Type.OK) for i in range(40)))
    (view,) = _views(history, _order(history, *range(40)))

    assert (view.left_out, len(view.places), view.places[0].number) == (26, 14, 27)
    assert len(view.points) == 40


def test_order_that_a_guilty_operation_ends_is_the_main_one() -> None:
    def order(blocked: int, refused: tuple[int, ...]) -> Order:
        return Order(indices=(0,), states=("0",), holds="0", blocked=blocked, refused=refused)

    def orders(*some: Order) -> Anomaly:
        return Anomaly(name="stale-read", summary="", indices=(4, 5, 8, 9), orders=some)

    other, early, late = order(2, (2,)), order(4, (4,)), order(8, (8,))

    assert main_order(orders(other, early, late)) is late
    assert main_order(orders(other, early, order(8, ()))) is early
    assert main_order(orders(other)) is other
    assert main_order(orders()) is None
