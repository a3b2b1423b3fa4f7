"""Counts, availability, latencies and recovery, each on a history small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import Stats
from dissever.harness.episodes import Action, Role
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]

RUN = """
    @0   0 invoke write 1
    @10  0 ok     write 1
    @20  partition invoke start-partition
    @30  partition info   start-partition {'evidence': {'held': True}}
    @40  0 invoke write 2
    @60  1 invoke read
    @90  0 fail   write 2
    @95  1 ok     read  1
    @100 partition invoke stop-partition
    @110 partition info   stop-partition {'evidence': {'healed': True}}
    @120 0 invoke write 3
    @150 0 ok     write 3
"""


def test_counts_and_latencies_are_by_f(history: Notation) -> None:
    details = Stats()(history(RUN), Budget()).details

    assert (details["count"], details["ok"], details["fail"], details["info"]) == (4, 3, 1, 0)
    assert details["by_f"]["write"]["availability"] == pytest.approx(0.6667)
    assert details["by_f"]["write"]["latency_ms"] == {
        "p50": 10.0,
        "p95": 30.0,
        "p99": 30.0,
        "max": 30.0,
    }


def test_windows_tell_availability_and_recovery(history: Notation) -> None:
    details = Stats()(history(RUN), Budget()).details

    assert details["windows"] == [
        {
            "nemesis": "partition",
            "f": "start-partition",
            "start_s": 0.03,
            "end_s": 0.11,
            "is_healed": True,
            "count": 2,
            "ok": 1,
            "fail": 1,
            "info": 0,
            "availability": 0.5,
            "first_ok_after_injection_ms": 65.0,
            "first_ok_after_healing_ms": 40.0,
        }
    ]
    assert details["under_faults"]["count"] == 2


DEPOSED = """
    @10 deposed-leader invoke start-deposed-leader
    @20 deposed-leader info   start-deposed-leader {'targets': ['n1']}
    @30 deposed-leader invoke resume-deposed-leader
    @40 deposed-leader info   resume-deposed-leader {'targets': ['n1']}
    @50 deposed-leader invoke stop-deposed-leader
    @60 deposed-leader info   stop-deposed-leader {'evidence': {'healed': True}}
"""


def test_a_fault_of_three_operations_is_one_window(history: Notation) -> None:
    windows = Stats()(history(DEPOSED), Budget()).details["windows"]

    assert [(each["start_s"], each["end_s"], each["is_healed"]) for each in windows] == [
        (0.02, 0.06, True)
    ]


def test_declared_actions_decide_what_a_window_is(history: Notation) -> None:
    actions = {"deposed-leader": {"resume-deposed-leader": Action(Role.INJECT)}}
    windows = Stats(actions)(history(DEPOSED), Budget()).details["windows"]

    assert [(each["f"], each["is_healed"]) for each in windows] == [
        ("resume-deposed-leader", False)
    ]


def test_f_that_never_succeeded_is_unknown(history: Notation) -> None:
    text = "0 invoke read\n0 ok read 1\n0 invoke write 1\n0 fail write 1"

    result = Stats()(history(text), Budget())

    assert (result.verdict, result.why) == (Verdict.UNKNOWN, "no write succeeded")


def test_nothing_asked_is_unknown(history: Notation) -> None:
    assert Stats()(history(""), Budget()).verdict is Verdict.UNKNOWN


def test_every_f_succeeded_once_is_valid(history: Notation) -> None:
    assert Stats()(history(RUN), Budget()).verdict is Verdict.VALID
