"""
The search for a linearization, as a function from a problem to an outcome.

It runs in slices with the interpreter's lock released, so that Ctrl-C is answered in between.

Time and memory grow with n, the number of operations, where the first way tried works: some 1.2
configurations and 110 to 240 bytes an operation. Where it does not, both are exponential, in what
is open at once and in the crashed operations that can matter; the budgets bound them.

Source: `search.h`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import int32_pointer

NEVER: Final[int] = lib.SEARCH_NEVER
"""The return position of an operation that crashed."""

_SLICE = 500_000
"""Configurations between two looks at signals: some 0.1 s."""


class Engine(StrEnum):
    """The engines by what they explore first; `schedule` tries both; `wgl` is the plain search."""

    SCHEDULE = "schedule"
    DEPTH = "depth"
    BREADTH = "breadth"
    WGL = "wgl"


_ENGINES: Final = {engine: getattr(lib, f"SEARCH_{engine.name}") for engine in Engine}
_ENGINE_OF: Final = {number: engine for engine, number in _ENGINES.items()}


class Status(Enum):
    """How a search ended; all but two are unknown, each with what it ran out of."""

    VALID = "valid"
    INVALID = "invalid"
    CONFIGURATIONS = "configurations"
    MEMORY = "memory"
    CAPPED = "crashed operations"
    WIDE = "open operations"
    RAISED = "states"
    INTERRUPTED = "interrupted"


_ASIDE: Final = {Status.WIDE, Status.INTERRUPTED}
"""Not of C: a search that is refused, and one that was paused for good."""

_STATUSES: Final = {
    getattr(lib, f"SEARCH_{status.name}"): status for status in Status if status not in _ASIDE
} | {lib.SEARCH_PAUSED: Status.INTERRUPTED}


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Operations in any order, and a table of states.

    `inv` and `ret` are distinct positions in 0 .. 2n - 1, or NEVER for `ret`. `next` is
    the table in rows by state: the state after each transition, or -1 where it is refused.
    """

    inv: Sequence[int]
    ret: Sequence[int]
    transition: Sequence[int]
    next: array[int]
    transitions: int
    initial: int = 0

    @property
    def states(self) -> int:
        """The rows of the table."""
        return len(self.next) // self.transitions if self.transitions else 1


@dataclass(frozen=True, slots=True)
class LazyProblem:
    """
    Operations in any order, and states that are made up while the search runs.

    `step` gives the number of the state after a transition, or -1 where it is refused; state 0 is
    the initial one. It is asked at most once for each pair, from within `search`, on the same
    thread. It may call `search` for another problem. What it raises ends the search. `pure` has a 1
    for each transition that changes no state, else a 0. Crashed operations cost more than with a
    table: they are kept to the end, since what may need their states is not known (`lazy.c`).
    """

    inv: Sequence[int]
    ret: Sequence[int]
    transition: Sequence[int]
    pure: bytes
    step: Callable[[int, int], int]


@dataclass(slots=True)
class _Asked:
    """The `step` of a lazy problem, and what it raised."""

    step: Callable[[int, int], int]
    error: BaseException | None = None


def _silence(*_: object) -> None:
    """Ctrl-C just before `python_step` can catch it: C gets -2, and `_run` raises it again."""


@ffi.def_extern(error=-2, onerror=_silence)  # type: ignore[untyped-decorator]  # cffi has no types.
def python_step(context: Any, state: int, transition: int) -> int:
    """
    The `search_step` of every lazy problem.

    C calls it from within `search_run`, on the same thread, for which cffi takes the interpreter's
    lock. No exception may cross C: it is kept, and -2 ends the search.
    """
    asked: _Asked = ffi.from_handle(context)
    try:
        return asked.step(state, transition)
    except BaseException as error:  # Raised again by `search`, Ctrl-C included.
        asked.error = error
        return -2


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a search found.

    `order` is the linearization when valid, else the longest partial one. `failing` is the
    operation at whose return everything failed (invalid) or that was reached (unknown). `frontier`
    gives configurations just before it: a state, and the open operations already linearized.
    """

    status: Status
    engine: Engine
    order: tuple[int, ...]
    failing: int | None
    frontier: tuple[tuple[int, tuple[int, ...]], ...]
    configurations: int
    peak_bytes: int


def search(
    problem: Problem | LazyProblem,
    *,
    configurations_max: int,
    bytes_max: int,
    engine: Engine = Engine.SCHEDULE,
    frontier_max: int = 32,
    is_interruptible: bool = False,
) -> Outcome:
    """
    Look for a linearization.

    Args:
        configurations_max: How many are explored at most: the budget of time.
        bytes_max: How many bytes C holds at most.
        frontier_max: How many configurations before the failing return are given at most.
        is_interruptible: Ctrl-C ends it with how far it got, instead of an exception.

    Raises:
        KeyboardInterrupt: On Ctrl-C, unless it is interruptible.
        ValueError: When the problem contradicts itself.
        Exception: Whatever the `step` of a lazy problem raises.
    """
    columns = {name: array("i", getattr(problem, name)) for name in ("inv", "ret", "transition")}
    asked = _Asked(problem.step) if isinstance(problem, LazyProblem) else None
    context = ffi.new_handle(asked)
    wanted: dict[str, Any] = {
        **{name: int32_pointer(column) for name, column in columns.items()},
        "n_operations": len(problem.inv),
        "engine": _ENGINES[engine],
        "max_configurations": configurations_max,
        "max_bytes": bytes_max,
    }
    if isinstance(problem, LazyProblem):
        pure = ffi.from_buffer("uint8_t[]", problem.pure)
        step = {"step": lib.python_step, "context": context, "pure": pure}
        wanted |= {"n_transitions": len(problem.pure), **step}
    else:
        table = {"next": int32_pointer(problem.next), "initial": problem.initial}
        wanted |= {"n_states": problem.states, "n_transitions": problem.transitions, **table}
    error = ffi.new("int32_t *")
    handle = lib.search_open(ffi.new("struct search_problem *", wanted), error)
    if handle == ffi.NULL:
        return _refused(error[0], engine)
    try:
        status = _run(handle, asked, is_interruptible=is_interruptible)
        return _outcome(handle, status, len(problem.inv), frontier_max)
    finally:
        lib.search_close(handle)


def _run(handle: Any, asked: _Asked | None, *, is_interruptible: bool) -> int:
    """The status at the end; SEARCH_PAUSED if it was interrupted."""
    status: int = lib.SEARCH_PAUSED
    try:
        while status == lib.SEARCH_PAUSED:
            status = lib.search_run(handle, _SLICE)
        if asked is not None and asked.error is not None:
            raise asked.error
        if status == lib.SEARCH_RAISED:
            raise KeyboardInterrupt  # Nothing else can be raised where `python_step` cannot catch.
    except KeyboardInterrupt:
        if not is_interruptible:
            raise
        return int(lib.SEARCH_PAUSED)
    return status


def _refused(error: int, engine: Engine) -> Outcome:
    if error == lib.SEARCH_MALFORMED:
        raise ValueError("the positions, the transitions or the table contradict each other")
    status = Status.WIDE if error == lib.SEARCH_WIDE else Status.MEMORY
    return Outcome(status, engine, (), None, (), 0, 0)


def _outcome(handle: Any, status: int, operations: int, frontier_max: int) -> Outcome:
    order = ffi.new("int32_t[]", operations + 1)
    length = lib.search_order(handle, order)
    failing = lib.search_failing(handle)
    return Outcome(
        _STATUSES[status],
        _ENGINE_OF[lib.search_decided_by(handle)],
        tuple(order[0:length]),
        failing if failing >= 0 else None,
        _frontier(handle, frontier_max) if status == lib.SEARCH_INVALID else (),
        lib.search_configurations(handle),
        lib.search_peak_bytes(handle),
    )


def _frontier(handle: Any, frontier_max: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    state, start = ffi.new("int32_t *"), ffi.new("uint32_t *")
    operations = ffi.new("int32_t[]", lib.SEARCH_OPEN_MAX)
    found: dict[tuple[int, tuple[int, ...]], None] = {}
    while len(found) < frontier_max:
        count = lib.search_frontier(handle, start, state, operations)
        if count < 0:
            break
        found[state[0], tuple(operations[0:count])] = None
    return tuple(found)
