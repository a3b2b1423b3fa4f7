"""
What methods of clients must return, so that a mistake in a client does not accuse the system.

A `compare_and_set` that forgets its `return` answers None, which is no refusal. A generator has
done nothing yet. A read that answers "5" after a write of 5 looks like a value that nobody wrote.
All of these are mistakes in the code of the client, so a TypeError ends the run and says so. As
info they would make a run valid in which no read was checked.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from dissever.harness.values import quoted

__all__ = ["check_done", "check_shape"]


def check_done(answer: object, method: str) -> None:
    """
    Check that what a blocking method returned is not still to be done.

    Raises:
        TypeError: When it is a coroutine, another awaitable, a generator, or a future.
    """
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError(f"{method} gave a coroutine: define it with `async def`")
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        raise TypeError(f"{method} gave a generator, which has done nothing: use `return`")
    if isinstance(answer, concurrent.futures.Future | asyncio.Future):
        raise TypeError(f"{method} gave a future: wait for its result, and return that")


def check_shape(store: str, method: str, answer: object, name: str) -> None:
    """
    Check what a method of a store returned; those of other workloads may return anything.

    Args:
        name: What messages call the method.

    Raises:
        TypeError: When it is of another kind.
    """
    fits, kind = _SHAPES.get((store, method)) or _SHAPES.get(("", method), (_anything, ""))
    if not fits(answer):
        raise TypeError(f"{name}: expected {kind}, got {quoted(answer)}")


def _anything(_: object) -> bool:
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _are_numbers(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_is_number, value))


def _is_list_of_numbers(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_number, value))


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_comparable(value: object) -> bool:
    return isinstance(value, str | bytes | int)


_SHAPES: Final[Mapping[tuple[str, str], tuple[Callable[[Any], bool], str]]] = {
    ("registers", "read"): (_is_number_or_none, "an int, or None if it was never written"),
    ("registers", "compare_and_set"): (
        _is_bool,
        "True if the value was set, or False if it was another one",
    ),
    ("transactions", "read"): (_is_number_or_none, "an int, or None if it was never written"),
    ("transactions", "read_list"): (_is_list_of_numbers, "a list of ints, in their order"),
    ("elements", "elements"): (_are_numbers, "a list of ints"),
    ("", "digest"): (_is_comparable, "a text, bytes or a number"),
}
"""
(store, method) -> whether an answer is of the kind that a history needs, and its name.

Without a store: what is asked for no workload.
"""
