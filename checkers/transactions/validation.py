"""
The validator: whether the evidence for a verdict holds. It shares nothing with the engine.

A serial order is replayed on real states, and so are the start and commit points of snapshot
isolation. What is called invalid is derived once more from the micro-operations: each edge of a
cycle in `edges`, and the anomalies without a cycle in `findings`.

Sources: Papadimitriou, "The serializability of concurrent database updates" (1979); Berenson et
al., "A critique of ANSI SQL isolation levels" (1995), for snapshot isolation; Adya, "Weak
consistency" (1999), for cycles.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from dissever.checkers.transactions import findings
from dissever.checkers.transactions.edges import Edges
from dissever.checkers.transactions.recorded import Micro, Transaction, Written, transactions
from dissever.harness.history import History, Process
from dissever.harness.results import Anomaly, Edge
from dissever.harness.values import show, thaw

Point: TypeAlias = tuple[int, Literal["start", "commit"]]
"""The index of an invocation, and which of its two points in time is meant."""

SERIAL: Final = {
    "serializable": (False, False),
    "strong-session-serializable": (True, False),
    "strict-serializable": (True, True),
}
"""Models that an order can prove: whether it must keep the order of processes, and of real time."""

SNAPSHOT: Final = {
    "snapshot-isolation": (False, False),
    "strong-session-snapshot-isolation": (True, False),
    "strong-snapshot-isolation": (True, True),
}
"""Models that points prove, in the same way."""

CLASSES: Final = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")


def refute_order(
    history: History, order: Sequence[int], *, model: str, rules: str = "append"
) -> str | None:
    """
    Why a serial order does not prove the model, or None when it does.

    Each ok transaction stands in it once, one that nobody knows about at most once, a failed one
    never. Every answer is that of the state that the transactions before have left.

    Args:
        order: Indices of invocations.
        model: One of SERIAL.
        rules: `append` for lists that are empty at first, or `wr` for registers that hold None.

    Raises:
        ValueError: When no order can prove the model.
    """
    by_process, by_time = _demands(SERIAL, model)
    known = transactions(history, rules=rules)
    flaw = _flaw_in_members(known, order, "the order")
    if flaw is not None:
        return flaw
    placed = [known[index] for index in order]
    state: dict[Hashable, Any] = {}
    for each in placed:
        flaw = _flaw_in_answers(each, state, rules)
        if flaw is not None:
            return flaw
    return _flaw_in_succession(placed, placed, by_process=by_process, by_time=by_time)


def refute_points(
    history: History, points: Sequence[Point], *, model: str, rules: str = "append"
) -> str | None:
    """
    Why an order of start and commit points does not prove the model, or None when it does.

    A read sees what was committed before the start of its transaction, and what the transaction
    wrote itself. Of two transactions that write one key, one commits before the other starts.

    Args:
        points: Each transaction has two, its start first. Who counts is as in `refute_order`.
        model: One of SNAPSHOT.

    Raises:
        ValueError: When no points can prove the model.
    """
    by_process, by_time = _demands(SNAPSHOT, model)
    known = transactions(history, rules=rules)
    starts = [index for index, point in points if point == "start"]
    commits = [index for index, point in points if point == "commit"]
    flaw = _flaw_in_members(known, commits, "the commit points")
    if flaw is None and (len(starts) != len(set(starts)) or set(starts) != set(commits)):
        flaw = "a transaction has not exactly one start and one commit point"
    if flaw is not None:
        return flaw
    flaw = _flaw_in_snapshots(known, points, rules)
    if flaw is not None:
        return flaw
    return _flaw_in_succession(
        [known[index] for index, _ in points],
        [known[index] if point == "commit" else None for index, point in points],
        by_process=by_process,
        by_time=by_time,
    )


def refute_anomalies(
    history: History, anomalies: Iterable[Anomaly], *, rules: str = "append"
) -> tuple[str | None, ...]:
    """
    Of each anomaly: why it does not follow from the micro-operations, or None when it does.

    The edges of a cycle are derived once more, the cycle must be closed, and its name must be that
    of the kinds of its edges. The edges of weak models, `session` and `commit`, are not judged
    here. An anomaly without a cycle must be found among the transactions of its `indices`, and on
    its `key` if it has one.
    """
    found = tuple(anomalies)
    keys = {edge.key for each in found for edge in each.cycle if edge.key is not None}
    keys |= {each.key for each in found if each.key is not None}
    # A version order of registers may be forced by transactions on other keys.
    is_bounded = rules == "append" and all(each.cycle or each.key is not None for each in found)
    known = transactions(history, rules=rules, keys=keys if is_bounded else None)
    edges = Edges(known, rules=rules)
    return tuple(_flaw_in_anomaly(known, edges, each, rules) for each in found)


def class_of(edges: Sequence[Edge]) -> str | None:
    """
    The name of a cycle by the kinds of its edges, or None when they make no anomaly.

    The first and the last edge are neighbours. `-process` and `-realtime` are added for what the
    cycle needs beyond the data.
    """
    kinds = [edge.kind for edge in edges]
    if not {"ww", "wr", "rw"} & set(kinds):
        return None
    rw = kinds.count("rw")
    if rw == 0:
        name = "G1c" if "wr" in kinds else "G0"
    elif rw == 1:
        name = "G-single"
    else:
        pairs = zip(kinds, [*kinds[1:], kinds[0]], strict=True)
        name = "G2-item" if ("rw", "rw") in pairs else "G-nonadjacent"
    suffix = "-realtime" if "realtime" in kinds else "-process" if "process" in kinds else ""
    return name + suffix


def _demands(models: Mapping[str, tuple[bool, bool]], model: str) -> tuple[bool, bool]:
    if model not in models:
        raise ValueError(f"expected one of {', '.join(models)}, not {model!r}")
    return models[model]


def _flaw_in_members(
    known: Mapping[int, Transaction], order: Sequence[int], what: str
) -> str | None:
    members = set(order)
    if len(members) != len(order):
        return f"a transaction stands twice in {what}"
    for index in order:
        if index not in known:
            return f"event {index} in {what} is not the invocation of a transaction"
        if not known[index].may_count:
            return f"the transaction of event {index}, which failed, stands in {what}"
    for index, each in known.items():
        if each.is_ok and index not in members:
            return f"the transaction of event {index}, which is ok, is missing in {what}"
    return None


def _flaw_in_answers(each: Transaction, state: dict[Hashable, Any], rules: str) -> str | None:
    """Replay one transaction on the state, which it changes."""
    for position, micro in enumerate(each.micros):
        if not micro.is_read:
            if rules == "append":
                state.setdefault(micro.key, []).append(micro.value)
            else:
                state[micro.key] = micro.value
        elif each.is_ok and not _is_answer(micro, state, rules):
            held = tuple(state.get(micro.key, ())) if rules == "append" else state.get(micro.key)
            return (
                f"micro-operation {position} of event {each.done} read {_shown(micro.value)} "
                f"of key {_shown(micro.key)}, which held {_shown(held)}"
            )
    return None


def _is_answer(micro: Micro, state: Mapping[Hashable, Any], rules: str) -> bool:
    if rules != "append":
        return bool(state.get(micro.key) == micro.value)
    return isinstance(micro.value, tuple) and list(micro.value) == state.get(micro.key, [])


def _flaw_in_snapshots(
    known: Mapping[int, Transaction], points: Sequence[Point], rules: str
) -> str | None:
    committed: dict[Hashable, Any] = {}
    last_commit: dict[Hashable, int] = {}  # Of each key: the place of the commit that wrote it.
    started: dict[int, int] = {}
    for place, (index, point) in enumerate(points):
        each = known[index]
        if point == "start":
            started[index] = place
            private = {
                micro.key: _copy(committed[micro.key])
                for micro in each.micros
                if micro.key in committed
            }
            flaw = _flaw_in_answers(each, private, rules)
            if flaw is not None:
                return flaw
            continue
        if index not in started:
            return f"the transaction of event {index} commits before it starts"
        for key, value in each.writes():
            if last_commit.get(key, -1) > started[index] and last_commit[key] != place:
                return (
                    f"the transaction of event {index} and another one that was open at the same "
                    f"time both wrote key {_shown(key)}"
                )
            last_commit[key] = place
            _install(committed, (key, value), rules)
    return None


def _copy(held: Any) -> Any:
    return list(held) if isinstance(held, list) else held


def _install(committed: dict[Hashable, Any], written: Written, rules: str) -> None:
    key, value = written
    if rules == "append":
        committed.setdefault(key, []).append(value)
    else:
        committed[key] = value


def _flaw_in_succession(
    begun: Sequence[Transaction],
    ended: Sequence[Transaction | None],
    *,
    by_process: bool,
    by_time: bool,
) -> str | None:
    """
    Seen from the end: whether something stands there that had to end before this one began.

    Args:
        begun: At each place the transaction whose point stands there.
        ended: The same where the point is the end of the transaction, else None.
    """
    least_ns: int | None = None  # The earliest answer among the ends so far.
    least_index: dict[Process, int] = {}  # The earliest ok transaction among them, by process.
    for each, end in zip(reversed(begun), reversed(ended), strict=True):
        if by_process and least_index.get(each.process, each.index) < each.index:
            return f"the transaction of event {each.index} precedes an earlier one of its process"
        if by_time and least_ns is not None and least_ns < each.asked_ns:
            return (
                f"the transaction of event {each.index} comes before one that was answered before "
                "it was asked"
            )
        if end is not None and end.is_ok and end.answered_ns is not None:
            least_ns = end.answered_ns if least_ns is None else min(least_ns, end.answered_ns)
            before = least_index.get(end.process, end.index)
            least_index[end.process] = min(before, end.index)
    return None


def _flaw_in_anomaly(
    known: Mapping[int, Transaction], edges: Edges, anomaly: Anomaly, rules: str
) -> str | None:
    if not anomaly.cycle:
        guilty = {
            index: each
            for index, each in known.items()
            if index in anomaly.indices or each.done in anomaly.indices
        }
        return findings.refute(guilty, known, anomaly.name, anomaly.key, rules=rules)
    return _flaw_in_cycle(edges, anomaly.name, anomaly.cycle)


def _flaw_in_cycle(edges: Edges, name: str, cycle: Sequence[Edge]) -> str | None:
    for edge, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        if edge.target != following.source:
            return (
                f"the edge to event {edge.target} is followed by one from event {following.source}"
            )
    found = class_of(cycle)
    wanted = name if name.split("-process")[0].split("-realtime")[0] in CLASSES else None
    if found is None or (wanted is not None and found != wanted):
        return f"the kinds of its edges make it {found or 'no anomaly'}, not {name}"
    if wanted is None and not findings.is_named_cycle(name, cycle):
        return f"a cycle of this kind is {found}, not {name}"
    for edge in cycle:
        flaw = edges.refute(edge, cycle)
        if flaw is not None:
            return flaw
    return None


def _shown(value: Hashable) -> str:
    return show(thaw(value))
