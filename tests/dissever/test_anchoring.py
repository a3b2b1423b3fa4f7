"""A recorded schedule whose faults follow what the cluster did, instead of the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dissever.anchoring import Happened, anchored, cluster_events, schedule_text
from dissever.harness import store
from dissever.harness.events import Event, Type
from dissever.harness.history import History
from dissever.harness.reader import read_history
from dissever.nemesis import PlannedOp, read_script
from dissever.nemesis.plans.replay import Schedule
from dissever.traces import Line

NS = 1_000_000_000


def history(*rows: tuple[float, int | str, str, str, Any]) -> History:
    """Events of (seconds, process, type, f, key of a client's operation)."""
    return History(
        Event(index, int(at * NS), process, Type(kind), f, None, key=key)
        for index, (at, process, kind, f, key) in enumerate(rows)
    )


def successes(*ended: tuple[float, int]) -> list[tuple[float, int, str, str, int]]:
    return [
        row for at, key in ended for row in ((at, 0, "invoke", "r", key), (at, 0, "ok", "r", key))
    ]


def kill(at_s: float) -> PlannedOp:
    return PlannedOp(int(at_s * NS), "kill", "kill", {"targets": ["n1"]})


def start(at_s: float) -> PlannedOp:
    return PlannedOp(int(at_s * NS), "kill", "start")


def after(op: PlannedOp) -> dict[str, Any]:
    found: dict[str, Any] = op.value["after"]
    return found


def test_an_injection_follows_the_last_operation_that_had_succeeded() -> None:
    told = history(
        *successes((1.0, 7), (2.0, 8), (3.0, 7)),
        (3.5, 1, "invoke", "r", 7),
        (3.75, 1, "fail", "r", 7),
        *successes((4.5, 7)),
    )
    (op,) = anchored([kill(4.0)], told)

    assert after(op) == {
        "event": "operations",
        "key": 7,
        "number": 2,
        "delay_s": 1.0,
        "within_s": 14.0,
    }
    assert op.offset_ns == 0
    assert op.value["targets"] == ["n1"]


def test_an_event_of_the_cluster_that_is_near_is_the_better_anchor() -> None:
    events = [Happened(NS, "leader-changed"), Happened(2 * NS, "leader-changed")]
    told = history(*successes((3.9, 7)))
    (near,) = anchored([kill(4.0)], told, events)
    (far,) = anchored([kill(9.0)], told, events)

    assert after(near) | {"within_s": 0} == {
        "event": "leader-changed",
        "number": 2,
        "delay_s": 2.0,
        "within_s": 0,
    }
    assert after(far)["event"] == "operations"


def test_events_that_are_seen_as_one_count_once() -> None:
    events = [Happened(at, "snapshot-installed") for at in (NS, NS + 1_000_000, 3 * NS)]
    (op,) = anchored([kill(4.0)], history(*successes((3.9, 7))), events)

    assert after(op)["number"] == 2
    assert after(op)["delay_s"] == 1.0


def test_of_snapshots_that_nodes_take_only_the_first_is_an_anchor() -> None:
    one, two = (Happened(at * NS, "snapshot-taken") for at in (2, 3))
    told = history(*successes((3.9, 7)))
    (first,) = anchored([kill(4.0)], told, [one])
    (later,) = anchored([kill(4.0)], told, [one, two])

    assert after(first)["event"] == "snapshot-taken"
    assert after(later)["event"] == "operations"


def test_what_happened_before_the_previous_operation_of_the_fault_is_no_anchor() -> None:
    told = history(
        *successes((0.5, 7)),
        (1.0, "kill", "invoke", "kill", None),
        (1.1, "kill", "info", "kill", None),
        (3.0, "kill", "invoke", "start", None),
        (3.2, "kill", "info", "start", None),
    )
    events = [Happened(2 * NS, "leader-changed")]
    *_, again = anchored([kill(1.0), start(3.0), kill(4.0)], told, events)

    assert after(again)["event"] == "operations"
    assert again.offset_ns == int(3.2 * NS)


def test_a_healing_comes_as_long_after_its_injection_as_then() -> None:
    told = history(
        (1.0, "kill", "invoke", "kill", None),
        (1.25, "kill", "info", "kill", None),
        (3.0, "kill", "invoke", "start", None),
    )
    first, healing = anchored([kill(1.0), start(3.0)], told)

    assert first == kill(1.0)  # Nothing had happened before it.
    assert healing.value == {"hold_s": 1.75}


def test_what_waits_already_stays_as_it_is() -> None:
    waits = PlannedOp(NS, "kill", "kill", {"after": {"event": "leaderless", "within_s": 3}})

    assert anchored([waits], history(*successes((0.5, 7)))) == (waits,)


def test_only_a_node_that_did_not_lead_changes_the_leader() -> None:
    def server(time: int, node: str, role: str) -> Line:
        return Line("server", time, node, role)

    lines = (
        server(1, "n1", "leader"),
        server(2, "n1", "leader"),
        Line("snapshot", 3, "n2", how="taken"),
        server(4, "n1", "follower"),
        Line("snapshot", 5, "n1", how="installed"),
        server(6, "n1", "leader"),
    )

    assert cluster_events(lines) == (
        Happened(1, "leader-changed"),
        Happened(3, "snapshot-taken"),
        Happened(5, "snapshot-installed"),
        Happened(6, "leader-changed"),
    )


def test_a_schedule_is_read_as_it_was_written() -> None:
    ops = anchored([kill(4.0), start(6.0)], history(*successes((1.0, 7))))
    read = read_script(schedule_text(ops))

    assert isinstance(read, Schedule)
    assert read.ops == ops


def injections(run: Path) -> Sequence[int]:
    """When kills began."""
    faults = read_history(run / store.HISTORY).history.faults
    return [each.invocation.time for each in faults if each.f == "kill"]


def test_a_replay_strikes_when_as_many_operations_have_succeeded(
    dissever: Callable, runs: Path
) -> None:
    """At half the rate the fault comes later, when the same key has as many answers."""
    dissever("test", "simulated", "-t", "4", "-n", "3", "-f", "kill", "--seed", "1", "-q")
    run = (runs / "latest").resolve()
    told = dissever("replay", str(run), "--anchor", "events", "--dry-run").stdout
    plan = runs / "anchored.jsonl"
    plan.write_text(told)
    words = ("--plan", str(plan), "--rate", "100", "--seed", "2", "-q")
    dissever("test", "simulated", "-t", "9", "-n", "3", *words)
    again = (runs / "latest").resolve()

    (first, *_), (later, *_) = injections(run), injections(again)
    assert '"event":"operations"' in told
    assert later > first * 1.3


def test_a_run_without_faults_has_nothing_to_anchor(dissever: Callable, runs: Path) -> None:
    dissever("test", "simulated", "-t", "1", "-n", "3", "-q")
    ran = dissever("replay", str(runs / "latest"), "--anchor", "events")

    assert ran.status == 3
    assert "expected a run with faults to anchor" in ran.text
