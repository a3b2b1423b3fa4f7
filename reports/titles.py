"""
What a table of anomalies is called: how many of what, in a sentence.

A title counts as the checker counts, so it is right where the anomalies are some of very many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dissever.harness.results import Anomaly, Result
from dissever.harness.values import count_text
from dissever.reports.meaning import Family, family_of
from dissever.reports.transaction_rows import (
    CHECKER,
    counted,
    disagreement_title,
    is_disagreement,
    shown_by,
)

NODES_NAMED_MAX: Final = 3


def counted_of(result: Result, some: Sequence[Anomaly]) -> int:
    """How many the checker counts: of many invalid objects, it explains only the first."""
    details, name = result.details, some[0].name
    names = {anomaly.name for anomaly in result.anomalies}
    invalid = details.get("invalid")
    if names != {name} or not isinstance(invalid, int) or isinstance(invalid, bool):
        return len(some)
    return max(len(some), invalid)


def title_of(result: Result, some: Sequence[Anomaly]) -> str:
    """The title of the anomalies of one name that a checker found."""
    name = some[0].name
    family = family_of(result.checker, name)
    if is_disagreement(result.checker, some[0]):
        return disagreement_title(some, result)
    if family is Family.CRASH:
        return _crashes(some)
    if family in (Family.STUCK, Family.REPLICAS):
        return _STUCK.get(name, name)
    if family is Family.ANSWERS and result.checker in _TITLES:
        return _TITLES[result.checker](result, some)
    return _many(result, some)


def _crashes(some: Sequence[Anomaly]) -> str:
    nodes = dict.fromkeys(each.summary.partition(":")[0] for each in some)
    named = ", ".join([*nodes][:NODES_NAMED_MAX])
    more = len(nodes) - NODES_NAMED_MAX
    where = f"{named} and {more} more" if more > 0 else named
    verb = "ended by itself" if len(some) == 1 else f"ended by themselves {len(some)} times"
    subject = "A process of" if len(some) == 1 else "Processes of"
    return f"{subject} {where} {verb}"


_STUCK: Final = {
    "no-progress": "A majority made no progress once its faults had healed",
    "no-recovery": "Not every node served again once all faults had healed",
    "no-recovery-after-restart": "Not every node served, not even after a restart of all",
    "diverged": "Replicas held different data in the end",
    "diverged-for-good": "Replicas hold different data on their disks, also after a restart",
}

_DID: Final = {
    "stale-read": "returned stale values",
    "lost-write": "lost an acknowledged write",
    "lost-update": "lost an update",
    "aborted-read": "returned what a failed write had asked for",
    "future-read": "returned values before anybody had asked to write them",
    "phantom": "returned values that nobody had asked to write",
}


def _objects(result: Result, some: Sequence[Anomaly]) -> str:
    noun, keys = str(result.details.get("noun", "object")), result.details.get("keys")
    did = _DID.get(some[0].name, f"gave answers that cannot be: {some[0].name}")
    if not isinstance(keys, int) or keys < 2:
        return f"The {noun} {did}"
    return f"{counted_of(result, some):,} of {count_text(keys, noun)} {did}"


_OF_SETS: Final = {
    "lost": "missing from a final read",
    "stale-read": "missing from a read that was asked after them",
    "diverged": "read once and missing from a later read",
    "phantom": "read though nobody had asked to add them",
    "aborted-read": "read though every add of them had failed",
    "future-read": "read before anybody had asked to add them",
    "duplicate-elements": "more than once in one read",
}


def _elements(result: Result, some: Sequence[Anomaly]) -> str:
    name, count = some[0].name, sum(each.wrong_count for each in some)
    if not count or name not in _OF_SETS:
        return _many(result, some)
    kind = "acknowledged" if name == "lost" else "attempted"
    whole = result.details.get(kind)
    elements = "acknowledged elements" if name == "lost" else "elements"
    of = f"{count:,} of {whole:,} {elements}" if isinstance(whole, int) else f"{count:,} {elements}"
    what = _OF_SETS[name]
    return f"{of} was {what.replace(' are ', ' is ')}" if count == 1 else f"{of} were {what}"


def _reads(result: Result, some: Sequence[Anomaly]) -> str:
    count = sum(each.wrong_count for each in some)
    reads = result.details.get("reads")
    name = some[0].name
    if not count or not isinstance(reads, int) or name not in _OF_ACCOUNTS:
        return _many(result, some)
    return f"{count:,} of {reads:,} reads of all accounts {_OF_ACCOUNTS[name]}"


_OF_ACCOUNTS: Final = {
    "unexpected-key": "had an account that there is not",
    "nil-balance": "lacked the balance of an account",
    "wrong-total": "added up to a wrong total",
    "negative-value": "had a balance below zero",
}


_TITLES: Final[Mapping[str, Callable[[Result, Sequence[Anomaly]], str]]] = {
    "linearizable": _objects,
    "set": _elements,
    "bank": _reads,
}


def _many(result: Result, some: Sequence[Anomaly]) -> str:
    name = some[0].name
    if all(each.cycle for each in some):
        cycles = count_text(len(some), "cycle")
        return f"{cycles} of transactions: {shown_by(name)}"
    one, more = _plainly(result, name)
    count = len(some)
    if result.checker == CHECKER:
        count = counted(some, result)
    if one:
        return one if count == 1 else f"{count:,} {more}"
    return name if count == 1 else f"{name}, {count:,} times"


def _plainly(result: Result, name: str) -> tuple[str, str]:
    """What a title says of one anomaly, and after the number of several; empty: its name does."""
    family = family_of(result.checker, name)
    if family is Family.LOGS:
        return (
            "A log has a line that no healthy node writes",
            "lines in logs that no healthy node writes",
        )
    if family is Family.INVARIANTS:
        return (
            "A rule that must always hold was broken",
            "times a rule that must always hold was broken",
        )
    if result.checker == CHECKER:
        return _OF_TRANSACTIONS.get(name, ("", ""))
    return "", ""


_OF_TRANSACTIONS: Final = {
    "lost-update": ("An update was lost", "updates were lost"),
    "G1a": (
        "A transaction read what a failed one had written",
        "transactions read what a failed one had written",
    ),
    "G1b": (
        "A transaction read a value from the middle of another",
        "transactions read a value from the middle of another",
    ),
    "internal": (
        "A transaction contradicts its own reads and writes",
        "transactions contradict their own reads and writes",
    ),
    "future-read": (
        "A transaction read its own write before it made it",
        "transactions read their own writes before they made them",
    ),
    "dirty-update": (
        "A transaction wrote over what a failed one had written",
        "transactions wrote over what failed ones had written",
    ),
    "cyclic-versions": (
        "The values of a key were written in no possible order",
        "keys hold values that were written in no possible order",
    ),
    "phantom": ("A read holds what nobody wrote", "reads hold what nobody wrote"),
    "duplicate-elements": (
        "A read holds an element more than once",
        "reads hold an element more than once",
    ),
}
