"""
Anomalies without a cycle, found again among the few transactions that are called guilty.

Each definition is a function from these transactions to the keys and the transactions that show it.

Sources: Adya, "Weak consistency" (1999), for G1a and G1b; Kingsbury and Alvaro, "Elle" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from dissever.checkers.transactions.recorded import (
    Transaction,
    Written,
    external_lists,
    external_values,
)
from dissever.checkers.transactions.versions import Registers
from dissever.harness.history import Type
from dissever.harness.results import Edge
from dissever.harness.values import freeze, show, thaw

Known: TypeAlias = Mapping[int, Transaction]
Definition: TypeAlias = Callable[[Known, Known, bool], Iterator[Hashable]]
"""From the guilty, all transactions, and whether they hold lists, to the keys that show it."""


def refute(guilty: Known, known: Known, name: str, key: Any, *, rules: str) -> str | None:
    """Why the anomaly is not among the guilty transactions, or None when it is."""
    definition = DEFINITIONS.get(name)
    if definition is None:
        return f"{name} has no definition without a cycle"
    keys = set(definition(guilty, known, rules == "append"))
    if key is not None and freeze(key) not in keys:
        return f"the transactions that are named show no {name} on key {show(thaw(freeze(key)))}"
    return None if keys else f"the transactions that are named show no {name}"


def is_named_cycle(name: str, cycle: Sequence[Edge]) -> bool:
    """Whether a cycle of two rw is what a name of its own says: of one key, or of two."""
    keys = [freeze(edge.key) for edge in cycle]
    are_rw = [edge.kind for edge in cycle] == ["rw", "rw"]
    if name == "write-skew":
        return are_rw and keys[0] != keys[1]
    return name == "lost-update" and len(cycle) == 2 and keys[0] == keys[1]


def _internal(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    for each in guilty.values():
        if each.is_ok:
            yield from _internal_lists(each) if is_append else _internal_values(each)


def _internal_lists(each: Transaction) -> Iterator[Hashable]:
    """A list that is not what was read before and what was appended since, or does not end so."""
    read: dict[Hashable, tuple[Hashable, ...]] = {}
    own: dict[Hashable, tuple[Hashable, ...]] = {}
    for micro in each.micros:
        key, mine = micro.key, own.get(micro.key, ())
        if not micro.is_read:
            own[key] = (*mine, micro.value)
            continue
        if not isinstance(micro.value, tuple):
            continue
        if key in read:
            if micro.value != read[key] + mine:
                yield key
        elif mine and micro.value[-len(mine) :] != mine:
            yield key
        read[key], own[key] = micro.value, ()


def _internal_values(each: Transaction) -> Iterator[Hashable]:
    held: dict[Hashable, Hashable] = {}
    for micro in each.micros:
        if micro.is_read and micro.key in held and held[micro.key] != micro.value:
            yield micro.key
        held[micro.key] = micro.value


def _future_read(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    for each in guilty.values():
        for place, micro in enumerate(each.micros if each.is_ok else ()):
            later = {m.value for m in each.micros[place:] if not m.is_read and m.key == micro.key}
            if micro.is_read and later & set(_elements(micro.value, is_append)):
                yield micro.key


def _phantom(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    written = {pair for each in known.values() for pair in each.writes()}
    for each in guilty.values():
        for key, value in _seen(each, is_append):
            if (key, value) not in written:
                yield key


def _g1a(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    failed = {pair for each in guilty.values() if not each.may_count for pair in each.writes()}
    kept = {pair for each in known.values() if each.may_count for pair in each.writes()}
    for each in guilty.values():
        for pair in _seen(each, is_append):
            if pair in failed - kept:
                yield pair[0]


def _g1b(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    for writer in guilty.values():
        last = dict(writer.writes())
        passed = {(key, value) for key, value in writer.writes() if last[key] != value}
        for reader in guilty.values():
            if reader is not writer and writer.type is not Type.FAIL:
                yield from (key for key, value in _last_seen(reader, is_append) & passed)


def _dirty_update(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    failed = {pair for each in guilty.values() if not each.may_count for pair in each.writes()}
    kept = {pair for each in guilty.values() if each.may_count for pair in each.writes()}
    if not is_append:
        versions = Registers(known.values())
        for key, value in failed:
            for k, other in kept:
                if k == key and versions.is_before(key, value, other):
                    yield key
        return
    for each in known.values():
        for micro in each.micros if each.is_ok else ():
            elements = _elements(micro.value, is_append) if micro.is_read else ()
            aborted = [place for place, e in enumerate(elements) if (micro.key, e) in failed]
            if aborted and any((micro.key, e) in kept for e in elements[aborted[0] + 1 :]):
                yield micro.key


def _duplicate_elements(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    for each in guilty.values():
        for micro in each.micros if each.is_ok and is_append else ():
            elements = _elements(micro.value, is_append) if micro.is_read else ()
            if len(set(elements)) < len(elements):
                yield micro.key


def _incompatible_order(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    read: dict[Hashable, set[tuple[Hashable, ...]]] = {}
    for each in guilty.values():
        for micro in each.micros if each.is_ok and is_append else ():
            if micro.is_read and isinstance(micro.value, tuple):
                read.setdefault(micro.key, set()).add(micro.value)
    for key, lists in read.items():
        longest = max(lists, key=len)
        if any(longest[: len(each)] != each for each in lists):
            yield key


def _cyclic_versions(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    """
    Registers: a version that comes before itself. Lists: of two appends of one transaction the
    second stands in a list without the first before it.
    """
    if is_append:
        yield from _disordered(guilty)
        return
    versions = Registers(guilty.values())
    for key in {key for each in guilty.values() for key, _ in each.writes()}:
        if versions.has_cycle(key):
            yield key


def _disordered(guilty: Known) -> Iterator[Hashable]:
    own: dict[Written, tuple[Hashable, ...]] = {}  # By each append, those before it.
    for each in guilty.values():
        before: dict[Hashable, tuple[Hashable, ...]] = {}
        for key, value in each.writes() if each.may_count else ():
            own[key, value] = before.get(key, ())
            before[key] = (*before.get(key, ()), value)
    for each in guilty.values():
        for micro in each.micros if each.is_ok else ():
            elements = _elements(micro.value, True) if micro.is_read else ()
            for place, element in enumerate(elements):
                if not set(own.get((micro.key, element), ())) <= set(elements[:place]):
                    yield micro.key


def _lost_update(guilty: Known, known: Known, is_append: bool) -> Iterator[Hashable]:
    """Two that read one version of a key, and both write the key."""
    readers: dict[tuple[Hashable, Hashable], int] = {}
    for each in guilty.values():
        written = {key for key, _ in each.writes()}
        read = external_lists(each) if is_append else external_values(each)
        for key, version in set(read):
            if key in written:
                readers[key, version] = readers.get((key, version), 0) + 1
    yield from (key for (key, _), count in readers.items() if count > 1)


def _elements(value: Hashable, is_append: bool) -> tuple[Hashable, ...]:
    if is_append:
        return value if isinstance(value, tuple) else ()
    return () if value is None else (value,)


def _seen(each: Transaction, is_append: bool) -> set[Written]:
    """All values that an ok transaction read."""
    return {
        (micro.key, value)
        for micro in each.micros
        if micro.is_read and each.is_ok
        for value in _elements(micro.value, is_append)
    }


def _last_seen(each: Transaction, is_append: bool) -> set[Written]:
    """The version that each read of an ok transaction shows: of a list its last element."""
    if not is_append:
        return set(external_values(each))
    return {(key, elements[-1]) for key, elements in external_lists(each) if elements}


DEFINITIONS: Final[Mapping[str, Definition]] = {
    "internal": _internal,
    "future-read": _future_read,
    "phantom": _phantom,
    "G1a": _g1a,
    "G1b": _g1b,
    "dirty-update": _dirty_update,
    "duplicate-elements": _duplicate_elements,
    "incompatible-order": _incompatible_order,
    "cyclic-versions": _cyclic_versions,
    "lost-update": _lost_update,
}
