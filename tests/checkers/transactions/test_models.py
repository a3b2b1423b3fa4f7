"""The lattice of consistency models: every implication, every name, and what rules out what."""

import networkx
import pytest

from dissever.checkers.transactions.models import (
    DECIDABLE,
    DECIDED,
    IMPLIED,
    MODELS,
    OF_AXIOMS,
    OF_CYCLES,
    forbidden,
    forbids,
    implied,
    lattice,
    named,
    ruled_out,
    strongest_remaining,
    weaker,
    weakest_ruled_out,
)

ANOMALIES = sorted(
    {*IMPLIED, "internal", "phantom", "duplicate-elements", "cyclic-versions", *OF_AXIOMS}
    | {name + suffix for name in OF_CYCLES for suffix in ("", "-process", "-realtime")}
)

IMPLICATIONS = """
strict-serializable: linearizable strong-snapshot-isolation strong-session-serializable
strong-session-serializable: serializable strong-session-snapshot-isolation
strong-snapshot-isolation: strong-session-snapshot-isolation
strong-session-snapshot-isolation: snapshot-isolation causal
serializable: repeatable-read snapshot-isolation update-serializable view-serializable
snapshot-isolation: forward-consistent-view monotonic-atomic-view monotonic-snapshot-read
snapshot-isolation: parallel-snapshot-isolation prefix
parallel-snapshot-isolation: causal-cerone update-atomic
prefix: causal-cerone
causal: causal-cerone strong-session-read-atomic
causal-cerone: read-atomic
update-atomic: read-atomic
strong-session-read-atomic: read-atomic strong-session-monotonic-atomic-view
read-atomic: monotonic-atomic-view
monotonic-atomic-view: read-committed
read-committed: read-uncommitted
strong-session-monotonic-atomic-view: monotonic-atomic-view
repeatable-read: cursor-stability monotonic-atomic-view
update-serializable: forward-consistent-view
forward-consistent-view: consistent-view
consistent-view: cursor-stability monotonic-view
cursor-stability: read-committed
monotonic-view: read-committed
monotonic-snapshot-read: read-committed
linearizable: sequential
sequential: causal-memory
causal-memory: writes-follow-reads PRAM
PRAM: monotonic-reads monotonic-writes read-your-writes
"""
PAIRS = [
    (stronger.strip(), each)
    for stronger, rest in (line.split(":") for line in IMPLICATIONS.split("\n") if line)
    for each in rest.split()
]


def test_the_lattice_holds_these_implications_and_no_others() -> None:
    assert set(lattice().edges) == set(PAIRS)
    assert networkx.is_directed_acyclic_graph(lattice())
    for name in MODELS:
        assert weaker(name) == {name} | networkx.descendants(lattice(), name)


def test_models_are_declared_with_the_stronger_ones_first() -> None:
    place = list(MODELS).index

    assert all(
        place(each) > place(name) or each == "strong-snapshot-isolation"
        for name, model in MODELS.items()
        for each in model.weaker
    )


@pytest.mark.parametrize(("stronger", "weak"), PAIRS)
def test_a_stronger_model_forbids_all_that_a_weaker_one_forbids(stronger: str, weak: str) -> None:
    assert weak in weaker(stronger)
    assert forbidden(weak) <= forbidden(stronger)
    for anomaly in ANOMALIES:
        assert forbids(stronger, anomaly) or not forbids(weak, anomaly), anomaly


@pytest.mark.parametrize(
    ("anomaly", "weakest"),
    [
        ("G0", {"read-uncommitted"}),
        ("duplicate-elements", {"read-uncommitted"}),
        ("cyclic-versions", {"read-uncommitted"}),
        ("phantom", {"read-uncommitted"}),
        ("G1a", {"read-committed"}),
        ("G1b", {"read-committed"}),
        ("G1c", {"read-committed"}),
        ("dirty-update", {"read-committed"}),
        ("incompatible-order", {"read-committed"}),
        ("future-read", {"read-committed"}),
        ("G-monotonic", {"monotonic-view", "monotonic-atomic-view"}),
        ("lost-update", {"cursor-stability", "update-atomic"}),
        ("internal", {"read-atomic"}),
        ("fractured-read", {"read-atomic"}),
        ("non-causal-read", {"causal-cerone"}),
        ("G-single", {"consistent-view", "repeatable-read"}),
        ("G-nonadjacent", {"snapshot-isolation", "repeatable-read"}),
        ("G2-item", {"repeatable-read"}),
        ("write-skew", {"repeatable-read"}),
        ("G-single-predicate", {"consistent-view"}),
        ("G-nonadjacent-predicate", {"snapshot-isolation"}),
        ("G2", {"serializable"}),
        ("G0-process", {"strong-session-monotonic-atomic-view"}),
        ("G1c-process", {"strong-session-monotonic-atomic-view"}),
        ("fractured-read-process", {"strong-session-read-atomic"}),
        ("non-causal-read-process", {"causal"}),
        ("G-single-process", {"strong-session-snapshot-isolation"}),
        ("G-nonadjacent-process", {"strong-session-snapshot-isolation"}),
        ("G2-item-process", {"strong-session-serializable"}),
        ("G0-realtime", {"strong-snapshot-isolation"}),
        ("G1c-realtime", {"strong-snapshot-isolation"}),
        ("G-single-realtime", {"strong-snapshot-isolation"}),
        ("G-nonadjacent-realtime", {"strong-snapshot-isolation"}),
        ("G2-item-realtime", {"strict-serializable"}),
    ],
)
def test_the_weakest_models_that_an_anomaly_rules_out(anomaly: str, weakest: set[str]) -> None:
    assert set(weakest_ruled_out([anomaly])) == weakest
    assert "strict-serializable" in ruled_out([anomaly])


@pytest.mark.parametrize(
    ("anomalies", "left"),
    [
        ([], {"strict-serializable"}),
        (["G0"], set()),
        (["G1c"], {"read-uncommitted"}),
        (["G2"], {"strong-snapshot-isolation", "repeatable-read", "update-serializable"}),
        (["write-skew"], {"strong-snapshot-isolation", "update-serializable"}),
        (["G2-item-process"], {"serializable", "strong-snapshot-isolation"}),
        (["G1c-realtime"], {"strong-session-serializable"}),
        (["G-single-process"], {"serializable", "causal"}),
        (["G-single-process", "write-skew"], {"snapshot-isolation", "causal"}),
    ],
)
def test_the_strongest_models_that_remain(anomalies: list[str], left: set[str]) -> None:
    found = set(strongest_remaining(anomalies))

    assert left <= found
    assert not {each for name in found for each in weaker(name) - {name}} & found


def test_several_anomalies_rule_out_what_each_of_them_does() -> None:
    assert ruled_out(["G1c-realtime", "write-skew"]) == ruled_out(["G1c-realtime"]) | ruled_out(
        ["write-skew"]
    )
    assert ruled_out([]) == frozenset()


@pytest.mark.parametrize("name", OF_CYCLES)
def test_a_cycle_on_data_is_one_with_processes_and_that_one_with_real_time(name: str) -> None:
    assert name + "-process" in implied(name)
    assert name + "-realtime" in implied(name + "-process")
    assert name not in implied(name + "-process")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("PL-1", "read-uncommitted"),
        ("PL-2", "read-committed"),
        ("pl-2+", "consistent-view"),
        ("PL-2L", "monotonic-view"),
        ("PL-CS", "cursor-stability"),
        ("PL-MSR", "monotonic-snapshot-read"),
        ("PL-FCV", "forward-consistent-view"),
        ("PL-2.99", "repeatable-read"),
        ("PL-3U", "update-serializable"),
        ("PL-SI", "snapshot-isolation"),
        ("si", "snapshot-isolation"),
        ("PL-3", "serializable"),
        ("conflict-serializable", "serializable"),
        ("strong-SI", "strong-snapshot-isolation"),
        ("strong-session-SI", "strong-session-snapshot-isolation"),
        ("PL-SS", "strict-serializable"),
        ("awdit-rc", "strong-session-monotonic-atomic-view"),
        ("Serializable", "serializable"),
    ],
)
def test_a_model_is_known_by_all_its_names(alias: str, name: str) -> None:
    assert named(alias) == name


def test_a_name_that_is_none_gets_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"got 'serialisable'; did you mean serializable\?$"):
        named("serialisable")
    with pytest.raises(ValueError, match=r"got 'PL2'; did you mean PL-2\?$"):
        named("PL2")
    with pytest.raises(ValueError, match=r"got 'xyzzy'$"):
        named("xyzzy")


def test_no_name_is_that_of_two_models() -> None:
    every = [each.lower() for name, model in MODELS.items() for each in (name, *model.aliases)]

    assert len(every) == len(set(every))


def test_only_models_of_transactions_can_be_ruled_out_and_decided() -> None:
    assert ruled_out(ANOMALIES) - {"strict-serializable"} == set(DECIDABLE) - {
        "strict-serializable"
    }
    assert set(DECIDED) <= set(DECIDABLE)
