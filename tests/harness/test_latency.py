"""When clients asked and got no ok, and when it was the harness that asked nothing."""

from __future__ import annotations

from dissever.harness.history import Event, Operation, Process, Type, times_of
from dissever.harness.latency import Silence, longest_silence, quiet_spans, recovery_spans

MS = 1_000_000
S = 1_000_000_000


def operation(
    start_ns: int, end_ns: int | None, kind: Type = Type.OK, process: Process = 0
) -> Operation:
    """An operation; without an end it never completed."""
    invoked = Event(0, start_ns, process, Type.INVOKE, "read")
    done = None if end_ns is None else Event(1, end_ns, process, kind, "read")
    return Operation(invoked, done)


def steady(
    start_s: float, end_s: float, kind: Type = Type.OK, gap_s: float = 0.1
) -> list[Operation]:
    """Operations of 1 ms, one each `gap_s`."""
    starts = (round((start_s + i * gap_s) * S) for i in range(round((end_s - start_s) / gap_s)))
    return [operation(start, start + MS, kind) for start in starts]


def silence(
    operations: list[Operation], *, end_s: float, faults: tuple[Operation, ...] = ()
) -> Silence:
    end_ns = round(end_s * S)
    quiet = quiet_spans(times_of(operations), recovery_spans(faults, end_ns=end_ns), end_ns=end_ns)
    oks = (
        each.completion.time
        for each in operations
        if each.completion and each.completion.type is Type.OK
    )
    return longest_silence(oks, quiet, end_ns=end_ns)


def test_comparing_replicas_at_the_end_is_not_counted() -> None:
    found = silence(steady(0, 10), end_s=40)

    assert found.asked_ns < 200 * MS


def test_operation_that_hangs_to_the_end_is_counted() -> None:
    found = silence([*steady(0, 10), operation(10 * S, 39 * S, Type.INFO)], end_s=45)

    assert found.start_ns == 9 * S + 901 * MS
    assert found.asked_ns == 29 * S + 99 * MS
    assert found.own_ns == 6 * S


def test_operation_that_never_completed_is_counted_to_the_end() -> None:
    found = silence([*steady(0, 10), operation(10 * S, None)], end_s=40)

    assert found.asked_ns == 30 * S + 99 * MS


def test_waiting_between_two_phases_is_not_counted() -> None:
    found = silence([*steady(0, 10), *steady(40, 41)], end_s=41)

    assert found.asked_ns < 200 * MS


def test_refusals_all_through_an_outage_are_counted() -> None:
    outage = steady(10, 40, Type.FAIL)
    found = silence([*steady(0, 10), *outage, *steady(40, 41)], end_s=41)

    assert found.asked_ns > 30 * S
    assert found.own_ns == 0


def test_rare_refusals_are_counted_where_operations_are_rare() -> None:
    outage = steady(10, 40, Type.FAIL, gap_s=2)
    found = silence([*steady(0, 10, gap_s=2), *outage, *steady(40, 50, gap_s=2)], end_s=50)

    assert found.asked_ns > 30 * S


def test_outage_before_a_wait_is_counted_and_the_wait_is_not() -> None:
    operations = [*steady(0, 10), *steady(10, 15, Type.FAIL), *steady(45, 46)]
    found = silence(operations, end_s=46)

    assert found.start_ns == 9 * S + 901 * MS
    assert 4 * S < found.asked_ns < 6 * S
    assert 29 * S < found.own_ns < 31 * S


def test_recovery_makes_a_short_pause_the_harness_s_own() -> None:
    operations = [*steady(0, 2), *steady(2.9, 4)]
    recovery = operation(2 * S, 2 * S + 800 * MS, Type.INFO, process="recovery")

    assert silence(operations, end_s=4).asked_ns > 900 * MS
    assert silence(operations, end_s=4, faults=(recovery,)).asked_ns < 200 * MS


def test_fault_of_another_process_does_not_make_a_pause_the_harness_s_own() -> None:
    operations = [*steady(0, 2), *steady(2.9, 4)]
    fault = operation(2 * S, 2 * S + 800 * MS, Type.INFO, process="kill")

    assert silence(operations, end_s=4, faults=(fault,)).asked_ns > 900 * MS


def test_refusals_while_the_recovery_waits_are_counted() -> None:
    operations = [*steady(0, 10), *steady(10, 40, Type.FAIL), *steady(40, 41)]
    recovery = operation(11 * S, 39 * S, Type.INFO, process="recovery")

    assert silence(operations, end_s=41, faults=(recovery,)).asked_ns > 30 * S


def test_run_without_an_ok_is_silent_while_clients_asked() -> None:
    found = silence(steady(5, 15, Type.FAIL), end_s=20)

    assert (found.start_ns, found.own_ns) == (0, 10 * S + 99 * MS)
