"""
Where an answer came from that no operation can have caused: three names, each with its definition.

Of the operations that asked to set a value, those that were not asked before the answer came cannot
have caused it, and those that failed did not happen. So an answer is

- `aborted-read`, if operations had asked for it by then, and all of them failed;
- `future-read`, if none had asked by then, and one that may have happened asked later;
- `phantom`, if none had asked by then, and none that may have happened ever did.

Source: Adya, "Weak consistency" (1999), for the aborted read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dissever.checkers.linearizability.family import Proof
from dissever.checkers.linearizability.narration import deed
from dissever.harness.history import Event, Operation, Type
from dissever.harness.values import show_ns

ABORTED: Final = "aborted-read"
FUTURE: Final = "future-read"
PHANTOM: Final = "phantom"


def asked_before(operation: Operation, answer: Event) -> bool:
    """Whether it was asked before an answer came, or at the same time."""
    asked = operation.invocation
    return asked.index < answer.index or asked.time == answer.time


def without_source(read: Operation, askers: Sequence[Operation]) -> Proof | None:
    """
    Why a value cannot have been answered, or None where an operation may have caused it.

    Args:
        askers: All operations that asked to set that value, failed ones and later ones too.
    """
    answer = read.completion
    assert answer is not None
    before = [each for each in askers if asked_before(each, answer)]
    if any(each.type is not Type.FAIL for each in before):
        return None
    if before:
        reason = f"only {deed(before[0])} asked for that value, and it failed"
        if len(before) > 1:
            reason = f"all {len(before)} operations that had asked for that value by then failed"
        return Proof(ABORTED, reason, (before[0], read), before[0])
    later = [each for each in askers if each.type is not Type.FAIL]
    if later:
        first = min(later, key=lambda each: each.invocation.index)
        at = show_ns(first.invocation.time)
        reason = f"{deed(first)}, the first of that value, was asked only at {at}"
        return Proof(FUTURE, reason, (first, read), first)
    if askers:
        at = show_ns(askers[0].invocation.time)
        reason = f"no operation had asked for that value by then; {deed(askers[0])}"
        return Proof(PHANTOM, f"{reason}, asked at {at}, failed", (askers[0], read))
    return Proof(PHANTOM, "no operation ever asked for that value", (read,))
