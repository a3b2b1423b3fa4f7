"""
What a read of a set says where an element of it is wrong: how many it held, and whether that one.

The list itself says nothing there: one of a hundred elements is missing, and a bar holds ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dissever.harness.history import Operation, Type
from dissever.harness.results import Anomaly, Wrong
from dissever.harness.values import count_text, listed, shorten, show

CHECKER: Final = "set"
MISSING: Final = frozenset({"lost", "stale-read", "diverged"})
"""Anomalies in which a read lacks an element; in all others it holds one that is wrong."""

ELEMENT_CHARACTERS_MAX: Final = 12


def set_read_labels(
    checker: str,
    anomaly: Anomaly,
    operations: Sequence[Operation],
    by_index: Mapping[int, Operation],
) -> dict[int, str]:
    """
    The index of an invocation -> what its bar says, for the reads among some operations.

    Empty for anomalies of other checkers, and for reads of which no one element is wrong.
    """
    if checker != CHECKER:
        return {}
    reads = [each for each in operations if _is_read(each)]
    texts = {read.invocation.index: _text(read, anomaly, by_index) for read in reads}
    return {index: text for index, text in texts.items() if text}


def _is_read(operation: Operation) -> bool:
    is_list = isinstance(operation.value, (list, tuple))
    return operation.f == "read" and operation.type is Type.OK and is_list


def _text(read: Operation, anomaly: Anomaly, by_index: Mapping[int, Operation]) -> str:
    """`read → 114 elements, without 8`; empty if it shows nothing of the wrong elements."""
    held = Counter(map(show, read.value))
    lacks = [
        wrong.value
        for wrong in anomaly.wrong
        if anomaly.name in MISSING and not held[wrong.value] and _was_there(wrong, read, by_index)
    ]
    has = [wrong.value for wrong in anomaly.wrong if held[wrong.value]]
    twice = [value for value in has if held[value] > 1]
    if lacks:
        what = f"without {_some(lacks)}"
    elif anomaly.name == "duplicate-elements" and twice:
        what = f"with {_some(twice)} more than once"
    elif has:
        what = f"with {_some(has)}"
    else:
        return ""
    return f"read → {count_text(len(read.value), 'element')}, {what}"


def _was_there(wrong: Wrong, read: Operation, by_index: Mapping[int, Operation]) -> bool:
    """Whether the element was known to be there before the read was asked."""
    known = None if wrong.against is None else by_index.get(wrong.against)
    end = None if known is None else known.completion
    return end is not None and end.index < read.invocation.index


def _some(values: Sequence[str]) -> str:
    return listed(shorten(value, ELEMENT_CHARACTERS_MAX) for value in values)
