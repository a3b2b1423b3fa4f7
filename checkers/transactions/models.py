"""
The consistency models of transactions, which of them are stronger, and what each forbids.

The decision that is not obvious: what a model forbids directly is declared, and everything else
follows. An anomaly contradicts each model that forbids it, or that forbids what it implies, and
each model that is stronger than one of these. Session order is a dimension of its own, as real time
is: only the models called `strong-session-…` and `causal` have it.

Sources: Adya 1999; Cerone, Bernardi and Gotsman 2015; Bailis et al. 2013; Biswas and Enea 2019;
Elle's `consistency_model.clj`, whose names these are.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from dissever.harness.values import quoted

SERIALIZABLE: Final = "serializable"

PROCESS: Final = "-process"
REALTIME: Final = "-realtime"
"""What the name of an anomaly ends with if its cycle needs such an edge."""


@dataclass(frozen=True, slots=True)
class ConsistencyModel:
    """
    One model. `weaker` are the models that it implies directly, and `forbids` the anomalies that it
    forbids in addition to theirs.
    """

    description: str
    weaker: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


MODELS: Final[Mapping[str, ConsistencyModel]] = {
    "strict-serializable": ConsistencyModel(
        "serializable, in an order that agrees with real time",
        ("strong-session-serializable", "strong-snapshot-isolation", "linearizable"),
        ("G1c-realtime", "G2-realtime"),
        ("PL-SS", "strong-serializable"),
    ),
    "strong-session-serializable": ConsistencyModel(
        "serializable, in an order that agrees with that of each process",
        ("serializable", "strong-session-snapshot-isolation"),
        ("G1c-process", "G2-process"),
    ),
    "strong-snapshot-isolation": ConsistencyModel(
        "snapshot isolation, and each snapshot holds what was committed before it began",
        ("strong-session-snapshot-isolation",),
        ("G1c-realtime", "G-nonadjacent-predicate-realtime"),
        ("strong-SI",),
    ),
    "strong-session-snapshot-isolation": ConsistencyModel(
        "snapshot isolation, and each snapshot holds what its own process committed before",
        ("snapshot-isolation", "causal"),
        ("G1c-process", "G-nonadjacent-predicate-process"),
        ("strong-session-SI",),
    ),
    SERIALIZABLE: ConsistencyModel(
        "the transactions could have run one after another",
        ("repeatable-read", "snapshot-isolation", "update-serializable", "view-serializable"),
        ("internal", "G1", "G2", "predicate-read-miss"),
        ("PL-3", "conflict-serializable"),
    ),
    "snapshot-isolation": ConsistencyModel(
        "reads come from one snapshot, and of two that write the same, one sees the other",
        (
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ),
        ("internal", "G1", "G-nonadjacent-predicate"),
        ("PL-SI", "SI"),
    ),
    "parallel-snapshot-isolation": ConsistencyModel(
        "as snapshot isolation, but two observers may see two commits in different orders",
        ("causal-cerone", "update-atomic"),
        ("internal", "G1a"),
        ("PSI",),
    ),
    "prefix": ConsistencyModel(
        "reads come from a snapshot of the commits up to some moment",
        ("causal-cerone",),
        ("internal", "G1a"),
        ("prefix-consistency",),
    ),
    "causal": ConsistencyModel(
        "what a transaction sees, it sees with everything that led to it, its own past included",
        ("causal-cerone", "strong-session-read-atomic"),
        ("non-causal-read-process",),
        ("transactional-causal", "TCC"),
    ),
    "causal-cerone": ConsistencyModel(
        "what a transaction sees, it sees with everything that led to it",
        ("read-atomic",),
        ("internal", "G1a", "non-causal-read"),
    ),
    "update-atomic": ConsistencyModel(
        "read atomic, and no update is lost",
        ("read-atomic",),
        ("lost-update",),
    ),
    "strong-session-read-atomic": ConsistencyModel(
        "read atomic, and a transaction sees what its own process committed before",
        ("read-atomic", "strong-session-monotonic-atomic-view"),
        ("fractured-read-process",),
        ("AWDIT-RA",),
    ),
    "read-atomic": ConsistencyModel(
        "a transaction sees all writes of another, or none",
        ("monotonic-atomic-view",),
        ("internal", "G1a", "future-read", "fractured-read"),
        ("RA", "RAMP"),
    ),
    "strong-session-monotonic-atomic-view": ConsistencyModel(
        "monotonic atomic view, in an order that agrees with that of each process",
        ("monotonic-atomic-view",),
        ("G1c-process", "G-monotonic-process"),
        ("AWDIT-RC",),  # What Biswas and Enea, and AWDIT, call read committed.
    ),
    "repeatable-read": ConsistencyModel(
        "serializable, as far as single items go: predicates may see phantoms",
        ("cursor-stability", "monotonic-atomic-view"),
        ("G1", "G2-item", "lost-update"),
        ("PL-2.99",),
    ),
    "update-serializable": ConsistencyModel(
        "the transactions that write are serializable, and each reader agrees with them",
        ("forward-consistent-view",),
        ("G1", "G-update"),
        ("PL-3U",),
    ),
    "forward-consistent-view": ConsistencyModel(
        "reads come from a consistent state that may be later than the beginning",
        ("consistent-view",),
        ("G1", "G-SIb"),
        ("PL-FCV",),
    ),
    "consistent-view": ConsistencyModel(
        "reads come from a consistent state",
        ("cursor-stability", "monotonic-view"),
        ("G1", "G-single-predicate"),
        ("PL-2+",),
    ),
    "monotonic-snapshot-read": ConsistencyModel(
        "each read comes from a snapshot, and snapshots do not go back",
        ("read-committed",),
        ("G1", "G-MSR"),
        ("PL-MSR",),
    ),
    "monotonic-view": ConsistencyModel(
        "what a transaction has seen of another stays visible to it",
        ("read-committed",),
        ("G1", "G-monotonic"),
        ("PL-2L",),
    ),
    "monotonic-atomic-view": ConsistencyModel(
        "once a transaction sees one write of another, it sees all of them",
        ("read-committed",),
        ("G1", "G-monotonic"),
        ("MAV",),
    ),
    "cursor-stability": ConsistencyModel(
        "read committed, and no update is lost",
        ("read-committed",),
        ("G1", "G-cursor", "lost-update"),
        ("PL-CS",),
    ),
    "read-committed": ConsistencyModel(
        "no transaction sees what was not committed",
        ("read-uncommitted",),
        ("G1",),
        ("PL-2", "RC"),
    ),
    "read-uncommitted": ConsistencyModel(
        "all writes of two transactions are in one order",
        (),
        ("G0", "duplicate-elements", "cyclic-versions", "phantom"),
        ("PL-1",),
    ),
    "view-serializable": ConsistencyModel(
        "each transaction read what it would read in some serial order",
    ),
    "linearizable": ConsistencyModel(
        "each object takes effect at one instant; --model judges it", ("sequential",)
    ),
    "sequential": ConsistencyModel("one order that agrees with each process", ("causal-memory",)),
    "causal-memory": ConsistencyModel(
        "reads agree with what led to them", ("writes-follow-reads", "PRAM")
    ),
    "writes-follow-reads": ConsistencyModel("a write comes after what its process has read"),
    "PRAM": ConsistencyModel(
        "the writes of each process are seen in order",
        ("monotonic-reads", "monotonic-writes", "read-your-writes"),
        aliases=("pipelined-RAM",),
    ),
    "monotonic-reads": ConsistencyModel("the reads of a process do not go back"),
    "monotonic-writes": ConsistencyModel("the writes of a process are seen in order"),
    "read-your-writes": ConsistencyModel("a process sees what it has written"),
}
"""By name. Those after `read-uncommitted` have no anomaly here, so no history rules them out."""

OF_CYCLES: Final = (
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "G-single-predicate",
    "G-nonadjacent-predicate",
    "G2",
)
"""The classes of cycles; each exists also with PROCESS and with REALTIME."""

OF_AXIOMS: Final = ("G-monotonic", "fractured-read", "non-causal-read")
"""The cycles of the weak models; each exists also with PROCESS."""

IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "G0": ("G1c",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "G-single": ("G-single-predicate", "G2-item"),
    "G-single-predicate": ("G-nonadjacent-predicate",),
    "G-nonadjacent": ("G-nonadjacent-predicate", "G2-item"),
    "G-nonadjacent-predicate": ("G2",),
    "G2-item": ("G2",),
    "write-skew": ("G2-item",),
    "lost-update": ("G2-item",),
    "future-read": ("G1c",),
    "dirty-update": ("G1a",),
    "incompatible-order": ("G1a",),
}
"""
What else a history has that has one of these. A cycle of items is one of those that may have
predicates, and one without edges of processes and real time is one of those that may have them.
"""


def named(name: str) -> str:
    """
    The name of a model, by any of its names, whatever the case.

    Raises:
        ValueError: When there is no such model: one line, with the nearest name.
    """
    found = _by_any_name().get(name.lower())
    if found is not None:
        return found
    nearest = difflib.get_close_matches(name.lower(), _by_any_name(), n=1, cutoff=0.5)
    hint = f"; did you mean {_spelled(nearest[0])}?" if nearest else ""
    raise ValueError(
        f"expected a consistency model out of {', '.join(DECIDED)}, got {quoted(name)}{hint}"
    )


def judged_by(name: str) -> str:
    """
    The name of a model that a history can be judged by, by any of its names.

    Raises:
        ValueError: When there is no such model, or it is judged only by way of others.
    """
    model = named(name)
    if model in DECIDED:
        return model
    raise ValueError(
        f"expected a consistency model out of {', '.join(DECIDED)}, got {quoted(name)}, "
        "which no history of transactions is judged by"
    )


@cache
def lattice() -> Any:
    """A `networkx.DiGraph` of all models, with an edge from each to those it implies directly."""
    import networkx  # It takes 0.2 s, and no verdict needs it.

    graph = networkx.DiGraph()
    graph.add_nodes_from(MODELS)
    graph.add_edges_from((name, each) for name, model in MODELS.items() for each in model.weaker)
    return graph


@cache
def weaker(name: str) -> frozenset[str]:
    """The models that a model implies, itself included."""
    return frozenset({name}).union(*map(weaker, MODELS[name].weaker))


@cache
def implied(anomaly: str) -> frozenset[str]:
    """What a history has that has an anomaly, the anomaly included."""
    found, waiting = {anomaly}, [anomaly]
    while waiting:
        for each in _directly_implied(waiting.pop()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return frozenset(found)


@cache
def forbidden(name: str) -> frozenset[str]:
    """All that a model forbids by name, what it forbids by way of weaker models included."""
    return frozenset(anomaly for each in weaker(name) for anomaly in MODELS[each].forbids)


def forbids(name: str, anomaly: str) -> bool:
    """Whether a history with the anomaly contradicts the model."""
    return not forbidden(name).isdisjoint(implied(anomaly))


def keeps_processes(name: str) -> bool:
    """Whether a model speaks of the order in which each process made its transactions."""
    return forbids(name, "G1c" + PROCESS)


def keeps_time(name: str) -> bool:
    """Whether a model speaks of real time."""
    return forbids(name, "G1c" + REALTIME)


def ruled_out(anomalies: Iterable[str]) -> frozenset[str]:
    """The models that one of the anomalies contradicts."""
    shown = frozenset(each for anomaly in anomalies for each in implied(anomaly))
    if not shown:
        return frozenset()
    return frozenset(name for name in MODELS if not forbidden(name).isdisjoint(shown))


def weakest_ruled_out(anomalies: Iterable[str]) -> tuple[str, ...]:
    """Of the models that are ruled out, those that imply no other of them; strongest first."""
    out = ruled_out(anomalies)
    return _ordered(name for name in out if not out & (weaker(name) - {name}))


def strongest_remaining(
    anomalies: Iterable[str], among: Collection[str] | None = None
) -> tuple[str, ...]:
    """
    Of the models that are not ruled out, those that no other of them implies; strongest first.

    Args:
        among: Only these; None: all that an anomaly can rule out directly or by a weaker one.
    """
    left = frozenset(DECIDABLE if among is None else among) - ruled_out(anomalies)
    return _ordered(
        name for name in left if not any(name in weaker(each) for each in left - {name})
    )


def _directly_implied(anomaly: str) -> tuple[str, ...]:
    for suffix, next_suffix in (("", PROCESS), (PROCESS, REALTIME), (REALTIME, "")):
        bare = anomaly.removesuffix(suffix) if suffix else anomaly
        if bare in OF_CYCLES and anomaly == bare + suffix:
            same = tuple(each + suffix for each in IMPLIED.get(bare, ()) if each in OF_CYCLES)
            others = IMPLIED.get(bare, ()) if not suffix else ()
            return (*same, *others, *((bare + next_suffix,) if next_suffix else ()))
        if bare in OF_AXIOMS and anomaly == bare:
            return (bare + PROCESS,)
    return IMPLIED.get(anomaly, ())


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    """In the order of MODELS: a stronger one comes first."""
    found = frozenset(names)
    return tuple(name for name in MODELS if name in found)


@cache
def _by_any_name() -> dict[str, str]:
    return {each.lower(): name for name, model in MODELS.items() for each in (name, *model.aliases)}


def _spelled(lower: str) -> str:
    name = _by_any_name()[lower]
    return next(each for each in (name, *MODELS[name].aliases) if each.lower() == lower)


DECIDABLE: Final = tuple(MODELS)[: tuple(MODELS).index("read-uncommitted") + 1]
"""The models of transactions that anomalies rule out."""

DECIDED: Final = (
    "strict-serializable",
    "strong-session-serializable",
    "strong-snapshot-isolation",
    "strong-session-snapshot-isolation",
    SERIALIZABLE,
    "snapshot-isolation",
    "repeatable-read",
    "consistent-view",
    "causal",
    "causal-cerone",
    "strong-session-read-atomic",
    "read-atomic",
    "strong-session-monotonic-atomic-view",
    "monotonic-atomic-view",
    "read-committed",
    "read-uncommitted",
)
"""The models that a history can be judged by: whatever contradicts them is an anomaly of ours."""
