"""
Monitors: objects of one kind judged in polynomial time, where their values tell enough.

Each is a function from the calls of one object to a finding, or None where it does not apply: then
the search decides. An order that a monitor gives is replayed before it is believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dissever.checkers.models import Family
from dissever.checkers.monitors import containers, counter, elements, growing
from dissever.checkers.monitors.finding import Finding, Judge


@dataclass(frozen=True, slots=True)
class Monitor:
    """A way to judge one kind of object, what it is called, and when it applies."""

    name: str
    judge: Judge
    because: str


MONITORS: Final[Mapping[Family, Monitor]] = {
    Family.QUEUE: Monitor(
        "queue-patterns", containers.judge(containers.QUEUE), "each value was enqueued once"
    ),
    Family.UNORDERED_QUEUE: Monitor(
        "gaps", containers.judge(containers.UNORDERED_QUEUE), "each value was enqueued once"
    ),
    Family.STACK: Monitor(
        "peeling", containers.judge(containers.STACK), "each value was pushed once"
    ),
    Family.PRIORITY_QUEUE: Monitor(
        "covers", containers.judge(containers.PRIORITY_QUEUE), "each value was inserted once"
    ),
    Family.GROW_ONLY_SET: Monitor("groups", growing.judge_set, "each element was added once"),
    Family.LOG: Monitor("groups", growing.judge_log, "each entry was appended once"),
    Family.SET: Monitor("elements", elements.judge, "no read of the whole set: each element alone"),
    Family.COUNTER: Monitor(
        "bounds",
        counter.judge,
        "all adds are the same, or a read lies outside what any order allows",
    ),
}
"""By the family of the model. Registers have `blocks`."""

__all__ = ["MONITORS", "Finding", "Judge", "Monitor"]
