"""Faults from injection to healing."""

from __future__ import annotations

from typing import Any

from dissever.harness.history import Event, History, Type
from dissever.reports import Faults, pair_faults
from dissever.reports.bands import evidence, targets


def faults(*steps: tuple[int, str, str, Any] | tuple[int, str, str]) -> Faults:
    """Operations (time, process, f, value) that complete one ns after they were asked for."""
    events: list[Event] = []
    for time, process, f, *value in steps:
        events.append(Event(len(events), time, process, Type.INVOKE, f))
        events.append(Event(len(events), time + 1, process, Type.INFO, f, *value))
    return pair_faults(History(tuple(events)).faults, end_ns=1000)


def spans(found: Faults) -> list[tuple[str, int, int]]:
    return [(band.fault, band.start_ns, band.end_ns) for band in found.bands]


def test_band_lasts_from_the_completed_injection_to_the_completed_healing() -> None:
    found = faults((10, "partition", "start-partition"), (50, "partition", "stop-partition"))

    assert spans(found) == [("partition", 11, 51)]
    assert found.marks == ()


def test_band_that_nothing_heals_lasts_to_the_end() -> None:
    found = faults((10, "kill", "kill"))

    assert spans(found) == [("kill", 11, 1000)]
    assert found.bands[0].healing is None


def test_healing_of_another_process_does_not_end_a_band() -> None:
    found = faults((10, "kill", "kill"), (20, "pause", "resume"), (30, "kill", "start"))

    assert spans(found) == [("kill", 11, 31)]
    assert [mark.operation.f for mark in found.marks] == ["resume"]


def test_one_healing_ends_every_open_band_of_its_process() -> None:
    found = faults((10, "kill", "kill"), (20, "kill", "kill"), (30, "kill", "start"))

    assert spans(found) == [("kill", 11, 31), ("kill", 21, 31)]


def test_faults_of_two_processes_overlap() -> None:
    found = faults(
        (10, "kill", "kill"),
        (20, "pause", "pause"),
        (30, "kill", "start"),
        (40, "pause", "resume"),
    )

    assert spans(found) == [("kill", 11, 31), ("pause", 21, 41)]
    assert found.kinds == ("kill", "pause")


def test_unknown_f_is_a_mark() -> None:
    found = faults(
        (10, "deposed-leader", "start-deposed-leader"),
        (20, "deposed-leader", "resume-deposed-leader"),
        (30, "deposed-leader", "stop-deposed-leader"),
    )

    assert spans(found) == [("deposed-leader", 11, 31)]
    assert [mark.time_ns for mark in found.marks] == [21]


def test_injection_that_struck_nobody_is_a_mark() -> None:
    aimless = {"targets": [], "evidence": {"held": None, "nodes": {}}}
    found = faults((10, "kill", "kill", aimless))

    assert found.bands == ()
    assert [mark.operation.f for mark in found.marks] == ["kill"]


def test_injection_that_was_never_completed_starts_when_it_was_asked_for() -> None:
    history = History((Event(0, 7, "kill", Type.INVOKE, "kill"),))

    assert spans(pair_faults(history.faults, end_ns=9)) == [("kill", 7, 9)]


def test_injection_that_failed_for_certain_is_a_mark() -> None:
    events = (Event(0, 1, "kill", Type.INVOKE, "kill"), Event(1, 2, "kill", Type.FAIL, "kill"))

    assert pair_faults(History(events).faults, end_ns=9).bands == ()


def test_targets_and_evidence_come_from_the_completion() -> None:
    told = {"targets": ["n1", "n2"], "evidence": {"held": True}}
    (band,) = faults((10, "kill", "kill", told)).bands

    assert targets(band.injection) == ("n1", "n2")
    assert evidence(band.injection) == {"held": True}


def test_values_of_other_shapes_name_no_targets_and_no_evidence() -> None:
    for value in (None, 5, "n1", ["n1"], {"evidence": True}):
        (band,) = faults((10, "kill", "kill", value)).bands

        assert targets(band.injection) == ()
        assert evidence(band.injection) is None
