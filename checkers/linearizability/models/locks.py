"""
Locks and semaphores. A step sees no process, so the owner of a lock stands in the value.

A process that crashed in `acquire` is gone: in the locks that know their owner only that same owner
could release it.

Source: Knossos, `model.clj`; Jepsen's `hazelcast` for the owned, reentrant and fenced kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from dissever.checkers.linearizability.model import (
    REFUSED,
    UNKNOWN,
    After,
    Misfit,
    Model,
    State,
    Step,
)
from dissever.harness.values import show

PERMITS: Final = 2
"""Of a semaphore."""


def _mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """A lock does not know its owner."""
    if f == "acquire":
        return "held" if state == "free" else REFUSED
    if f == "release":
        return "free" if state == "held" else REFUSED
    raise Misfit(f"a mutex has no {f!r}")


def _owned_mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """The state: [owner]."""
    _check_owner(f, value_in)
    if f == "acquire":
        return (value_in,) if state == () else REFUSED
    return () if state == (value_in,) else REFUSED


def _reentrant_mutex(state: State, f: str, owner: Hashable, value_out: Hashable) -> After:
    """Its owner releases it as often. The state: the owner, and how often it holds it; or ()."""
    _check_owner(f, owner)
    assert isinstance(state, tuple)
    held_by, depth = state or (owner, 0)
    if held_by != owner:
        return REFUSED
    if f == "acquire":
        return (owner, depth + 1)
    if depth == 0:
        return REFUSED
    return (owner, depth - 1) if depth > 1 else ()


def _check_owner(f: str, owner: Hashable) -> None:
    if f not in ("acquire", "release"):
        raise Misfit(f"a mutex has no {f!r}")
    if owner is None:
        raise Misfit(f"{f} wants the owner as its value")


def _fenced_mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """
    The state: the greatest token given, and whether it is still held.

    Nobody knows the token of an `acquire` that crashed, so no process can release it.
    """
    assert isinstance(state, tuple)
    last, is_held = state
    if f == "release":
        if type(value_in) is not int:
            raise Misfit(f"release wants the token, got {show(value_in)}")
        return (last, False) if is_held is True and last == value_in else REFUSED
    if f != "acquire":
        raise Misfit(f"a mutex has no {f!r}")
    if value_out is UNKNOWN:
        return REFUSED if is_held else (last, UNKNOWN)
    if type(value_out) is not int:
        raise Misfit(f"acquire answers a token, got {show(value_out)}")
    is_newer = last is None or value_out > last
    return (value_out, True) if not is_held and is_newer else REFUSED


def _semaphore(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """The state: the permits that are left."""
    assert isinstance(state, int)
    wanted = 1 if value_in is None else value_in
    if type(wanted) is not int or wanted < 1:
        raise Misfit(f"{f} wants a number of permits, got {show(value_in)}")
    if f == "acquire":
        return state - wanted if state >= wanted else REFUSED
    if f == "release":
        return state + wanted if state + wanted <= PERMITS else REFUSED
    raise Misfit(f"a semaphore has no {f!r}")


def _held(initial: Hashable) -> State:
    if initial not in ("free", "held"):
        raise Misfit("a mutex begins free or held")
    return initial


def _last_token(initial: Hashable) -> State:
    if type(initial) is not int:
        raise Misfit("a fenced mutex begins free with its last token, an int")
    return (initial, False)


def _permits(initial: Hashable) -> State:
    if type(initial) is not int or not 0 <= initial <= PERMITS:
        raise Misfit(f"a semaphore begins with 0 to {PERMITS} permits")
    return initial


def _show_owner(state: State) -> str:
    assert isinstance(state, tuple)
    times = f" {state[1]} times" if len(state) > 1 and state[1] > 1 else ""
    return f"held by {show(state[0])}{times}" if state else "free"


def _show_token(state: State) -> str:
    assert isinstance(state, tuple)
    last, is_held = state
    if is_held is UNKNOWN:
        return "held with an unknown token"
    return f"held with token {last}" if is_held else f"free, last token {show(last)}"


def _lock(
    name: str,
    initial: State,
    step: Step,
    holds: Callable[[State], str],
    description: str,
    *,
    noun: str = "lock",
    is_endless: bool = False,
    start: Callable[[Hashable], State] | None = None,
) -> Model:
    return Model(
        name,
        initial,
        step,
        reads=frozenset(),
        is_endless=is_endless,
        start=start,
        noun=noun,
        holds=holds,
        description=description,
    )


MODELS: Final = (
    _lock("mutex", "free", _mutex, str, "acquire, release: any process may do either", start=_held),
    _lock(
        "owned-mutex",
        (),
        _owned_mutex,
        _show_owner,
        "acquire owner, release owner: only the owner releases",
        start=lambda owner: (owner,),
    ),
    _lock(
        "reentrant-mutex",
        (),
        _reentrant_mutex,
        _show_owner,
        "acquire owner, release owner: the owner may acquire again",
        is_endless=True,
        start=lambda owner: (owner, 1),
    ),
    _lock(
        "fenced-mutex",
        (None, False),
        _fenced_mutex,
        _show_token,
        "acquire -> token (an int greater than all before), release token",
        start=_last_token,
    ),
    _lock(
        "semaphore",
        PERMITS,
        _semaphore,
        lambda state: f"{state} permits",
        f"acquire n, release n (1 if none is given), of {PERMITS} permits",
        noun="semaphore",
        start=_permits,
    ),
)
