"""
A leap to a small run: the operations that the failure names, with the faults around them. Pure.

A run of hundreds of operations is slow to try, so each of its parts is tried with few seeds, and a
store that does something at every fifth entry is another one once an operation is gone. The run
that has little but what the anomaly names is tried a hundred times in the same time. It is tried
before anything is left out part by part; where none of its seeds fails, nothing was lost but that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dissever.harness.history import Event, Process, Type
from dissever.nemesis.plans.operations import ClientOp
from dissever.shrinking.candidate import Candidate, operations_of
from dissever.shrinking.reduction import Search, first

__all__ = ["close_up", "named_operations"]

LEADS_S: Final = (0.3, 1.2)
"""How long before the first operation the run begins: what doomed it came shortly before."""

NAMED_MAX: Final = 10
"""Of an anomaly that names more, such as many lost elements, the first ones are tried."""

AFTER_S: Final = 0.8
"""How long the shorter ones go on after the first operation began: faults strike and heal then."""


def named_operations(
    indices: Sequence[int], events: Sequence[Event], candidate: Candidate
) -> tuple[ClientOp, ...]:
    """
    The operations that an anomaly names; those of the end of a run are none of them.

    Args:
        indices: Of their events, invocations or completions.
        candidate: The recorded run.
    """
    wanted = frozenset(indices)
    begun: dict[Process, Event] = {}
    named: dict[int, Event] = {}
    for event in events:
        if event.type is Type.INVOKE:
            begun[event.process] = event
        if event.index in wanted and event.process in begun:
            named[begun[event.process].index] = begun[event.process]
    found = operations_of(tuple(named.values()), candidate.options.concurrency)
    return tuple(op for op in found if op in (candidate.operations or ()))


def close_up(
    current: Candidate, recorded: Candidate, named: Sequence[ClientOp]
) -> Search[Candidate]:
    """
    The named operations alone, or with those just before them; until the last, or soon after the
    first, since reads at the end may show the same. Only what is less than half is tried.

    Args:
        current: The run as it fails again. Its faults may strike whom they were asked to.
        recorded: The same with faults that strike the nodes that were struck, because in a run that
            is so much shorter those are drawn otherwise.
    """
    if not named:
        return current
    named = sorted(named, key=lambda op: op.at)[:NAMED_MAX]
    begin_s = named[0].at
    ends_s = (begin_s + AFTER_S, named[-1].at + AFTER_S)
    near = [
        op
        for op in recorded.operations or ()
        if begin_s - LEADS_S[0] <= op.at < begin_s or op in named
    ]
    offered = [
        each.doing(ops).until(end_s).since(max(0.0, begin_s - lead_s))
        for each in (recorded, current)
        for lead_s, ops in ((LEADS_S[0], named), (LEADS_S[1], named), (LEADS_S[0], near))
        for end_s in ends_s
    ]
    most = len(current.operations or recorded.operations or ()) / 2
    small = {each.digest: each for each in offered if len(each.operations or ()) < most}
    return (yield from first(current, list(small.values())))
