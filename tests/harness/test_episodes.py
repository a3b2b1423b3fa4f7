"""When faults were in force: each role with its innocent twin, declared or read from names."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.episodes import (
    Action,
    Actions,
    Effect,
    Episodes,
    Role,
    doubt_of,
    episodes_of,
    evidence,
    targets,
)
from dissever.harness.history import Event, History, Type

END_NS = 1000
DECLARED: Actions = {
    "leader": {
        "depose": Action(Role.INJECT, Effect.PAUSED),
        "wake": Action(Role.CONTINUE, Effect.RESUMED),
        "crown": Action(Role.HEAL),
        "look": Action(Role.RECOVER),
    }
}


def found(*steps: tuple[Any, ...], actions: Actions | None = None) -> Episodes:
    """Operations (time, process, f, value) that complete one ns after they were asked for."""
    events: list[Event] = []
    for time, process, f, *value in steps:
        events.append(Event(len(events), time, process, Type.INVOKE, f))
        events.append(Event(len(events), time + 1, process, Type.INFO, f, *value))
    return until_the_end(*events, actions=actions)


def until_the_end(*events: Event, actions: Actions | None = None) -> Episodes:
    """Of a run that goes on until END_NS."""
    last = Event(len(events), END_NS, 0, Type.INVOKE, "read")
    return episodes_of(History((*events, last)), actions)


def jepsen(*names: str, process: str = "nemesis") -> Episodes:
    """Operations of one nemesis at 10, 20, 30, …"""
    return found(*((10 * n, process, f) for n, f in enumerate(names, 1)))


def spans(episodes: Episodes) -> list[tuple[str, int, int]]:
    return [(each.fault, each.start_ns, each.end_ns) for each in episodes.episodes]


def marks(episodes: Episodes) -> list[str]:
    return [each.operation.f for each in episodes.marks]


# When a fault is in force.


def test_episode_lasts_from_the_completed_injection_to_the_completed_healing() -> None:
    cut = found((10, "partition", "start-partition"), (50, "partition", "stop-partition"))

    assert spans(cut) == [("partition", 11, 51)]
    assert cut.marks == ()


def test_episode_that_nothing_heals_lasts_to_the_end() -> None:
    killed = found((10, "kill", "kill"))

    assert spans(killed) == [("kill", 11, END_NS)]
    assert killed.episodes[0].healing is None


def test_healing_of_another_process_does_not_end_an_episode() -> None:
    killed = found((10, "kill", "kill"), (20, "pause", "resume"), (30, "kill", "start"))

    assert spans(killed) == [("kill", 11, 31)]
    assert marks(killed) == ["resume"]


def test_one_healing_ends_every_open_episode_of_its_fault() -> None:
    killed = found((10, "kill", "kill"), (20, "kill", "kill"), (30, "kill", "start"))

    assert spans(killed) == [("kill", 11, 31), ("kill", 21, 31)]


def test_faults_of_two_processes_overlap() -> None:
    both = found(
        (10, "kill", "kill"),
        (20, "pause", "pause"),
        (30, "kill", "start"),
        (40, "pause", "resume"),
    )

    assert spans(both) == [("kill", 11, 31), ("pause", 21, 41)]
    assert both.names == ("kill", "pause")


def test_injection_that_struck_nobody_is_a_mark() -> None:
    aimless = {"targets": [], "evidence": {"held": None, "nodes": {}}}
    killed = found((10, "kill", "kill", aimless))

    assert killed.episodes == ()
    assert marks(killed) == ["kill"]


def test_injection_that_was_never_completed_starts_when_it_was_asked_for() -> None:
    killed = until_the_end(Event(0, 7, "kill", Type.INVOKE, "kill"))

    assert spans(killed) == [("kill", 7, END_NS)]


def test_healing_that_was_never_completed_ends_nothing() -> None:
    events = (
        Event(0, 1, "kill", Type.INVOKE, "kill"),
        Event(1, 2, "kill", Type.INFO, "kill"),
        Event(2, 3, "kill", Type.INVOKE, "start"),
    )
    killed = until_the_end(*events)

    assert spans(killed) == [("kill", 2, END_NS)]
    assert marks(killed) == ["start"]


@pytest.mark.parametrize("f", ["kill", "start"])
def test_what_failed_for_certain_is_a_mark(f: str) -> None:
    events = (
        Event(0, 1, "kill", Type.INVOKE, "kill"),
        Event(1, 2, "kill", Type.FAIL if f == "kill" else Type.INFO, "kill", {"targets": ["n1"]}),
        Event(2, 3, "kill", Type.INVOKE, "start"),
        Event(3, 4, "kill", Type.FAIL, "start", {"targets": ["n1"]}),
    )
    killed = until_the_end(*events)

    assert spans(killed) == ([] if f == "kill" else [("kill", 2, END_NS)])
    assert [each.effect for each in killed.changes] == ([] if f == "kill" else ["killed"])


# Roles as they are declared.


def test_declared_roles_make_one_episode_of_three_operations() -> None:
    value = {"targets": ["n1"]}
    deposed = found(
        (10, "leader", "depose", value),
        (20, "leader", "wake", value),
        (30, "leader", "crown"),
        (40, "leader", "look"),
        actions=DECLARED,
    )

    assert spans(deposed) == [("leader", 11, 31)]
    assert [each.f for each in deposed.episodes[0].continuations] == ["wake"]
    assert [(each.time_ns, each.role) for each in deposed.marks] == [(21, Role.CONTINUE)]
    assert [(each.name, each.start_ns, each.end_ns) for each in deposed.end_of_run] == [
        ("look", 40, 41)
    ]
    assert [each.f for each in deposed.recovery] == ["look"]
    assert [(each.time_ns, each.node, each.effect) for each in deposed.changes] == [
        (11, "n1", Effect.PAUSED),
        (21, "n1", Effect.RESUMED),
    ]


def test_the_same_operations_of_another_process_are_marks() -> None:
    other = found((10, "other", "depose"), (20, "other", "wake"), actions=DECLARED)

    assert other.episodes == ()
    assert marks(other) == ["depose", "wake"]


def test_operation_that_its_nemesis_does_not_declare_is_a_mark() -> None:
    other = found((10, "leader", "kill"), actions=DECLARED)

    assert (other.episodes, marks(other)) == ((), ["kill"])


def test_nemesis_that_declares_nothing_is_read_by_its_names() -> None:
    assert spans(found((10, "kill", "kill"), actions=DECLARED)) == [("kill", 11, END_NS)]


def test_continuation_without_an_episode_is_a_mark_alone() -> None:
    woken = found((10, "leader", "wake"), actions=DECLARED)

    assert (woken.episodes, marks(woken)) == ((), ["wake"])


def test_the_recovery_need_not_be_declared_and_is_no_fault() -> None:
    asked = found((10, "recovery", "await-ready"), actions=DECLARED)

    assert [each.f for each in asked.recovery] == ["await-ready"]
    assert (asked.episodes, asked.faults, asked.marks) == ((), (), ())


def test_question_without_an_answer_lasts_to_the_end_of_the_run() -> None:
    asked = until_the_end(Event(0, 10, "recovery", Type.INVOKE, "await-ready"))

    assert [(each.start_ns, each.end_ns) for each in asked.end_of_run] == [(10, END_NS)]


def test_question_that_the_harness_skipped_says_why() -> None:
    skipped = {"skipped": "every node serves", "evidence": {"held": None}}
    asked = found((10, "recovery", "restart-all", skipped), (20, "recovery", "compare-replicas"))

    assert [each.skipped for each in asked.end_of_run] == ["every node serves", None]


def test_the_cut_of_the_end_is_in_force_and_is_no_strike() -> None:
    held = {"targets": ["n1"], "evidence": {"held": True}}
    healed = {"targets": ["n1"], "evidence": {"healed": True, "idle": True}}
    ended = found(
        (10, "kill", "kill", held),
        (20, "majority-only", "start-majority-only", held),
        (30, "kill", "start", {"targets": ["n1"], "evidence": {"healed": True}}),
        (40, "recovery", "await-progress", held),
        (50, "majority-only", "stop-majority-only", healed),
    )

    assert spans(ended) == [("kill", 11, 31), ("majority-only", 21, 51)]
    assert [each.fault for each in ended.strikes] == ["kill"]
    assert (ended.names, ended.injected) == (("kill",), ("kill",))
    assert ([each.fault for each in ended.proven], ended.idle) == (["kill"], ())
    assert [(each.name, each.start_ns, each.end_ns) for each in ended.end_of_run] == [
        ("majority-only", 21, 51),
        ("await-progress", 40, 41),
    ]


def test_cut_of_the_end_that_struck_nobody_is_no_fault_that_was_left_out() -> None:
    nobody = {"targets": [], "evidence": {"held": None}}
    ended = found((10, "majority-only", "start-majority-only", nobody))

    assert (ended.strikes, ended.marks, ended.skipped) == ((), (), ())
    assert [each.name for each in ended.end_of_run] == ["start-majority-only"]


# Roles as they are read from names.


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        (("start", "stop"), ["nemesis"]),
        (("start-partition", "stop-partition"), ["partition"]),
        (("partition-start", "partition-stop"), ["partition"]),
        (("kill", "start"), ["kill"]),
        (("kill-pd", "start-pd"), ["kill-pd"]),
        (("pause", "resume"), ["pause"]),
        (("bump-clock", "reset-clock"), ["bump-clock"]),
        (("isolate", "heal"), ["isolate"]),
        (("partition-halves", "heal"), ["partition-halves"]),
        (("start-partition", "heal"), ["partition"]),
        (("break", "repair"), ["break"]),
    ],
)
def test_usual_pairs_are_one_episode(names: tuple[str, str], faults: list[str]) -> None:
    assert spans(jepsen(*names)) == [(fault, 11, 21) for fault in faults]
    assert jepsen(*names).marks == ()


@pytest.mark.parametrize("name", ["stop", "stop-partition", "resume", "reset-clock", "heal"])
def test_a_healing_alone_injects_nothing(name: str) -> None:
    assert spans(jepsen(name)) == []
    assert marks(jepsen(name)) == [name]


@pytest.mark.parametrize("name", ["check-clock-offsets", "truncate-file", "join", "compare", ""])
def test_other_names_start_and_end_nothing(name: str) -> None:
    assert (spans(jepsen(name)), marks(jepsen(name))) == ([], [name])


@pytest.mark.parametrize(
    ("names", "injecting", "healing"),
    [
        (("kill", "start"), "kill", "start"),
        (("start", "stop"), "start", "stop"),
        (("kill", "start", "stop", "start"), "kill", "start"),
    ],
)
def test_the_other_verbs_decide_what_start_does(
    names: tuple[str, ...], injecting: str, healing: str
) -> None:
    first = jepsen(*names).episodes[0]

    assert first.injection.f == injecting
    assert first.healing is not None
    assert first.healing.f == healing


def test_stop_is_an_injection_where_start_heals() -> None:
    assert spans(jepsen("kill", "start", "stop", "start")) == [("kill", 11, 21), ("kill", 31, 41)]


def test_faults_of_one_nemesis_are_told_apart_by_their_names() -> None:
    mixed = jepsen("start-partition", "kill", "pause", "resume", "start", "stop-partition")

    assert spans(mixed) == [("partition", 11, 61), ("kill", 21, 51), ("pause", 31, 41)]


def test_faults_of_one_nemesis_of_another_name_are_told_apart_too() -> None:
    mixed = jepsen("kill", "pause", "start", "resume", process="chaos")

    assert spans(mixed) == [("kill", 11, 31), ("pause", 21, 41)]
    assert spans(jepsen("kill", "start", process="chaos")) == [("chaos", 11, 21)]


def test_a_later_step_belongs_to_the_fault_in_force() -> None:
    bumped = jepsen("bump-clock", "strobe-clock", "reset-clock")
    deposed = jepsen("start-deposed-leader", "resume-deposed-leader", "stop-deposed-leader")

    assert [[each.f for each in one.continuations] for one in bumped.episodes] == [["strobe-clock"]]
    assert spans(deposed) == [("deposed-leader", 11, 31)]
    assert (jepsen("strobe-clock").episodes, marks(jepsen("strobe-clock"))) == (
        (),
        ["strobe-clock"],
    )


def test_effects_are_read_from_names() -> None:
    killed = found(
        (10, "kill", "kill", {"targets": ["n1"]}),
        (20, "kill", "start", {"targets": ["n1"]}),
        (30, "partition", "start-partition", {"targets": ["n1"]}),
        (40, "pause", "pause", {"targets": ["n2"]}),
    )

    assert killed.down == {"n2": Effect.PAUSED}

    assert [(each.node, each.effect.value) for each in killed.changes] == [
        ("n1", "killed"),
        ("n1", "started"),
        ("n2", "paused"),
    ]


def test_events_that_are_both_info_or_stand_alone_are_operations() -> None:
    both = [Event(i, 10 * i, "nemesis", Type.INFO, f) for i, f in enumerate(["start", "start"])]
    alone = [Event(2, 20, "nemesis", Type.INFO, "stop"), Event(3, 30, "nemesis", Type.INFO, "kill")]

    cut = until_the_end(*both, alone[0])

    assert spans(cut) == [("nemesis", 10, 20)]
    assert spans(until_the_end(alone[1])) == [("kill", 30, END_NS)]


# What was observed.


def test_targets_and_evidence_come_from_the_completion() -> None:
    value = {"targets": ["n1", "n2"], "evidence": {"held": True}}
    (episode,) = found((10, "kill", "kill", value)).episodes

    assert episode.targets == ("n1", "n2")
    assert evidence(episode.injection) == {"held": True}


@pytest.mark.parametrize("value", [None, 5, "n1", ["n1"], {"evidence": True}])
def test_values_of_other_shapes_name_no_targets_and_no_evidence(value: Any) -> None:
    (episode,) = found((10, "kill", "kill", value)).episodes

    assert targets(episode.injection) == ()
    assert evidence(episode.injection) == {}


@pytest.mark.parametrize(
    ("value", "role", "doubt"),
    [
        ({"evidence": {"held": True}}, Role.INJECT, None),
        ({"evidence": {"healed": True}}, Role.HEAL, None),
        ({"evidence": {"held": False}}, Role.INJECT, "has no evidence that it took hold"),
        ({"evidence": {"healed": False}}, Role.HEAL, "has no evidence that it healed"),
        (None, Role.HEAL, "has no evidence that it healed"),
    ],
)
def test_doubt_says_what_is_not_shown(value: Any, role: Role, doubt: str | None) -> None:
    ((operation, _),) = found((10, "x", "f", value)).operations

    assert doubt_of(operation, role) == (doubt and f"f (x) at 0.000 s {doubt}")
