"""The search at its limits."""

from __future__ import annotations

import importlib
import signal
from array import array
from typing import Any

import pytest

from dissever.native import Engine, LazyProblem, Problem, Status, search
from dissever.native.search import NEVER


def _writes(n: int, *, open_at_once: int) -> Problem:
    """n writes of one register, each `open_at_once` of them concurrent; then nothing is read."""
    inv, ret = [], []
    for i in range(n):
        group, place = divmod(i, open_at_once)
        start = 2 * group * open_at_once
        inv.append(start + place)
        ret.append(start + min(open_at_once, n - group * open_at_once) + place)
    return Problem(inv, ret, [0] * n, array("i", [0]), 1)


@pytest.mark.parametrize("open_at_once", [1, 63, 64, 65, 128, 129, 1000, 4096])
def test_masks_are_as_wide_as_needed(open_at_once: int) -> None:
    problem = _writes(5000, open_at_once=open_at_once)

    outcome = search(problem, configurations_max=10_000, bytes_max=1 << 28)

    assert outcome.status is Status.VALID
    assert sorted(outcome.order) == list(range(5000))


def test_more_open_operations_than_the_limit_are_unknown() -> None:
    problem = _writes(5000, open_at_once=4097)

    outcome = search(problem, configurations_max=10_000, bytes_max=1 << 28)

    assert outcome.status is Status.WIDE


@pytest.mark.parametrize(
    "problem",
    [
        Problem([0], [0], [0], array("i", [0]), 1),
        Problem([0], [2], [0], array("i", [0]), 1),
        Problem([0], [1], [1], array("i", [0]), 1),
        Problem([0], [1], [0], array("i", [1]), 1),
        Problem([0, 0], [1, 2], [0, 0], array("i", [0]), 1),
        Problem([0], [1], [0], array("i", [0]), 1, initial=1),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(problem: Problem) -> None:
    with pytest.raises(ValueError, match="contradict"):
        search(problem, configurations_max=10, bytes_max=1 << 20)


def _hard(n: int) -> Problem:
    """n open writes, then a read of what none of them wrote, while all are open."""
    rows = array("i")
    for state in range(n + 2):
        rows.extend([*range(n), state if state == n + 1 else -1])
    return Problem(
        [*range(n + 1)], [*range(n + 2, 2 * n + 2), n + 1], [*range(n + 1)], rows, n + 1, initial=n
    )


@pytest.mark.parametrize("engine", Engine)
def test_budgets_are_kept(engine: Engine) -> None:
    few = search(_hard(30), configurations_max=5_000, bytes_max=1 << 28, engine=engine)
    small = search(_hard(30), configurations_max=1 << 30, bytes_max=1 << 20, engine=engine)

    assert (few.status, few.configurations) == (Status.CONFIGURATIONS, 5_000)
    assert small.status is Status.MEMORY
    assert small.peak_bytes <= 1 << 20


def test_no_memory_at_all_is_unknown() -> None:
    outcome = search(_hard(30), configurations_max=10, bytes_max=100)

    assert outcome.status is Status.MEMORY


def test_crashed_operations_alone_are_valid() -> None:
    problem = Problem([0, 1], [NEVER, NEVER], [0, 0], array("i", [-1]), 1)

    assert search(problem, configurations_max=10, bytes_max=1 << 20).status is Status.VALID


def test_nothing_is_valid() -> None:
    problem = Problem([], [], [], array("i"), 0)

    assert search(problem, configurations_max=10, bytes_max=1 << 20).status is Status.VALID


class _Interrupted:
    """The library, with a Ctrl-C during its third slice; a slice is small here."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._slices = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lib, name)

    def search_run(self, handle: Any, _: int) -> int:
        self._slices += 1
        status: int = self._lib.search_run(handle, 1000)
        if self._slices == 3:
            signal.raise_signal(signal.SIGINT)
        return status


@pytest.mark.parametrize("engine", Engine)
def test_ctrl_c_gives_what_was_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("dissever.native.search")
    monkeypatch.setattr(module, "lib", _Interrupted(module.lib))
    n = 30
    hard = _hard(n)
    begun = Problem(
        [0, *(2 + at for at in hard.inv)],
        [1, *(2 + at for at in hard.ret)],
        [0, *hard.transition],
        hard.next,
        hard.transitions,
        hard.initial,
    )

    outcome = search(
        begun,
        configurations_max=1 << 40,
        bytes_max=1 << 30,
        engine=engine,
        is_interruptible=True,
    )

    assert outcome.status is Status.INTERRUPTED
    assert 2000 < outcome.configurations <= 3100
    assert outcome.order[0] == 0
    assert outcome.failing == n + 1


def test_ctrl_c_while_a_state_is_made_gives_what_was_found() -> None:
    def step(state: int, _: int) -> int:
        if state == 3:
            raise KeyboardInterrupt
        return state + 1

    n = 10
    problem = LazyProblem([*range(0, 2 * n, 2)], [*range(1, 2 * n, 2)], [0] * n, b"\0", step)

    outcome = search(problem, configurations_max=1 << 40, bytes_max=1 << 20, is_interruptible=True)

    assert outcome.status is Status.INTERRUPTED
    assert outcome.order == (0, 1, 2)
    assert outcome.failing == 3
