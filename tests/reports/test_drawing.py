"""Lanes, the folded axis of time and the window around an anomaly."""

from __future__ import annotations

from msgspec import structs

from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Anomaly
from dissever.reports.drawn import Drawn, drawn
from dissever.reports.excerpt import OPERATIONS_MAX, PLOT_LEFT, PLOT_RIGHT, excerpt, fold, position
from dissever.reports.lanes import REUSE_RULE, assign_lanes
from dissever.reports.payload import weigh

MS = 1_000_000


def operations(*spans: tuple[int, int, int], kind: Type = Type.OK) -> tuple[Operation, ...]:
    """Operations (process, start, end) that may end out of order."""
    return tuple(
        Operation(
            Event(2 * i, start, process, Type.INVOKE, "write", i, node="n1"),
            Event(2 * i + 1, end, process, kind, "write", i, node="n1"),
        )
        for i, (process, start, end) in enumerate(spans)
    )


def spans(*each: tuple[int, int, int]) -> Drawn:
    """The same operations as the page draws them, where 1 is a µs."""
    events = [
        event
        for operation in operations(*((p, start * 1000, end * 1000) for p, start, end in each))
        for event in (operation.invocation, operation.completion)
        if event is not None
    ]
    events.sort(key=lambda event: event.time)
    renumbered = (structs.replace(event, index=index) for index, event in enumerate(events))
    return drawn(History(renumbered))


def test_process_after_an_info_stays_in_the_lane_of_its_worker() -> None:
    lanes = assign_lanes(spans((0, 0, 5), (1, 0, 9), (10, 6, 8)), workers=10)

    assert list(lanes.of) == [0, 1, 0]
    assert lanes.count == 10


def test_history_from_elsewhere_reuses_free_lanes() -> None:
    lanes = assign_lanes(spans((0, 0, 5), (2, 3, 9), (4, 6, 8)), workers=2)

    assert list(lanes.of) == [0, 1, 0]
    assert lanes.rule == REUSE_RULE


def test_history_without_operations_has_an_empty_lane() -> None:
    assert assign_lanes(spans(), workers=3).count == 3


def test_even_times_are_to_scale() -> None:
    scale = fold([0, 10, 20, 30])

    assert [segment.is_folded for segment in scale] == [False]
    assert abs(position(scale, 15) - (PLOT_LEFT + PLOT_RIGHT) / 2) < 1e-9


def test_long_quiet_span_is_folded_and_time_still_grows() -> None:
    scale = fold([0, 2 * MS, 5000 * MS, 5003 * MS])

    assert [segment.is_folded for segment in scale] == [False, True, False]
    positions = [position(scale, time) for time in (0, 2 * MS, 4000 * MS, 5000 * MS, 5003 * MS)]
    assert positions == sorted(positions)
    assert abs(positions[-1] - PLOT_RIGHT) < 1e-9


def test_one_moment_has_a_place() -> None:
    assert position(fold([5]), 5) == PLOT_LEFT
    assert position(fold([]), 0) == PLOT_LEFT


def test_window_has_a_lane_per_process_and_rings_the_guilty() -> None:
    shown = operations((0, 0, 5 * MS), (3, 2 * MS, 9 * MS))
    anomaly = Anomaly(name="stale-read", summary="", indices=(3,))
    window = excerpt(anomaly, shown, (), end_ns=9 * MS)

    assert window is not None
    assert [(lane.name, lane.node) for lane in window.lanes] == [("0", "n1"), ("3", "n1")]
    assert [lane.bars[0].is_guilty for lane in window.lanes] == [False, True]


def test_labels_that_would_collide_stand_in_rows_of_their_own() -> None:
    shown = operations(*[(0, i * MS, i * MS + 1) for i in range(40)])
    window = excerpt(Anomaly(name="x", summary="", indices=()), shown, (), end_ns=40 * MS)

    assert window is not None
    assert window.lanes[0].rows > 1


def test_window_too_full_keeps_the_guilty_and_says_what_it_left_out() -> None:
    shown = operations(*[(i, i * MS, i * MS + 1) for i in range(OPERATIONS_MAX + 40)])
    window = excerpt(Anomaly(name="x", summary="", indices=(0, 197)), shown, (), end_ns=200 * MS)

    assert window is not None
    assert window.omitted == 40
    guilty = [bar.index for lane in window.lanes for bar in lane.bars if bar.is_guilty]
    assert guilty == [0, 196]


def test_anomaly_without_operations_has_no_window() -> None:
    assert excerpt(Anomaly(name="x", summary="", indices=()), (), (), end_ns=0) is None


def test_thinning_keeps_what_is_named_and_the_sum_of_weights() -> None:
    shown = spans(*[(i, i, i + 1) for i in range(1000)])
    weights = weigh(shown, frozenset({7}), 100)

    assert weights[3] >= 1
    assert 50 <= sum(1 for weight in weights if weight) <= 102
    assert abs(sum(weights) - 1000) <= 20


def test_run_that_fits_is_not_thinned() -> None:
    assert weigh(spans((0, 0, 1)), frozenset(), 10) == [1]


def test_operation_without_a_completion_lasts_to_the_end() -> None:
    history = History((Event(0, 5, 0, Type.INVOKE, "write", 1),))
    window = excerpt(Anomaly(name="x", summary="", indices=(0,)), history.operations, (), end_ns=20)

    assert window is not None
    assert window.lanes[0].bars[0].outcome == "info"
