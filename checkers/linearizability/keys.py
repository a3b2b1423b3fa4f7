"""
The operations of each key of a history, made when somebody asks for them.

Engines read columns. An object of an operation costs some 1,500 bytes where the history was loaded
from a file, so it is made only of what is validated, explained, or judged in Python.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from dissever.harness.history import History, Key, Operation
from dissever.native.columns import OK


class Keys:
    """
    The ids of the keys of columns in order of first use, and what each has.

    Raises:
        MalformedHistory: When events do not pair up.
        OverflowError: When a number is too large for its column.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.columns = history.columns
        only = {0: len(self.columns)} if len(self.columns) else {}
        self.lengths = dict(Counter(self.columns.key)) if len(self.columns.keys) > 1 else only

    def name(self, key: int) -> Key | None:
        """As in the history."""
        name: Key | None = self.columns.keys[key]
        return name

    @cached_property
    def rows(self) -> dict[int, Sequence[int]]:
        """By key the positions of its operations in the columns."""
        if len(self.lengths) == 1:
            return {key: range(length) for key, length in self.lengths.items()}
        found = {key: array("i") for key in self.lengths}
        for i, key in enumerate(self.columns.key):
            found[key].append(i)
        return dict(found)

    def asserting(self, writes: frozenset[str]) -> set[int]:
        """
        The keys with an acknowledged operation that asserts something, which can be wrong.

        Args:
            writes: Each f that asserts nothing when it is acknowledged.
        """
        columns, found = self.columns, set[int]()
        says = {number for number, f in enumerate(columns.fs) if f not in writes}
        for key, kind, f in zip(columns.key, columns.type, columns.f, strict=True):
            if kind == OK and f in says and key not in found:
                found.add(key)
                if len(found) == len(self.lengths):
                    break
        return found

    def operation(self, at: int) -> Operation:
        """The operation at a position in the columns, with no more than columns know."""
        return self._history.operation(at, in_detail=False)

    def operations(self, key: int, *, in_detail: bool) -> list[Operation]:
        """
        The operations of a key by invocation.

        Args:
            in_detail: With nodes, errors and the completions of crashed operations.
        """
        return [self._history.operation(at, in_detail=in_detail) for at in self.rows[key]]
