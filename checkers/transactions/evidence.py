"""
What a history shows: all anomalies, in words, each derived once more by the validator.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs

from dissever.checkers.transactions import weak
from dissever.checkers.transactions.enumeration import has_serial_order
from dissever.checkers.transactions.explanation import (
    Explained,
    causes_of,
    counts_of,
    explained,
    names_of,
    with_others,
)
from dissever.checkers.transactions.models import DECIDABLE, OF_AXIOMS, PROCESS, keeps_time
from dissever.checkers.transactions.narration import Narrator
from dissever.checkers.transactions.smallest import smallest
from dissever.checkers.transactions.validation import SNAPSHOT, refute_anomalies
from dissever.checkers.transactions.view import VALIDATED_MAX, is_small, key_value, shown
from dissever.checkers.transactions.weak import Weak
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Anomaly, smallest_history
from dissever.native.columns import Micro
from dissever.native.transactions import OrderLevel, Outcome, Rules, judge_transactions
from dissever.native.weak import Level

PARTIAL_KEYS_MAX: Final = 20
"""Keys with a partial order that are listed."""

POINTED: Final = {**{model: model for model in SNAPSHOT}, "consistent-view": "snapshot-isolation"}
"""Models, and that for which an order of snapshots and commits is looked for: it proves both."""

RULES: Final[Mapping[str, Rules]] = {"append": Rules.APPEND, "wr": Rules.WR}

CONFIRMED: Final = "the validator derived it once more from the micro-operations alone"
TRIED: Final = "every order of the transactions of the smallest history was tried"
TOO_MANY: Final = "single-engine: the transactions have too many orders to try each of them"
ALONE: Final = "single-engine: the history is too large for the validator to read as a whole"


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    `shown` are some of the anomalies of each name; those that the validator refuted have no
    confirmation, and `doubts` say why by their name. `counts` are all of the engine, by name.
    `causes` is the number of reasons why lists differ, among what the engine kept.
    `looked_at` are the models of which anomalies would show here. `weak` says what the weak levels
    are, with and without sessions, where no serial order answers that.
    """

    transactions: int
    micro: Micro
    outcome: Outcome
    shown: tuple[Explained, ...]
    doubts: Mapping[str, str]
    counts: dict[str, int]
    causes: int
    looked_at: tuple[str, ...]
    weak: Mapping[tuple[Level, bool], Weak] = field(default_factory=dict)
    edges: dict[str, int] = field(default_factory=dict)
    peak_bytes: int = 0

    @property
    def completeness(self) -> dict[str, Any]:
        """How much of the order of versions is known, as JSON values."""
        outcome, micro = self.outcome, self.micro
        pairs = zip(outcome.ordered, outcome.pairs, strict=True)
        partial = [key for key, (ordered, all_) in enumerate(pairs) if ordered < all_]
        return {
            "order": "partial" if partial else "full",
            "fraction": round(outcome.completeness, 4),
            "partial_keys": len(partial),
            "keys": {
                shown(key_value(micro, key)).strip('"'): round(
                    outcome.ordered[key] / outcome.pairs[key], 4
                )
                for key in partial[:PARTIAL_KEYS_MAX]
            },
        }


def gathered(history: History, rules: str, model: str) -> Evidence:
    """
    Everything that the history shows; the model only says what its proof will need.

    Raises:
        MalformedHistory: When no run can have recorded it, or an operation is no transaction.
        ValueError: When transactions do what the rules do not know.
        MemoryError: When it does not fit into memory.
    """
    micro = history.micro
    outcome = judge_transactions(
        micro, RULES[rules], realtime=history.is_timed, keep_edges=model in POINTED
    )
    narrator = Narrator(history, micro)
    causes = causes_of(micro, outcome)
    found, doubts = _validated(history, explained(narrator, outcome, causes), micro, rules)
    found = tuple(
        _tried(history, each, micro, {one.name for one in found}, rules) if each.forced else each
        for each in found
    )
    levels = _weak_levels(history, rules) if outcome.order_level < OrderLevel.PROCESS else {}
    cycles = tuple(_weak_cycles(levels))
    found += cycles
    return Evidence(
        transactions=len(micro.columns),
        micro=micro,
        outcome=outcome,
        shown=found,
        doubts=doubts,
        counts={**dict.fromkeys((each.name for each in cycles), 1), **counts_of(outcome)},
        causes=len(causes),
        looked_at=tuple(each for each in DECIDABLE if history.is_timed or not keeps_time(each)),
        weak=levels,
        edges={kind.name.lower(): n for kind, n in outcome.edges.items()},
        peak_bytes=outcome.peak_bytes,
    )


def _weak_levels(history: History, rules: str) -> dict[tuple[Level, bool], Weak]:
    """
    From the strongest on down to what holds, or from the weakest on up to what does not hold even
    without sessions: the others follow.
    """
    found = {(Level.CAUSAL, True): weak.judged(history, Level.CAUSAL, rules=rules)}
    if found[Level.CAUSAL, True].why is None:
        return found
    below: dict[tuple[Level, bool], Weak] = {}
    for level in (Level.READ_COMMITTED, Level.READ_ATOMIC):
        below[level, True] = weak.judged(history, level, rules=rules)
        if below[level, True].why is None:
            continue
        below[level, False] = weak.judged(history, level, sessions=False, rules=rules)
        if below[level, False].found is not None:
            return {key: each for key, each in below.items() if key != (level, True)}
    return {**below, **found}


def _weak_cycles(levels: Mapping[tuple[Level, bool], Weak]) -> Iterator[Explained]:
    """Of the cycles of axioms the first that needs a session, and the first that does not."""
    seen: set[bool] = set()
    for each in levels.values():
        needs = each.found is not None and each.found.name.endswith(PROCESS)
        if each.found is not None and _is_axiom(each.found.name) and needs not in seen:
            seen.add(needs)
            yield each.found


def _is_axiom(name: str) -> bool:
    return name.removesuffix(PROCESS) in OF_AXIOMS


def _validated(
    history: History, found: Sequence[Explained], micro: Micro, rules: str
) -> tuple[tuple[Explained, ...], dict[str, str]]:
    """The same with confirmations; and by name why one was refuted."""
    if not found:
        return (), {}
    is_whole = is_small(micro, VALIDATED_MAX)
    part = history if is_whole else history.chosen(_needed(found))
    derived = [each for each in found if not each.forced]
    flaws = dict(
        zip(
            map(id, derived),
            refute_anomalies(part, [each.anomaly for each in derived], rules=rules),
            strict=True,
        )
    )
    doubts: dict[str, str] = {}
    judged = []
    for each in found:
        flaw = flaws.get(id(each))
        confirmation = CONFIRMED
        if not is_whole and (flaw is not None or not each.anomaly.cycle):
            confirmation = ALONE
        elif flaw is not None:
            doubts.setdefault(each.name, f"the engine found {each.name}, but {flaw}")
            confirmation = ""
        anomaly = structs.replace(each.anomaly, confirmation=confirmation)
        judged.append(replace(each, anomaly=anomaly))
    return tuple(judged), doubts


def _tried(
    history: History, each: Explained, micro: Micro, names: set[str], rules: str
) -> Explained:
    """With the smallest history, and whether any order of its transactions explains it."""
    anomaly = _made_small(history, each, micro, names, rules)
    exists = None
    if anomaly.smallest:
        exists = has_serial_order(
            smallest_history(history, anomaly),
            rules=rules,
            process=each.forced >= OrderLevel.PROCESS,
            realtime=each.forced >= OrderLevel.REALTIME,
        )
    confirmation = TOO_MANY if exists is None else "" if exists else TRIED
    small = replace(each, anomaly=structs.replace(anomaly, confirmation=confirmation))
    others = [bisect_left(micro.columns.inv, index) for index in anomaly.smallest]
    return with_others(Narrator(history, micro), small, others)


def _needed(found: Sequence[Explained]) -> list[int]:
    """Positions of all that anomalies are about, and of what shows the order of versions."""
    return sorted({at for each in found for at in (*each.positions, *each.witnesses)})


def made_small(
    history: History, some: Sequence[Explained], found: Evidence, rules: str
) -> tuple[Anomaly, ...]:
    """The anomalies, the first of each name with the smallest history that still has it."""
    names: set[str] = set()
    every = {one.name for one in found.shown}
    made = []
    for each in some:
        is_first = each.name not in names
        names.add(each.name)
        if is_first and not each.anomaly.smallest:
            made.append(_made_small(history, each, found.micro, every, rules))
        else:
            made.append(each.anomaly)
    return tuple(made)


def _made_small(
    history: History, each: Explained, micro: Micro, names: set[str], rules: str
) -> Anomaly:
    def still(some: History) -> bool:
        now = _names(some, rules, each.name, realtime=history.is_timed)
        return each.name in now and now <= names

    first = [history.operation(at) for at in sorted({*each.positions, *each.witnesses})]
    more = (history.operation(at) for at in _of_keys(micro, each.keys))
    keys = [key_value(micro, key) for key in each.keys]
    small = smallest(first, more, still, keys=keys)
    return structs.replace(each.anomaly, smallest=small.indices, smallest_without=small.without)


def _names(some: History, rules: str, name: str, *, realtime: bool) -> set[str]:
    """The names of the anomalies of a small history; of the weak models, that one alone."""
    try:
        outcome = judge_transactions(some.micro, RULES[rules], realtime=realtime)
        found = names_of(outcome)
        for level, bare in weak.NAMES.items():
            if name.removesuffix(PROCESS) == bare:
                walk = weak.judged(some, level, sessions=name != bare, rules=rules).found
                found |= {walk.name} if walk is not None else set()
    except (MalformedHistory, ValueError):
        return set()
    return found


def _of_keys(micro: Micro, keys: frozenset[int]) -> Iterator[int]:
    """Positions of the transactions that use one of the keys."""
    for position in range(len(micro.columns)):
        start, end = micro.first[position], micro.first[position + 1]
        if any(micro.key[at] in keys for at in range(start, end)):
            yield position
