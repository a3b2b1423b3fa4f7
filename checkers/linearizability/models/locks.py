"""
Locks and semaphores. A step sees no process, so the owner of a lock stands in the value.

A process that crashed in `acquire` is gone: in the locks that know their owner only that same owner
could release it.

Source: Knossos, `model.clj`; Jepsen's `hazelcast` for the owned, reentrant and fenced kinds.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, After, Misfit, Model, State
from dissever.harness.values import show

_NOBODY: Final = "free"


def mutex() -> Model:
    """`acquire` and `release`; a lock does not know its owner."""
    return Model(
        "mutex",
        "free",
        _mutex,
        reads=frozenset(),
        noun="lock",
        holds=str,
        description="acquire, release: any process may do either",
    )


def owned_mutex() -> Model:
    """`acquire` owner, `release` owner: only who holds it can release it. The state: [owner]."""
    return Model(
        "owned-mutex",
        (),
        _owned_mutex,
        reads=frozenset(),
        noun="lock",
        holds=_show_owner,
        description="acquire owner, release owner: only the owner releases",
    )


def reentrant_mutex(depth_max: int | None = None) -> Model:
    """
    `acquire` owner, `release` owner: its owner may acquire it again, and releases as often.

    The state: the owner, and how often it holds it; or nothing.

    Args:
        depth_max: How often it can be held at once; None for no limit.
    """

    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        return _reentrant_mutex(state, f, value_in, depth_max)

    return Model(
        "reentrant-mutex",
        (),
        step,
        reads=frozenset(),
        is_endless=depth_max is None,
        noun="lock",
        holds=_show_owner,
        description="acquire owner, release owner: the owner may acquire again",
    )


def fenced_mutex() -> Model:
    """
    `acquire` -> token, `release` token: each token is greater than all before it.

    The state: the greatest token given, and whether it is still held. Nobody knows the token of an
    `acquire` that crashed, so no process can release it.
    """
    return Model(
        "fenced-mutex",
        (None, False),
        _fenced_mutex,
        reads=frozenset(),
        noun="lock",
        holds=_show_token,
        description="acquire -> token (an int greater than all before), release token",
    )


def semaphore(permits: int = 2) -> Model:
    """`acquire` n, `release` n, where None means 1; never more than `permits` are held."""

    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        return _semaphore(state, f, value_in, permits)

    return Model(
        "semaphore",
        permits,
        step,
        reads=frozenset(),
        noun="semaphore",
        holds=lambda state: f"{state} permits",
        description=f"acquire n, release n (1 if none is given), of {permits} permits",
    )


def _mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    if f == "acquire":
        return "held" if state == "free" else REFUSED
    if f == "release":
        return "free" if state == "held" else REFUSED
    raise Misfit(f"a mutex has no {f!r}")


def _owned_mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    _check_owner(f, value_in)
    if f == "acquire":
        return (value_in,) if state == () else REFUSED
    return () if state == (value_in,) else REFUSED


def _reentrant_mutex(state: State, f: str, owner: Hashable, depth_max: int | None) -> After:
    _check_owner(f, owner)
    assert isinstance(state, tuple)
    held_by, depth = state or (owner, 0)
    if held_by != owner:
        return REFUSED
    if f == "acquire":
        return REFUSED if depth == depth_max else (owner, depth + 1)
    if depth == 0:
        return REFUSED
    return (owner, depth - 1) if depth > 1 else ()


def _check_owner(f: str, owner: Hashable) -> None:
    if f not in ("acquire", "release"):
        raise Misfit(f"a mutex has no {f!r}")
    if owner is None:
        raise Misfit(f"{f} wants the owner as its value")


def _fenced_mutex(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
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


def _semaphore(state: State, f: str, value_in: Hashable, permits: int) -> After:
    assert isinstance(state, int)
    wanted = 1 if value_in is None else value_in
    if type(wanted) is not int or wanted < 1:
        raise Misfit(f"{f} wants a number of permits, got {show(value_in)}")
    if f == "acquire":
        return state - wanted if state >= wanted else REFUSED
    if f == "release":
        return state + wanted if state + wanted <= permits else REFUSED
    raise Misfit(f"a semaphore has no {f!r}")


def _show_owner(state: State) -> str:
    assert isinstance(state, tuple)
    times = f" {state[1]} times" if len(state) > 1 and state[1] > 1 else ""
    return f"held by {show(state[0])}{times}" if state else _NOBODY


def _show_token(state: State) -> str:
    assert isinstance(state, tuple)
    last, is_held = state
    if is_held is UNKNOWN:
        return "held with an unknown token"
    return f"held with token {last}" if is_held else f"free, last token {show(last)}"


MODELS: Final = (mutex(), owned_mutex(), reentrant_mutex(), fenced_mutex(), semaphore())
