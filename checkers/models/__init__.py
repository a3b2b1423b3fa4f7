"""
What a correct object would do: models, one file per kind of object, and the registry of all.

A model of your own is a `Model` with a step function: `core`.
"""

from collections.abc import Mapping
from typing import Final

from dissever.checkers.models.containers import priority_queue, queue, stack, unordered_queue
from dissever.checkers.models.core import (
    REFUSED,
    UNKNOWN,
    After,
    Answer,
    Family,
    Misfit,
    Model,
    State,
    Step,
    Transition,
)
from dissever.checkers.models.counters import counter
from dissever.checkers.models.locks import (
    fenced_mutex,
    mutex,
    owned_mutex,
    reentrant_mutex,
    semaphore,
)
from dissever.checkers.models.logs import log, text
from dissever.checkers.models.registers import cas_register, multi_register, register
from dissever.checkers.models.sets import grow_only_set, removable_set

REGISTER: Final = register()
CAS_REGISTER: Final = cas_register()
MUTEX: Final = mutex()
SET: Final = grow_only_set()
TEXT: Final = text()

MODELS: Final[Mapping[str, Model]] = {
    "register": REGISTER,
    "cas-register": CAS_REGISTER,
    "multi-register": multi_register(),
    "mutex": MUTEX,
    "owned-mutex": owned_mutex(),
    "reentrant-mutex": reentrant_mutex(),
    "fenced-mutex": fenced_mutex(),
    "semaphore": semaphore(),
    "counter": counter(),
    "set": SET,
    "removable-set": removable_set(),
    "queue": queue(),
    "unordered-queue": unordered_queue(),
    "stack": stack(),
    "priority-queue": priority_queue(),
    "log": log(),
    "text": TEXT,
    "kv": TEXT,
}
"""By the name that a command line takes; `description` is one line on each."""

__all__ = [
    "CAS_REGISTER",
    "MODELS",
    "MUTEX",
    "REFUSED",
    "REGISTER",
    "SET",
    "TEXT",
    "UNKNOWN",
    "After",
    "Answer",
    "Family",
    "Misfit",
    "Model",
    "State",
    "Step",
    "Transition",
    "cas_register",
    "counter",
    "fenced_mutex",
    "grow_only_set",
    "log",
    "multi_register",
    "mutex",
    "owned_mutex",
    "priority_queue",
    "queue",
    "reentrant_mutex",
    "register",
    "removable_set",
    "semaphore",
    "stack",
    "text",
    "unordered_queue",
]
