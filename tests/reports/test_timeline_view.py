"""When nodes were down, what was waited for, and the families of faults, for the timeline."""

from __future__ import annotations

from typing import Any

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import Event, History, Type
from dissever.nemesis.faults import FAMILIES, OURS
from dissever.reports.details import UnaskedEnd
from dissever.reports.timeline_view import Wait, downs, timeline_data, waits

S = 1_000_000_000


def history_of(*rows: tuple[float, int | str, Type, str, Any]) -> History:
    """Events (time in s, process, type, f, value), in order."""
    return History(
        tuple(
            Event(index, round(time_s * S), process, kind, f, value)
            for index, (time_s, process, kind, f, value) in enumerate(rows)
        )
    )


def asked(start_s: float, end_s: float, process: str, f: str, value: Any = None) -> list[Any]:
    return [(start_s, process, Type.INVOKE, f, None), (end_s, process, Type.INFO, f, value)]


def clients(start_s: int, end_s: int) -> list[Any]:
    """A read each 100 ms that takes 10 ms."""
    return [
        event
        for tenth in range(10 * start_s, 10 * end_s)
        for event in (
            (tenth / 10, 0, Type.INVOKE, "read", None),
            (tenth / 10 + 0.01, 0, Type.OK, "read", 1),
        )
    ]


def killed(at_s: float, until_s: float | None) -> Episodes:
    """What a fault did that killed n1, and started it again."""
    struck = {"targets": ["n1"]}
    rows = asked(at_s, at_s, "kill", "kill", struck)
    if until_s is not None:
        rows += asked(until_s, until_s, "kill", "start", struck)
    return episodes_of(history_of(*rows))


NO_FAULTS = episodes_of(History())


def test_node_that_a_fault_killed_is_down_until_its_start() -> None:
    (down,) = downs(killed(2, 5), (), end_ns=9 * S)

    assert (down.node, down.start_ns, down.end_ns) == ("n1", 2 * S, 5 * S)
    assert (down.is_asked, down.is_back) == (True, True)


def test_node_that_nobody_started_is_down_to_the_end() -> None:
    (down,) = downs(killed(2, None), (), end_ns=9 * S)

    assert (down.end_ns, down.is_back) == (9 * S, False)


def test_unasked_end_is_down_until_the_next_process() -> None:
    end = UnaskedEnd("n2 ended", "", node="n2", time_ns=3 * S, is_restarted=True, next_ns=4 * S)
    (down,) = downs(NO_FAULTS, (end,), end_ns=9 * S)

    assert (down.node, down.start_ns, down.end_ns) == ("n2", 3 * S, 4 * S)
    assert (down.is_asked, down.is_back, down.what) == (False, True, "n2 ended")


def test_unasked_end_without_another_process_is_down_to_the_end() -> None:
    end = UnaskedEnd("n2 ended", "", node="n2", time_ns=3 * S, is_restarted=False)
    (down,) = downs(NO_FAULTS, (end,), end_ns=9 * S)

    assert (down.end_ns, down.is_back) == (9 * S, False)


def test_start_that_nobody_timed_gives_no_length() -> None:
    end = UnaskedEnd("n2 ended", "", node="n2", time_ns=3 * S, is_restarted=True)
    (down,) = downs(NO_FAULTS, (end,), end_ns=9 * S)

    assert (down.end_ns, down.is_back) == (3 * S, True)


def test_node_that_ended_twice_was_started_in_between() -> None:
    ends = tuple(UnaskedEnd("n2 ended", "", node="n2", time_ns=at * S) for at in (3, 6))
    first, second = downs(NO_FAULTS, ends, end_ns=9 * S)

    assert (first.end_ns, first.is_back) == (3 * S, True)
    assert (second.end_ns, second.is_back) == (9 * S, False)


def test_node_that_was_killed_later_had_been_started_before() -> None:
    end = UnaskedEnd("n1 ended", "", node="n1", time_ns=1 * S)
    down, asked_for = downs(killed(2, 5), (end,), end_ns=9 * S)

    assert (down.start_ns, down.end_ns, down.is_back) == (1 * S, 1 * S, True)
    assert (asked_for.start_ns, asked_for.end_ns) == (2 * S, 5 * S)


def test_end_at_an_unknown_time_has_no_place() -> None:
    assert downs(NO_FAULTS, (UnaskedEnd("n2 ended", "", node="n2"),), end_ns=9 * S) == ()


def ending(value: Any) -> History:
    """Clients until 5 s, healing, a recovery from 7 s to 17 s, and clients again."""
    return history_of(
        *clients(0, 5),
        *asked(5, 5.5, "kill", "kill", {"targets": ["n1"]}),
        *asked(6, 6.9, "kill", "start", {"targets": ["n1"]}),
        *asked(7, 17, "recovery", "await-ready", value),
        *clients(17, 18),
        *asked(18, 20, "recovery", "compare-replicas", {"waited_ms": 2000}),
    )


def test_wait_is_cut_by_what_was_waited_for() -> None:
    history = ending({"waited_ms": 10_000})

    assert waits(history, episodes_of(history)) == (
        Wait(4_910_000_000, 7 * S, "healing the faults"),
        Wait(7 * S, 17 * S, "waiting for every node to serve"),
        Wait(18 * S, 20 * S, "comparing the replicas"),
    )


def test_wait_says_what_did_not_come() -> None:
    history = ending({"missing": "n3 names no leader", "evidence": {"held": False}})

    assert waits(history, episodes_of(history))[1].error == "n3 names no leader"


def test_nodes_that_were_asked_alone_after_a_wait_are_a_wait_of_their_own() -> None:
    history = ending({"waited_ms": 7_000, "evidence": {"held": False, "silent": ["n3"]}})

    assert waits(history, episodes_of(history))[1:3] == (
        Wait(7 * S, 14 * S, "waiting for every node to serve"),
        Wait(14 * S, 17 * S, "asking each node alone"),
    )


def test_step_that_was_skipped_is_no_wait() -> None:
    history = ending({"skipped": "every node serves"})

    assert "waiting for every node to serve" not in {
        wait.what for wait in waits(history, episodes_of(history))
    }


def test_clients_that_ask_meanwhile_leave_no_wait() -> None:
    rows = [*clients(0, 10), *asked(3.05, 6, "recovery", "await-ready", {})]
    history = history_of(*sorted(rows, key=lambda row: row[0]))

    assert waits(history, episodes_of(history)) == ()


def test_fault_that_nobody_knows_is_of_another_family() -> None:
    found = killed(2, 5)

    assert timeline_data(History(), found, (), {})["families"] == {"kill": "other"}
    assert timeline_data(History(), found, (), FAMILIES)["families"] == {"kill": "processes"}


def test_each_fault_of_ours_has_a_family() -> None:
    assert set(FAMILIES) == set(OURS)
    assert (FAMILIES["partition"], FAMILIES["disk-full"], FAMILIES["transfer"]) == (
        "network",
        "disks",
        "members",
    )
