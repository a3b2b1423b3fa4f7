"""The kind of a failure: equal for equal kinds, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from dissever.harness import store
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Edge, Result, Step, Verdict, merge
from dissever.signature import Signature, signature_of, signatures_of, signed
from dissever.traces import roles_of


def found(checker: str, *anomalies: Anomaly) -> Result:
    return Result(checker=checker, verdict=Verdict.INVALID, why="bad", anomalies=anomalies)


def cycle(*kinds: str) -> Anomaly:
    edges = tuple(Edge(source=at, target=at + 1, kind=kind) for at, kind in enumerate(kinds))
    return Anomaly(name="G2", summary="a cycle", indices=(), cycle=edges)


def crash(text: str) -> Anomaly:
    return Anomaly(name="crash", summary=text, indices=())


def text_of(*results: Result, history: History | None = None) -> str:
    signature = signature_of(merge(results), history or History())
    return "" if signature is None else signature.text


@pytest.mark.parametrize(
    ("kinds", "shape"),
    [
        (("rw", "wr"), "rw-wr"),
        (("wr", "rw"), "rw-wr"),
        (("wr", "wr", "rw", "wr"), "rw-wr"),
        (("rw", "rw"), "rw"),
        (("ww", "rw", "wr"), "rw-wr-ww"),
        (("rw", "ww", "wr"), "rw-ww-wr"),
    ],
)
def test_a_cycle_has_the_kinds_of_its_edges_wherever_it_begins(
    kinds: tuple[str, ...], shape: str
) -> None:
    assert text_of(found("transactions", cycle(*kinds))) == f"transactions/G2/{shape}"


def test_a_crash_has_its_signal_and_the_place_that_the_log_of_that_node_names() -> None:
    log = Anomaly(
        name="assertion",
        summary="n2: an assertion failed: x",
        indices=(),
        steps=(
            Step("nodes/n2/stderr.log:7: server: src/replication.c:412: f: Assertion `x' failed."),
        ),
    )
    ended = crash("n2: process 3 ended by SIGABRT at 7.012 s, and nobody asked for that")

    assert text_of(found("nodes", ended), found("logs", log)) == "nodes/crash/SIGABRT/replication.c"
    assert text_of(found("nodes", ended)) == "nodes/crash/SIGABRT"
    assert text_of(found("logs", log)) == "logs/assertion/replication.c"


def test_a_crash_has_the_place_that_its_last_words_name() -> None:
    def crashed(words: str) -> str:
        text = "n5: process 1 ended by SIGSEGV at 13.556 s, and nobody asked for that"
        steps = (Step(text), Step(f"nodes/n5/stderr-1.log:1: {words}"))
        return text_of(found("nodes", structs.replace(crash(text), steps=steps)))

    words = "n5: ended by signal 11 in legacyPersistSnapshotStart < takeSnapshotCb < finished"
    assert crashed(words) == "nodes/crash/SIGSEGV/legacyPersistSnapshotStart"
    assert crashed("fatal: there was a mistake in the file") == "nodes/crash/SIGSEGV"


def test_a_crash_of_another_node_does_not_have_its_place() -> None:
    log = Anomaly(name="abort", summary="n1: x", indices=(), steps=(Step("n1.log:1: a.c:1: x"),))
    ended = crash("n2: process 3 ended with exit status 7, and nobody asked for that")

    assert text_of(found("nodes", ended), found("logs", log)) == "nodes/crash/exit-7"


def answered(*, node: str = "n1") -> tuple[History, Anomaly]:
    """A read that overlaps a failed write, which was invoked last."""
    history = History(
        [
            Event(0, 1_000, 0, Type.INVOKE, "read", node=node),
            Event(1, 2_000, 1, Type.INVOKE, "write", 5, node="n2"),
            Event(2, 3_000, 1, Type.FAIL, "write", 5, node="n2"),
            Event(3, 4_000, 0, Type.OK, "read", 5, node=node),
        ]
    )
    return history, Anomaly(name="aborted-read", summary="x", indices=(0, 1, 2, 3))


def test_the_shape_of_an_answer_is_what_was_answered_and_not_what_was_asked_last() -> None:
    history, anomaly = answered()

    assert text_of(found("linearizable", anomaly), history=history) == (
        "linearizable/aborted-read/read"
    )


ROLES = """\
{"time": 0, "kind": "server", "node": "n1", "role": "follower", "term": 1}
no JSON
{"time": 3500, "kind": "server", "node": "n1", "role": "leader", "term": 2}
{"time": 4500, "kind": "server", "node": "n1", "role": "none", "term": 2}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stale-read", "linearizable/stale-read/read@leader"),
        ("aborted-read", "linearizable/aborted-read/read"),
    ],
)
def test_a_stale_answer_has_the_role_of_the_node_when_it_answered(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / store.SIMULATION).write_text(ROLES)
    roles = roles_of(tmp_path)
    history, anomaly = answered()
    results = merge([found("linearizable", structs.replace(anomaly, name=name))])
    results = signed(results, history, roles)

    assert results.signature == results.results[0].anomalies[0].signature == text
    assert [roles("n1", at) for at in (-1, 0, 5000)] == ["", "follower", ""]


def test_a_role_that_one_of_two_does_not_know_makes_no_difference() -> None:
    leader, follower, unknown = (Signature("c", "a", "read", role) for role in ("l", "f", ""))

    assert leader.matches(unknown)
    assert unknown.matches(follower)
    assert not leader.matches(follower)


def test_without_a_shape_it_covers_every_shape_and_no_other_failure() -> None:
    crash, aborted = Signature("nodes", "crash"), Signature("nodes", "crash", "SIGABRT")

    assert crash.covers(aborted)
    assert crash.covers(crash)
    assert not aborted.covers(Signature("nodes", "crash", "SIGSEGV"))
    assert not crash.covers(Signature("logs", "crash", "SIGABRT"))


def test_a_lost_write_is_a_stale_read_too_and_not_the_other_way_round() -> None:
    stale, lost = Signature("linearizable", "stale-read", "read", "leader"), "lost-write"

    assert stale.covers(Signature("linearizable", lost, "read"))
    assert Signature("set", "stale-read").covers(Signature("set", "lost"))
    assert not Signature("linearizable", lost, "read").covers(stale)
    assert not stale.covers(Signature("linearizable", lost, "cas"))
    assert not stale.covers(Signature("set", lost, "read"))


def test_that_of_the_verdict_comes_first_and_each_kind_once() -> None:
    doubtful = Result(checker="run", verdict=Verdict.UNKNOWN, why="cut")
    results = merge([doubtful, found("transactions", cycle("rw", "wr"), cycle("wr", "rw"))])

    assert [each.text for each in signatures_of(results, History())] == [
        "transactions/G2/rw-wr",
        "run/unknown",
    ]


def test_a_valid_run_has_none() -> None:
    assert text_of(Result(checker="set", verdict=Verdict.VALID, why="fine")) == ""


@pytest.mark.parametrize("text", ["a/b", "a/b/c", "a/b@leader", "a/b/c/d@leader"])
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert Signature.parsed(text).text == text


@pytest.mark.parametrize("text", ["", "a", "a/", "/b", "@leader"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a signature such as checker/anomaly"):
        Signature.parsed(text)
