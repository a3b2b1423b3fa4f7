"""The faults that an anomaly's explanation mentions."""

from __future__ import annotations

from dataclasses import replace

from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly
from dissever.reports.anomaly_view import meanwhile, operations_by_index
from dissever.reports.around import brief, phrases

S = 1_000_000_000
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
    assert before == "pause (n3) from 1.000 s to 3.000 s, healed before it"


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
