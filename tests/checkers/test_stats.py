"""Counts, availability, latencies and recovery, each on a history small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dissever.checkers import Stats
from dissever.harness.episodes import Action, Actions, Effect, Role
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]

MS = 1_000_000
NO_OTHERS = {"others": 0}
DONE = {"asked": 1, "ok": 1, "answers": 1}

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
            "injection": 2,
            "is_healed": True,
            "count": 2,
            "ok": 1,
            "fail": 1,
            "info": 0,
            "availability": 0.5,
            "ok_before": 1,
            "ok_during": 1,
            "ok_after": 1,
            "first_ok_after_injection_ms": 65.0,
            "first_ok_after_healing_ms": 40.0,
            "around": {
                "before": {**NO_OTHERS, "start_ns": 0, "end_ns": 30 * MS, **DONE, "p50_ns": 10 * MS}
                | {"p99_ns": 10 * MS},
                "during": {**NO_OTHERS, "start_ns": 30 * MS, "end_ns": 110 * MS}
                | {"asked": 2, "ok": 1, "answers": 1, "p50_ns": 35 * MS, "p99_ns": 35 * MS},
                "after": {**NO_OTHERS, "start_ns": 110 * MS, "end_ns": 150 * MS, **DONE}
                | {"p50_ns": 30 * MS, "p99_ns": 30 * MS},
                "first_ok_ns": 65 * MS,
                "recovered_ns": 40 * MS,
                "silence_ns": 65 * MS,
            },
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


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (["nonsense", "expected a whole number, got '5'"], Verdict.UNKNOWN),
        (["program", "expected an answer, got none: it ended with signal 9"], Verdict.VALID),
        (["TimeoutError", "nonsense"], Verdict.VALID),
    ],
)
def test_answer_that_is_none_is_unknown(
    history: Notation, error: list[str], verdict: Verdict
) -> None:
    told = history("0 invoke read\n0 ok read 1\n1 invoke read\n1 info read")
    events = (*told.events[:-1], msgspec.structs.replace(told.events[-1], error=error))

    result = Stats(nodes=("n1",))(History(events), Budget())

    assert result.verdict is verdict
    if verdict is Verdict.UNKNOWN:
        assert result.why == f"a client's answer was none: {error[1]}"


def test_nothing_asked_is_unknown(history: Notation) -> None:
    assert Stats()(history(""), Budget()).verdict is Verdict.UNKNOWN


def test_every_f_succeeded_once_is_valid(history: Notation) -> None:
    assert Stats()(history(RUN), Budget()).verdict is Verdict.VALID


def _under_fault(*during: str, effect: Effect | None = None, targets: str = "['n1']") -> str:
    """A write and a read before, during and after a fault; `during` are how the inner ones end."""
    lines = ["0 invoke write 0", "0 ok write 0", "1 invoke read", "1 ok read 0"]
    lines += ["net invoke start-net", f"net info start-net {{'targets': {targets}}}"]
    for number, ending in enumerate(during):
        f = "read" if number % 2 else "write"
        value = " 0" if f == "read" and ending == "ok" else f" {number + 1}" if f == "write" else ""
        lines += [f"{number % 2} invoke {f}{'' if f == 'read' else value}"]
        lines += [f"{number % 2} {ending} {f}{value}"]
    lines += ["net invoke stop-net", "net info stop-net {'evidence': {'healed': True}}"]
    lines += ["0 invoke write 99", "0 ok write 99", "1 invoke read", "1 ok read 99"]
    return "\n".join(lines)


def _actions(effect: Effect | None = None) -> Actions:
    return {"net": {"start-net": Action(Role.INJECT, effect), "stop-net": Action(Role.HEAL)}}


@pytest.mark.parametrize(
    ("during", "verdict"),
    [
        (("fail", "fail"), "unknown"),  # Nothing succeeded under the fault.
        (("fail", "ok") * 8, "unknown"),  # No write did, and that is no chance.
        (("ok", "ok"), "valid"),
        (("fail", "ok", "ok", "fail"), "valid"),
        (("fail", "ok"), "valid"),  # One write that failed says nothing: the read succeeded.
        ((), "valid"),  # The fault was too short for any operation.
    ],
)
def test_an_f_must_succeed_while_faults_are_in_force(
    history: Notation, during: tuple[str, ...], verdict: str
) -> None:
    result = Stats(_actions(), ("n1", "n2", "n3"))(history(_under_fault(*during)), Budget())

    assert result.verdict is Verdict(verdict), result.why
    assert result.details["coverage"]["write"]["before"] == 1
    assert result.details["coverage"]["write"]["after"] == 1


def test_what_was_missing_under_faults_is_named(history: Notation) -> None:
    text = _under_fault(*("fail", "ok") * 8)
    result = Stats(_actions())(history(text), Budget())

    assert result.why == (
        "none of these succeeded while a fault was in force: write (0 of 8 that were asked)"
    )
    assert result.details["windows"][0]["ok_during"] == 8


def test_the_floor_can_be_raised_and_taken_away(history: Notation) -> None:
    few, none = history(_under_fault("ok", "ok")), history(_under_fault("fail", "fail"))

    assert Stats(_actions(), ok_min=2)(few, Budget()).verdict is Verdict.UNKNOWN
    assert Stats(_actions(), ok_min=1)(few, Budget()).verdict is Verdict.VALID
    assert Stats(_actions(), ok_min=0)(none, Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("effect", "targets", "verdict"),
    [
        (Effect.PAUSED, "['n1', 'n2', 'n3']", "valid"),
        (Effect.KILLED, "['n1', 'n2']", "valid"),
        (Effect.KILLED, "['n1']", "unknown"),  # A majority ran, and should have answered.
        (None, "['n1', 'n2', 'n3']", "unknown"),
    ],
)
def test_nothing_can_succeed_while_no_majority_runs(
    history: Notation, effect: Effect | None, targets: str, verdict: str
) -> None:
    text = _under_fault("fail", "fail", targets=targets)
    result = Stats(_actions(effect), ("n1", "n2", "n3"))(history(text), Budget())

    assert result.verdict is Verdict(verdict), result.why


def test_operation_that_ends_within_a_fault_succeeded_under_it(history: Notation) -> None:
    text = """
        0 invoke write 1
        net invoke start-net
        net info   start-net {'targets': ['n1']}
        0 ok     write 1
        net invoke stop-net
        net info   stop-net {'evidence': {'healed': True}}
    """
    result = Stats(_actions())(history(text), Budget())

    assert result.details["coverage"]["write"]["during"] == 1
    assert result.verdict is Verdict.VALID


def test_a_cas_that_is_refused_for_its_value_is_an_answer(history: Notation) -> None:
    lines = ["1 invoke write 1", "1 ok write 1", "0 invoke cas [1, 2]", "0 ok cas [1, 2]"]
    lines += ["net invoke start-net", "net info start-net {'targets': ['n1']}"]
    lines += ["0 invoke cas [7, 8]", "0 fail cas [7, 8]", "1 invoke write 3", "1 ok write 3"] * 8
    result = Stats(_actions())(history("\n".join(lines)), Budget())

    assert result.verdict is Verdict.VALID, result.why
