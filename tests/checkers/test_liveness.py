"""A majority that healed must make progress, and all must hold the same in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from dissever.checkers import Liveness, NodeEnd
from dissever.harness.history import History, Type
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]

HEALED = """
    partition invoke stop-partition
    partition info   stop-partition  {'evidence': {'healed': True}}
    recovery  invoke await-progress {'nodes': ['n1', 'n2']}
    recovery  info   await-progress {'evidence': {'held': True}}
    recovery  invoke await-ready
    recovery  info   await-ready {'evidence': {'held': True}}
    recovery  invoke compare-replicas
    recovery  info   compare-replicas {'evidence': {'held': True}}
    recovery  invoke compare-after-restart
    recovery  info   compare-after-restart {'evidence': {'held': True}}
"""


def test_a_system_that_came_back_is_valid(history: Notation) -> None:
    result = Liveness()(history(HEALED), Budget())

    assert result.verdict is Verdict.VALID
    assert "await-progress took" in result.why


def test_nothing_asked_for_is_valid(history: Notation) -> None:
    assert Liveness()(history("0 invoke read\n0 ok read 1"), Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("f", "name", "waited_for"),
    [
        ("await-progress", "no-progress", "a write that a majority acknowledges"),
        ("await-ready", "no-recovery", "every node to serve"),
        ("compare-replicas", "diverged", "all replicas to hold the same"),
        ("compare-after-restart", "diverged-for-good", "all replicas to hold the same, after all"),
    ],
)
def test_what_did_not_come_is_invalid(
    history: Notation, f: str, name: str, waited_for: str
) -> None:
    good = f"info   {f} {{'evidence': {{'held': True}}}}"
    result = Liveness()(history(HEALED.replace(good, good.replace("True", "False"))), Budget())

    assert result.verdict is Verdict.INVALID
    assert [each.name for each in result.anomalies] == [name]
    assert len(result.anomalies[0].indices) == 2
    assert f" s waited 0.001 s in vain for {waited_for}" in result.why


def test_time_in_which_nodes_were_asked_alone_is_no_waiting(history: Notation) -> None:
    seen = "{'waited_ms': 0, 'evidence': {'held': False, 'silent': ['n1']}}"
    good = "info   await-ready {'evidence': {'held': True}}"
    result = Liveness()(history(HEALED.replace(good, f"info   await-ready {seen}")), Budget())

    assert "waited 0.000 s in vain for every node to serve" in result.why


def test_a_fault_that_did_not_heal_excuses_it(history: Notation) -> None:
    text = HEALED.replace("'healed': True", "'healed': False").replace(
        "'held': True", "'held': False"
    )
    result = Liveness()(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "stop-partition" in result.why


def test_a_fault_that_healed_at_a_later_try_excuses_nothing(history: Notation) -> None:
    text = """
        partition invoke stop-partition
        partition info   stop-partition  {'evidence': {'healed': False}}
    """ + HEALED.replace("'held': True", "'held': False")

    assert Liveness()(history(text), Budget()).verdict is Verdict.INVALID


def test_a_system_without_a_dump_is_not_accused(history: Notation) -> None:
    text = HEALED.replace(
        "compare-replicas {'evidence': {'held': True}}",
        "compare-replicas {'skipped': 'no dump', 'evidence': {'held': None}}",
    )

    assert Liveness()(history(text), Budget()).verdict is Verdict.VALID


def test_a_recovery_that_never_ended_is_unknown(history: Notation) -> None:
    result = Liveness()(history("recovery invoke await-ready"), Budget())

    assert (result.verdict, result.why) == (Verdict.UNKNOWN, "await-ready never completed")


def test_a_fault_that_the_harness_forgot_to_heal_excuses_it(history: Notation) -> None:
    forgotten = """
    kill invoke kill
    kill info   kill {'targets': ['n1'], 'evidence': {'held': True}}
    """
    result = Liveness()(history(forgotten + HEALED.replace("True", "False", 3)), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "kill (kill) at 0.000 s was not healed by then" in result.why


def test_a_fault_that_heals_only_after_something_was_missed_excuses_it(history: Notation) -> None:
    missed = "'held': False}}\n    recovery  invoke await-ready"
    text = "\n    x info kill\n" + HEALED.replace(
        "'held': True}}\n    recovery  invoke await-ready", missed
    )
    result = Liveness()(history(text + "\n    x info start"), Budget())

    assert result.verdict is Verdict.UNKNOWN


def test_a_healing_that_went_wrong_is_not_mended_by_one_that_healed_nothing(
    history: Notation,
) -> None:
    text = HEALED.replace("'healed': True", "'healed': False")
    empty = """
    partition invoke stop-partition
    partition info   stop-partition {'targets': [], 'evidence': {'healed': True}}
    """
    missed = "recovery  invoke await-progress"
    text = text.replace(missed, empty.strip() + "\n    " + missed)
    lost = Liveness()(history(text.replace("'held': True", "'held': False")), Budget())
    again = text.replace("{'targets': []", "{'targets': ['n1']").replace(
        "'held': True", "'held': False"
    )

    assert lost.verdict is Verdict.UNKNOWN
    assert Liveness()(history(again), Budget()).verdict is Verdict.INVALID


def test_a_node_that_stands_still_was_stopped_by_the_harness(history: Notation) -> None:
    still = HEALED.replace("'held': True", "'held': False, 'paused': ['n2']", 1)
    result = Liveness()(history(still), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "n2 stood still, which only a fault does" in result.why


def test_the_majority_that_is_alone_on_purpose_must_make_progress(history: Notation) -> None:
    alone = """
    majority-only invoke start-majority-only
    majority-only info   start-majority-only {'targets': ['n3'], 'evidence': {'held': True}}
    """
    missed = HEALED.replace("'held': True", "'held': False", 1)

    assert Liveness()(history(alone + missed), Budget()).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "value", ["None", "{}", "{'evidence': {}}", "{'evidence': {'held': None}}", "{'replicas': {}}"]
)
@pytest.mark.parametrize("f", ["await-progress", "await-ready", "compare-replicas"])
def test_a_recovery_without_a_result_is_unknown(history: Notation, f: str, value: str) -> None:
    good = f"info   {f} {{'evidence': {{'held': True}}}}"

    result = Liveness()(history(HEALED.replace(good, f"info   {f} {value}")), Budget())

    assert (result.verdict, result.why) == (Verdict.UNKNOWN, f"{f} has no result")


def test_what_was_not_seen_is_named(history: Notation) -> None:
    events = [
        structs.replace(event, value=None, error="no dump came from n2 (timeout)")
        if (event.f, event.type) == ("compare-replicas", Type.INFO)
        else event
        for event in history(HEALED)
    ]

    result = Liveness()(History(events), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert result.why == 'compare-replicas has no result: "no dump came from n2 (timeout)"'


def test_what_was_not_seen_does_not_hide_what_was_missed(history: Notation) -> None:
    text = HEALED.replace(
        "compare-replicas {'evidence': {'held': True}}", "compare-replicas"
    ).replace(
        "await-ready {'evidence': {'held': True}}", "await-ready {'evidence': {'held': False}}"
    )

    result = Liveness()(history(text), Budget())

    assert result.verdict is Verdict.INVALID
    assert [each.name for each in result.anomalies] == ["no-recovery"]


NOT_READY = """
    recovery invoke await-ready
    recovery info   await-ready {'evidence': {'held': False}}
"""


def test_what_was_missed_once_a_part_of_the_harness_was_gone_is_unknown(history: Notation) -> None:
    result = Liveness(lost_ns=4_000_000_000)(history(NOT_READY), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert result.why.endswith("but a part of the harness was found gone at 4.000 s")


REFUSED = """
    @0    disk-truncate invoke start-disk-truncate
    @10   disk-truncate info   start-disk-truncate {'targets': ['n2'], 'damages_disk': %s}
    @90   disk-truncate invoke stop-disk-truncate
    @100  disk-truncate info   stop-disk-truncate {'targets': ['n2'], 'evidence': {'healed': True}}
    @200  recovery invoke await-ready
    @9000 recovery info   await-ready {'missing': 'n2', 'evidence': {'held': False, 'gone': %s}}
"""


@pytest.mark.parametrize(
    ("damages", "gone", "status", "is_asked", "at_ms", "verdict"),
    [
        ("True", "['n2']", 1, False, 95, "unknown"),
        ("True", "['n2']", 1, False, 300, "unknown"),
        ("True", "['n2']", -6, False, 300, "invalid"),  # It crashed.
        ("True", "['n2']", -9, True, 300, "invalid"),  # We ended it, and it did not come back.
        ("True", "['n1', 'n2']", 1, False, 300, "invalid"),  # Nobody damaged the disk of n1.
        ("True", "[]", 1, False, 300, "invalid"),  # It runs.
        ("True", "['n2']", 1, False, 9500, "invalid"),  # It ended afterwards.
        ("False", "['n2']", 1, False, 300, "invalid"),
    ],
)
def test_node_that_refuses_a_damaged_disk_need_not_serve(
    history: Notation,
    damages: str,
    gone: str,
    status: int,
    is_asked: bool,
    at_ms: int,
    verdict: str,
) -> None:
    end = NodeEnd("n2", 2, status, is_asked, at_ms * 1_000_000)
    result = Liveness(ends=(end,))(history(REFUSED % (damages, gone)), Budget())

    assert result.verdict is Verdict(verdict), result.why
    if verdict == "unknown":
        assert "n2 refuses the disk that disk-truncate damaged" in result.why


DAMAGED = """
    @0    disk-truncate invoke start-disk-truncate
    @10   disk-truncate info   start-disk-truncate {'targets': ['n2'], 'damages_disk': %s}
    @90   disk-truncate invoke stop-disk-truncate
    @100  disk-truncate info   stop-disk-truncate {'targets': ['n2'], 'evidence': {'healed': True}}
    @200  recovery invoke %s
    @9000 recovery info   %s %s
"""


@pytest.mark.parametrize(
    ("damages", "silent", "gone", "verdict"),
    [
        (True, ["n2"], [], "unknown"),
        (False, ["n2"], [], "invalid"),
        (True, ["n1", "n2"], [], "invalid"),  # Nobody damaged the disk of n1.
        (True, [], [], "invalid"),  # All serve, and they do not agree who leads.
        (True, ["n2"], ["n2"], "invalid"),  # It did not refuse its disk: it is gone.
    ],
)
def test_node_with_a_damaged_disk_need_not_serve(
    history: Notation, damages: bool, silent: list[str], gone: list[str], verdict: str
) -> None:
    seen = {"evidence": {"held": False, "silent": silent, "gone": gone}}
    text = DAMAGED % (damages, "await-ready", "await-ready", seen)

    result = Liveness()(history(text), Budget())

    assert result.verdict is Verdict(verdict), result.why
    if verdict == "unknown":
        assert "n2, whose disk disk-truncate damaged at 0.010 s, need not serve" in result.why


@pytest.mark.parametrize(
    ("damages", "replicas", "unseen", "verdict"),
    [
        (True, {"n1": "a", "n2": "b", "n3": "a"}, [], "unknown"),
        (False, {"n1": "a", "n2": "b", "n3": "a"}, [], "invalid"),
        (True, {"n1": "a", "n2": "a", "n3": "b"}, [], "invalid"),
        (True, {"n1": "a", "n2": "b", "n3": "no dump: …"}, ["n3"], "unknown"),
        (True, {"n1": "a", "n2": "no dump: …", "n3": "b"}, ["n2"], "invalid"),
    ],
)
def test_node_with_a_damaged_disk_may_hold_something_else(
    history: Notation, damages: bool, replicas: dict[str, str], unseen: list[str], verdict: str
) -> None:
    seen = {"replicas": replicas, "unseen": unseen, "evidence": {"held": False}}
    text = DAMAGED % (damages, "compare-replicas", "compare-replicas", seen)

    assert Liveness()(history(text), Budget()).verdict is Verdict(verdict)


@pytest.mark.parametrize(
    ("damages", "nodes", "verdict"),
    [
        (True, ["n1", "n2", "n3"], "unknown"),
        (True, ["n1", "n3", "n4"], "invalid"),  # All of these have sound disks.
        (False, ["n1", "n2", "n3"], "invalid"),
    ],
)
def test_majority_that_counts_on_a_node_with_a_damaged_disk_may_make_no_progress(
    history: Notation, damages: bool, nodes: list[str], verdict: str
) -> None:
    text = DAMAGED % (
        damages,
        f"await-progress {{'nodes': {nodes}}}",
        "await-progress",
        {"evidence": {"held": False}},
    )

    assert Liveness()(history(text), Budget()).verdict is Verdict(verdict)


NOT_TAKEN_BACK = """
    @0    remove-member invoke start-remove-member
    @10   remove-member info   start-remove-member {'targets': ['n4'], 'evidence': {'held': True}}
    @20   demote invoke start-demote
    @30   demote info   start-demote {'targets': ['n3'], 'evidence': {'held': True}}
    @40   kill invoke kill
    @50   kill info   kill {'targets': ['n1', 'n2', 'n5'], 'evidence': {'held': True}}
    @60   kill invoke start
    @70   kill info   start {'targets': ['n1', 'n2', 'n5'], 'evidence': {'healed': True}}
    @90   remove-member invoke stop-remove-member
    @100  remove-member info   stop-remove-member %s
    @110  demote invoke stop-demote
    @120  demote info   stop-demote %s
    @200  recovery invoke %s
    @9000 recovery info   %s %s
"""


def refused(node: str, *, is_outside: bool, is_refused: bool = True) -> dict[str, object]:
    """The completion of a healing that the system did not carry out, or that just went wrong."""
    of_node = {"outside": True} if is_outside else {}
    why = {"refused": {node: "no change within 15 s"}} if is_refused else {}
    return {"targets": [node], "evidence": {"healed": False, "nodes": {node: of_node}, **why}}


@pytest.mark.parametrize(
    ("is_refused", "silent", "verdict"),
    [
        (True, ["n3"], "invalid"),  # Without its vote a node serves all the same.
        (True, ["n3", "n4"], "invalid"),
        (True, ["n4"], "unknown"),  # It is no member.
        (True, [], "invalid"),
        (False, ["n3"], "unknown"),  # The harness failed to heal.
    ],
)
def test_what_the_system_does_not_take_back_excuses_only_nodes_that_are_no_members(
    history: Notation, is_refused: bool, silent: list[str], verdict: str
) -> None:
    text = NOT_TAKEN_BACK % (
        refused("n4", is_outside=True),
        refused("n3", is_outside=False, is_refused=is_refused),
        "await-ready",
        "await-ready",
        {"evidence": {"held": False, "silent": silent, "gone": []}},
    )

    assert Liveness()(history(text), Budget()).verdict is Verdict(verdict)


def test_majority_that_lacks_nodes_that_are_no_members_need_not_serve(history: Notation) -> None:
    away = {"n4": {"outside": True}, "n5": {"outside": True}, "n3": {"outside": True}}
    why = dict.fromkeys(away, "no change within 15 s")
    text = NOT_TAKEN_BACK % (
        {"targets": list(away), "evidence": {"healed": False, "nodes": away, "refused": why}},
        refused("n3", is_outside=False),
        "await-ready",
        "await-ready",
        {"evidence": {"held": False, "silent": ["n1", "n2", "n3", "n4", "n5"]}},
    )
    result = Liveness()(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "n4, which remove-member took out of the cluster, is no member" in result.why


@pytest.mark.parametrize(
    ("replicas", "verdict"),
    [
        ({"n1": "a", "n2": "a", "n3": "a", "n4": "b", "n5": "a"}, "unknown"),
        ({"n1": "a", "n2": "b", "n3": "a", "n4": "a", "n5": "a"}, "invalid"),
    ],
)
def test_node_that_is_no_member_may_hold_something_else(
    history: Notation, replicas: dict[str, str], verdict: str
) -> None:
    text = NOT_TAKEN_BACK % (
        refused("n4", is_outside=True),
        refused("n3", is_outside=False),
        "compare-replicas",
        "compare-replicas",
        {"replicas": replicas, "evidence": {"held": False}},
    )

    assert Liveness()(history(text), Budget()).verdict is Verdict(verdict)
