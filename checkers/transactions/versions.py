"""
The order of the versions of a key, as far as the micro-operations show it by themselves.

Of a list, each read shows the order of its elements. Of registers an order is a guess that is
forced: the first version is None, a transaction that reads a value and writes another orders the
two, and versions whose transactions are ordered already are ordered alike, because else there is a
cycle anyhow.

Sources: Kingsbury and Alvaro, "Elle" (2020), section 4; Biswas and Enea, "On the complexity of
checking transactional consistency" (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dissever.checkers.transactions.recorded import (
    Elements,
    Transaction,
    Written,
    external_values,
    first_times,
)

ROUNDS_MAX: Final = 1000
"""Of the search for forced orders. Each adds one at least."""


class Lists:
    """For each key the lists that were read, without those that another one begins with."""

    def __init__(self, known: Iterable[Transaction]) -> None:
        self._read: dict[Hashable, list[Elements]] = {}
        for each in known:
            for micro in each.micros if each.is_ok else ():
                if micro.is_read and isinstance(micro.value, tuple):
                    self._add(micro.key, micro.value)
        self._known = {
            key: frozenset(element for each in lists for element in each)
            for key, lists in self._read.items()
        }

    def follows(self, key: Hashable, first: Hashable, second: Hashable) -> bool:
        """Whether `second` comes right after `first` in a list, or after all that was read."""
        if self._is_unread(key, second):
            return self._is_last(key, first)
        return any((first, second) in pairwise(elements) for elements in self._of(key))

    def follows_list(self, key: Hashable, elements: Elements, second: Hashable) -> bool:
        """Whether `second` comes right after a list that was read."""
        kept = first_times(elements)
        if self._is_unread(key, second):
            longest = max(self._of(key), key=len, default=())
            return len(kept) == len(longest) and kept == longest
        return any(
            each[: len(kept)] == kept and each[len(kept) : len(kept) + 1] == (second,)
            for each in self._of(key)
        )

    def _of(self, key: Hashable) -> list[Elements]:
        return [first_times(each) for each in self._read.get(key, ())]

    def _is_unread(self, key: Hashable, element: Hashable) -> bool:
        return element not in self._known.get(key, ())

    def _is_last(self, key: Hashable, element: Hashable) -> bool:
        longest = max(self._of(key), key=len, default=())
        return longest[-1:] == (element,)

    def _add(self, key: Hashable, elements: Elements) -> None:
        lists = self._read.setdefault(key, [])
        for place, each in enumerate(lists):
            if each[: len(elements)] == elements:
                return
            if elements[: len(each)] == each:
                lists[place] = elements
                return
        lists.append(elements)


class Registers:
    """For each key which versions are known to come before which."""

    def __init__(self, known: Iterable[Transaction]) -> None:
        self.transactions = tuple(known)
        self.writers: dict[Written, Transaction] = {}
        self.after: dict[Written, set[Hashable]] = {}
        for each in self.transactions:
            for written in each.writes():
                self.writers.setdefault(written, each)
        for each in self.transactions:
            self._add_own(each)

    def is_before(self, key: Hashable, first: Hashable, second: Hashable) -> bool:
        """Whether a version is known to come before another one."""
        if first is None:
            return second is not None
        seen, waiting = {first}, [first]
        while waiting:
            for after in self.after.get((key, waiting.pop()), ()):
                if after == second:
                    return True
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return False

    def has_cycle(self, key: Hashable) -> bool:
        """Whether a version of the key comes before itself."""
        return any(self.is_before(k, value, value) for k, value in list(self.after) if k == key)

    def add(self, key: Hashable, first: Hashable, second: Hashable) -> bool:
        """Put a version before another one; whether that is new."""
        after = self.after.setdefault((key, first), set())
        if first == second or second in after:
            return False
        after.add(second)
        return True

    def _add_own(self, each: Transaction) -> None:
        """What one transaction shows: a version that it had read or written, and its next one."""
        held: dict[Hashable, Hashable] = {}
        for micro in each.micros if each.may_count else ():
            if micro.is_read:
                if each.is_ok and micro.value is not None:
                    held[micro.key] = micro.value
                continue
            if micro.key in held:
                self.add(micro.key, held[micro.key], micro.value)
            held[micro.key] = micro.value


@dataclass(frozen=True, slots=True)
class Reach:
    """
    The indices of transactions that one must come before.

    Would one of `closable` have to come first, there would be a cycle also with one more `rw`.
    """

    later: frozenset[int]
    closable: frozenset[int]


def saturate(
    registers: Registers, reaches: Callable[[Registers], Mapping[int, Reach]]
) -> Registers:
    """
    Add the orders of versions that the order of transactions forces, until there are no more.

    Args:
        reaches: From what is known to what each transaction must come before.
    """
    by_index = {each.index: each for each in registers.transactions}
    for _ in range(ROUNDS_MAX):
        has_changed = False
        for index, reach in reaches(registers).items():
            wrote = dict(by_index[index].writes())
            held = dict(external_values(by_index[index])) | wrote
            forced = [
                (key, held.get(key), value)
                for later in reach.later
                for key, value in by_index[later].writes()
            ]
            forced += [
                (key, wrote.get(key), value)
                for later in reach.closable
                for key, value in external_values(by_index[later])
            ]
            for key, first, second in forced:
                if first is not None and second is not None:
                    has_changed |= registers.add(key, first, second)
        if not has_changed:
            break
    return registers
