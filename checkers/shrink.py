"""
From an invalid history of one object to a small one that is still invalid.

Sound by two facts: a prefix of a valid history is valid (later returns counting as never), and so
is a valid history without some of its pure operations. Writes are never deleted: that can make a
valid history invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from dissever.checkers.calls import NEVER, Call

TRIES_MAX: Final = 400


def cut(calls: Sequence[Call], failing: Call, reads: frozenset[str]) -> tuple[Call, ...]:
    """The prefix that ends at the failing return; what is open there counts as crashed."""
    kept = []
    for call in calls:
        if call.inv > failing.ret:
            continue
        if call.ret <= failing.ret:
            kept.append(call)
        elif call.f not in reads:
            kept.append(replace(call, ret=NEVER))
    return tuple(kept)


def without_needless_reads(
    calls: Sequence[Call],
    is_pure: Callable[[Call], bool],
    is_invalid: Callable[[Sequence[Call]], bool],
) -> tuple[Call, ...]:
    """
    Drop pure calls, in halves and then alone, while what remains is invalid.

    Args:
        is_invalid: Whether some calls are known to be invalid; unknown counts as no.
    """
    kept = tuple(calls)
    droppable = [call for call in kept if is_pure(call)]
    size, tries = len(droppable), 0
    while size >= 1 and tries < TRIES_MAX:
        for start in range(0, len(droppable), size):
            chunk = set(map(id, droppable[start : start + size]))
            rest = tuple(call for call in kept if id(call) not in chunk)
            tries += 1
            if len(rest) < len(kept) and tries < TRIES_MAX and is_invalid(rest):
                kept = rest
        droppable = [call for call in kept if is_pure(call)]
        size = min(size, len(droppable) + 1) // 2
    return kept
