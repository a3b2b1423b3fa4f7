"""
What a history of transactions proves of its isolation, found in one call of C.

The one decision that is not obvious: nothing is named or judged here. An outcome is numbers, of
rows, micro-operations, keys and ids of values; who asks puts words to them.

Source: `transactions.h`, which says when a transaction counts and what each anomaly is.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Micro
from dissever.native.graph import CYCLES_MAX, STEPS_MAX, VECTORS_MAX, Cycles, Kind, cycles_of

NONE: Final[int] = lib.TRANSACTIONS_NONE
"""In `other`, `other_micro` and `value`: there is none."""

ANOMALIES_MAX: Final = 64
"""How many anomalies of each kind are kept unless asked otherwise; all are counted."""


class Rules(Enum):
    """What transactions do to a key: append to a list, or write a register."""

    APPEND = lib.TRANSACTIONS_APPEND
    WR = lib.TRANSACTIONS_WR


class Found(Enum):
    """The anomalies that are no cycles; `struct transactions_anomaly` says what shows each."""

    INTERNAL = lib.TRANSACTIONS_INTERNAL
    FUTURE_READ = lib.TRANSACTIONS_FUTURE_READ
    PHANTOM = lib.TRANSACTIONS_PHANTOM
    G1A = lib.TRANSACTIONS_G1A
    G1B = lib.TRANSACTIONS_G1B
    DIRTY_UPDATE = lib.TRANSACTIONS_DIRTY_UPDATE
    DUPLICATE_ELEMENTS = lib.TRANSACTIONS_DUPLICATE_ELEMENTS
    INCOMPATIBLE_ORDER = lib.TRANSACTIONS_INCOMPATIBLE_ORDER
    CYCLIC_VERSIONS = lib.TRANSACTIONS_CYCLIC_VERSIONS
    LOST_UPDATE = lib.TRANSACTIONS_LOST_UPDATE


class OrderLevel(IntEnum):
    """Which dependencies a serial order keeps; each keeps those before it, too."""

    NONE = lib.TRANSACTIONS_NO_ORDER
    DATA = lib.TRANSACTIONS_DATA
    PROCESS = lib.TRANSACTIONS_PROCESS
    REALTIME = lib.TRANSACTIONS_REALTIME


@dataclass(frozen=True, slots=True)
class Anomaly:
    """
    One anomaly that is no cycle; `struct transactions_anomaly` says what each field holds.

    `operation` and `other` are rows of the columns, `micro` and `other_micro` places in the
    micro-operations, `key` is a key of `Micro`, and `value` the id of a value.
    """

    found: Found
    operation: int
    micro: int
    other: int
    other_micro: int
    key: int
    value: int


@dataclass(frozen=True, slots=True)
class Edges:
    """
    The edges of the graph as `graph.h` describes them: kinds are those of `graph.Kind`.

    Rows are the first vertices; those behind them are auxiliary.
    """

    sources: array[int]
    targets: array[int]
    kinds: array[int]
    keys: array[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What C found.

    Attributes:
        anomalies: Those that are no cycles, by kind; at most as many of a kind as were asked for.
        counts: How many of each kind there are, kept or not; none that is zero.
        ambiguous: Keys to which a value was written twice. What is known without those writes
            holds; what is valid without them is not yet proved.
        pairs: Key -> pairs of transactions that write it, and are ok, or open and seen.
        ordered: Key -> those of them whose order is known. Of registers it is a lower bound.
        cycles: Of all levels that were asked for, over rows of the columns.
        order: Rows in a serial order that keeps all known dependencies up to `order_level`: each ok
            transaction, and each open one that counts. Empty where there is none, or any anomaly.
        is_guessed: The order of versions was not known everywhere: the serial order keeps one that
            was guessed.
        refuted: The least level of which no serial order exists, although the edges that are
            certain have no cycle: whatever the order of versions is, there is one. NONE otherwise.
        forced: Why: a cycle of edges that every serial order would have, by paths of any kind.
            Empty where every order of versions was tried. Its own kinds do not name it: what is
            certain is G2-item, of that level.
        vertices: Of the graph, with auxiliary ones.
        edges: How many of each kind the graph has; none that is zero.
        graph: The edges, or None unless they were asked for.
        peak_bytes: The most that C held at one time, without the graph's own working memory.
    """

    anomalies: tuple[Anomaly, ...]
    counts: Mapping[Found, int]
    ambiguous: tuple[int, ...]
    pairs: array[int]
    ordered: array[int]
    cycles: Cycles
    order: array[int]
    order_level: OrderLevel
    is_guessed: bool
    refuted: OrderLevel
    forced: Cycles
    vertices: int
    edges: Mapping[Kind, int]
    graph: Edges | None
    peak_bytes: int

    @property
    def completeness(self) -> float:
        """The share of ordered pairs of writers over all keys, 0 to 1; 1 without pairs."""
        pairs = sum(self.pairs)
        return sum(self.ordered) / pairs if pairs else 1.0


def judge_transactions(
    micro: Micro,
    rules: Rules,
    *,
    process: bool = True,
    realtime: bool = True,
    keep_edges: bool = False,
    anomalies_max: int = ANOMALIES_MAX,
    cycles_max: int = CYCLES_MAX,
    vectors_max: int = VECTORS_MAX,
    steps_max: int = STEPS_MAX,
) -> Outcome:
    """
    Judge a history of transactions; see `transactions.h`.

    Args:
        process: Whether process order is among the dependencies.
        realtime: Whether realtime order is. A history without times has none.
        keep_edges: Whether the outcome gets the edges of the graph.
        anomalies_max: How many anomalies of each kind to keep.
        cycles_max: How many cycles of each class to keep.
        vectors_max: A budget; see `graph_options`, as for `steps_max`.

    Raises:
        ValueError: When a micro-operation does not fit the rules, which names its operation; when
            the arrays contradict each other; or with more than 2^31 - 2 micro-operations.
        MemoryError: When it does not fit into memory.
    """
    options = ffi.new(
        "struct transactions_options *",
        {
            "rules": rules.value,
            "process": process,
            "realtime": realtime,
            "keep_edges": keep_edges,
            "anomalies_max": anomalies_max,
            "graph": (cycles_max, 0, vectors_max, steps_max),
        },
    )
    outcome = ffi.new("struct transactions_outcome *")
    try:
        lib.transactions_judge(micro.columns.pointer(), micro.pointer(), options, outcome)
        _raise_for(outcome, micro, rules)
        return _outcome(outcome, _edges(outcome.edges) if keep_edges else None)
    finally:
        lib.transactions_free(outcome)


def _raise_for(outcome: Any, micro: Micro, rules: Rules) -> None:
    if outcome.status == lib.TRANSACTIONS_MEMORY:
        raise MemoryError("the transactions do not fit into memory")
    if outcome.status == lib.TRANSACTIONS_LARGE:
        raise ValueError("expected at most 2^31 - 2 micro-operations and elements of lists")
    if outcome.status == lib.TRANSACTIONS_MALFORMED:
        if outcome.place < 0:
            raise ValueError("the columns and micro-operations contradict each other")
        rows = range(len(micro.columns))
        row = next((i for i in rows if micro.first[i + 1] > outcome.place), 0)
        wanted = "appends and reads of lists" if rules is Rules.APPEND else "writes and reads"
        raise ValueError(
            f"expected {wanted}, got another micro-operation at place "
            f"{outcome.place - micro.first[row]} of the transaction at event "
            f"{micro.columns.inv[row]}"
        )


def _outcome(outcome: Any, graph: Edges | None) -> Outcome:
    ambiguous = bytes(ffi.buffer(outcome.ambiguous, outcome.keys_n))
    return Outcome(
        anomalies=tuple(_anomaly(outcome.anomalies[i]) for i in range(outcome.anomalies_n)),
        counts={each: n for each in Found if (n := outcome.counts[each.value])},
        ambiguous=tuple(key for key, is_ambiguous in enumerate(ambiguous) if is_ambiguous),
        pairs=_integers("q", outcome.pairs, outcome.keys_n),
        ordered=_integers("q", outcome.ordered, outcome.keys_n),
        cycles=cycles_of(ffi.addressof(outcome, "cycles")),
        order=_integers("i", outcome.order, outcome.order_n),
        order_level=OrderLevel(outcome.order_level),
        is_guessed=bool(outcome.is_guessed),
        refuted=OrderLevel(outcome.refuted),
        forced=cycles_of(ffi.addressof(outcome, "forced")),
        vertices=outcome.vertices,
        edges={kind: n for kind in Kind if (n := outcome.edges_n[kind.value])},
        graph=graph,
        peak_bytes=outcome.bytes,
    )


def _edges(edges: Any) -> Edges:
    return Edges(
        _integers("I", getattr(edges, "from"), edges.n),
        _integers("I", edges.to, edges.n),
        _integers("B", edges.kind, edges.n),
        _integers("i", edges.key, edges.n),
    )


def _anomaly(of: Any) -> Anomaly:
    return Anomaly(
        Found(of.kind), of.operation, of.micro, of.other, of.other_micro, of.key, of.value
    )


def _integers(code: str, pointer: Any, n: int) -> array[int]:
    integers: array[int] = array(code)
    if n:
        integers.frombytes(ffi.buffer(pointer, n * integers.itemsize))
    return integers
