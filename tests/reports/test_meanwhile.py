"""The faults that an anomaly's explanation mentions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Anomaly
from dissever.reports.anomaly_view import meanwhile, operations_by_index
from dissever.reports.around import brief, phrases
from dissever.reports.excerpt import excerpt

S = 1_000_000_000
END_NS = 100 * S
CUT = {"targets": ["n1", "n2"], "evidence": {"held": True}}
HISTORY = History(
    (
        Event(0, 0 * S, "pause", Type.INVOKE, "pause"),
        Event(1, 1 * S, "pause", Type.INFO, "pause", {"targets": ["n3"]}),
        Event(2, 2 * S, "pause", Type.INVOKE, "resume"),
        Event(3, 3 * S, "pause", Type.INFO, "resume"),
        Event(4, 4 * S, "partition", Type.INVOKE, "start-partition"),
        Event(5, 5 * S, "partition", Type.INFO, "start-partition", CUT),
        Event(6, 6 * S, 0, Type.INVOKE, "read"),
        Event(7, 7 * S, 0, Type.OK, "read", 1),
        Event(8, 8 * S, 1, Type.INVOKE, "read"),
    )
)
BY_INDEX = operations_by_index(HISTORY)
FAULTS = episodes_of(HISTORY)


def test_only_faults_that_overlap_the_guilty_operations_are_named() -> None:
    anomaly = Anomaly(name="stale-read", summary="", indices=(6, 7))

    before, meanwhile_it = meanwhile(anomaly, BY_INDEX, FAULTS)
    assert meanwhile_it == "partition (n1, n2) from 5.000 s to 8.000 s"
    assert before == "pause (n3) from 1.000 s to 3.000 s, healed just before"


def test_a_fault_that_healed_long_before_is_not_named() -> None:
    late = replace(FAULTS, episodes=FAULTS.episodes[:1])
    events = (Event(9, 9 * S, 2, Type.INVOKE, "read"), Event(10, 9 * S, 2, Type.OK, "read", 1))
    later = operations_by_index(History((*HISTORY, *events)))
    anomaly = Anomaly(name="stale-read", summary="", indices=(9,))

    assert meanwhile(anomaly, later, late) == ()


def test_an_anomaly_without_operations_has_no_meanwhile() -> None:
    anomaly = Anomaly(name="assertion", summary="", indices=())

    assert meanwhile(anomaly, BY_INDEX, FAULTS) == ()


def test_fault_that_was_being_injected_is_named_before_it_is_known_to_hold() -> None:
    moment_ns = 4 * S + S // 2

    assert phrases(FAULTS, moment_ns, moment_ns)[-1] == (
        "partition (n1, n2), being injected from 4.000 s to 5.000 s"
    )
    assert brief(FAULTS, moment_ns, moment_ns) == "partition (n1, n2), being injected"


def test_injection_ends_when_the_fault_is_in_force() -> None:
    assert brief(FAULTS, 5 * S, 5 * S) == "partition (n1, n2)"
    assert "being injected" not in brief(FAULTS, 4 * S - 1, 4 * S - 1)


def many() -> tuple[History, dict[int, Operation]]:
    """A write under one fault, seven faults, and a read under none."""
    events: list[Event] = []

    def add(*rest: Any) -> None:
        events.append(Event(len(events), *rest))

    def fault(name: str, start_s: int) -> None:
        add(start_s * S, name, Type.INVOKE, f"start-{name}")
        add(start_s * S, name, Type.INFO, f"start-{name}", {"targets": ["n1"]})
        add((start_s + 2) * S, name, Type.INVOKE, f"stop-{name}")
        add((start_s + 2) * S, name, Type.INFO, f"stop-{name}")

    add(10 * S, "kill", Type.INVOKE, "start-kill")
    add(10 * S, "kill", Type.INFO, "start-kill", {"targets": ["n1"]})
    add(11 * S, 0, Type.INVOKE, "add", 5)
    add(11 * S, 0, Type.OK, "add", 5)
    add(12 * S, "kill", Type.INVOKE, "stop-kill")
    add(12 * S, "kill", Type.INFO, "stop-kill")
    for number in range(7):
        fault("partition" if number % 2 else "pause", 20 + 10 * number)
    add(100 * S, 0, Type.INVOKE, "read")
    add(100 * S, 0, Type.OK, "read", [])
    history = History(tuple(events))
    return history, operations_by_index(history)


def test_of_many_faults_those_that_met_no_guilty_operation_are_counted() -> None:
    history, by_index = many()
    anomaly = Anomaly(name="lost", summary="", indices=(2, len(history) - 1))

    assert meanwhile(anomaly, by_index, episodes_of(history)) == (
        "kill (n1) from 10.000 s to 12.000 s",
        "between these operations pause 4 times, partition 3 times",
    )


def test_window_has_one_lane_of_each_fault() -> None:
    history, _ = many()
    anomaly = Anomaly(name="lost", summary="", indices=(2, len(history) - 1))
    window = excerpt(anomaly, history.operations, episodes_of(history).episodes, end_ns=END_NS)

    assert window is not None
    assert [(lane[0].kind, len(lane)) for lane in window.faults] == [
        ("kill", 1),
        ("pause", 4),
        ("partition", 3),
    ]


def test_window_has_a_lane_more_where_a_fault_is_in_force_twice_at_a_time() -> None:
    history, _ = many()
    anomaly = Anomaly(name="lost", summary="", indices=(2, len(history) - 1))
    twice = [each for each in episodes_of(history).episodes for _ in range(2)]
    window = excerpt(anomaly, history.operations, twice, end_ns=END_NS)

    assert window is not None
    assert [len(lane) for lane in window.faults] == [1, 1, 4, 4, 3, 3]


def test_steps_of_the_end_of_the_run_are_no_faults_in_force() -> None:
    cut = {"targets": ["n3"], "evidence": {"held": True}}
    later = (
        Event(9, 9 * S, "majority-only", Type.INVOKE, "start-majority-only"),
        Event(10, 10 * S, "majority-only", Type.INFO, "start-majority-only", cut),
        Event(11, 12 * S, "majority-only", Type.INVOKE, "stop-majority-only"),
        Event(12, 13 * S, "majority-only", Type.INFO, "stop-majority-only", cut),
    )
    found = episodes_of(History((*later, Event(13, 20 * S, 2, Type.INVOKE, "read"))))

    for moment_ns in (9 * S + 1, 11 * S, 14 * S):
        assert phrases(found, moment_ns, moment_ns) == ()
        assert brief(found, moment_ns, moment_ns) == "none"
