"""
A model as a user writes one: an immutable class, whose instances are the states of the object.

    @dataclass(frozen=True)
    class LeaseLock:
        "A lock that is held by one owner."

        owner: str | None = None

        def acquire(self, asked, answered):
            return LeaseLock(asked) if self.owner is None else REFUSED

        def holder(self, asked, answered):
            return self if answered == self.owner else REFUSED

        reads = ("holder",)

This is the least: a frozen dataclass (or a NamedTuple) that can be made without arguments, with one
method for each `f`, a dash being an underscore. A method gets what was asked and what was answered,
and returns the next state, or REFUSED where a correct object in this state cannot have answered
that. The answer of an operation that nobody knows the end of is UNKNOWN. Lists come as tuples, so
that a state can hold them. `reads` names the methods that never change the state: `read`, where
nothing is said. With more to say, a user makes a `Model`.

Source: Knossos, `model.clj`, where a model is a value with a step.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Final

from dissever.checkers.linearizability.family import OTHER
from dissever.checkers.linearizability.model import REFUSED, After, Misfit, Model, State, Step
from dissever.harness.values import printable, quoted, reason, shorten, thaw

__all__ = ["guarded", "is_plain_model", "model_of"]

_ARGUMENTS: Final = 3
"""Of a method: the state, what was asked, what was answered."""


def is_plain_model(value: Any) -> bool:
    """Whether it is a class with methods of a model, whose instances are equal by value."""
    if not isinstance(value, type):
        return False
    equality: Any = value.__eq__
    return equality is not object.__eq__ and bool(_steps(value))


def model_of(kind: type, name: str) -> Model:
    """
    The model that a class describes.

    Raises:
        ValueError: When it is none, with what is missing.
    """
    if not is_plain_model(kind):
        raise ValueError(
            "expected a model: a Model, or a frozen dataclass with methods"
            f" (self, asked, answered); got {quoted(kind)}"
        )
    try:
        initial: Any = kind()
        hash(initial)
    except TypeError as error:
        what = "expected a class that can be made without arguments, of hashable states"
        raise ValueError(f"{what}, got {kind.__name__}: {error}") from error
    steps = _steps(kind)
    reads = _reads(kind, steps)
    return Model(
        name,
        initial,
        _step(kind, steps, reads),
        reads=reads,
        noun="object",
        holds=_holds,
        description=_first_line(kind),
    )


def guarded(model: Model, name: str) -> Model:
    """A model of a user's: whatever its step raises says what went wrong, and judges nothing."""

    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        try:
            after = model.step(state, f, value_in, value_out)
            hash(after)
            return after
        except Misfit:
            raise
        except Exception as error:  # It is a user's code, and its mistake is no verdict.
            raise Misfit(_mistake(name, f, error)) from error

    return replace(model, step=step) if model.family is OTHER else model


def _step(kind: type, steps: Mapping[str, Any], reads: frozenset[str]) -> Step:
    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        method = steps.get(f.replace("-", "_"))
        if method is None:
            raise Misfit(f"{kind.__name__} has no method for {f!r}")
        after: State = method(state, thaw(value_in), thaw(value_out))
        if after is REFUSED:
            return REFUSED
        if not isinstance(after, kind):
            expected = f"expected {kind.__name__}.{method.__name__} to return a {kind.__name__}"
            raise Misfit(f"{expected} or REFUSED, got {quoted(after)}")
        if f in reads and after != state:
            raise Misfit(f"{kind.__name__}.{method.__name__} is one of its reads, and changes it")
        return after

    return step


def _steps(kind: type) -> dict[str, Any]:
    """The methods that can be steps, by name."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if not name.startswith("_") and _takes_three(function)
    }


def _takes_three(function: Any) -> bool:
    kinds = [each.kind for each in inspect.signature(function).parameters.values()]
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(kinds) == _ARGUMENTS and all(each in plain for each in kinds)


def _reads(kind: type, steps: Mapping[str, Any]) -> frozenset[str]:
    """Each f that never changes the state, as histories write it."""
    named = getattr(kind, "reads", None)
    if named is None or callable(named):
        return frozenset({"read"} & set(steps))
    if isinstance(named, str) or not all(isinstance(each, str) for each in named):
        raise ValueError(f"expected reads as a tuple of names, got {quoted(named)}")
    if strangers := sorted(each for each in named if each.replace("-", "_") not in steps):
        known = ", ".join(steps)
        raise ValueError(f"expected reads out of {known}, got {quoted(strangers[0])}")
    both = {each.replace("_", "-") for each in named} | set(named)
    return frozenset(both)


def _holds(state: State) -> str:
    return shorten(printable(repr(state)))


def _first_line(kind: type) -> str:
    text = inspect.getdoc(kind) or ""
    return "" if text.startswith(f"{kind.__name__}(") else text.partition("\n")[0].rstrip(".")


def _mistake(name: str, f: str, error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else f" (line {frame.tb_lineno})"
    return f"{name}: its step for {f} raised {type(error).__name__}: {reason(error)}{where}"
