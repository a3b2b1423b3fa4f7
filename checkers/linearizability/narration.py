"""
Operations in plain words: who asked for what, when, on which node, and what the answer was.
"""

from __future__ import annotations

from typing import Final

from dissever.harness.history import Operation, Type
from dissever.harness.results import Step
from dissever.harness.values import show, show_ns

TAKES: Final = frozenset({"dequeue", "pop", "remove-max"})
"""Nothing is an answer to these: the object was empty."""

READS: Final = frozenset({"read", "get"})


def who(operation: Operation) -> str:
    """The process, and the node that it talked to."""
    node = operation.invocation.node or (operation.completion and operation.completion.node)
    return f"process {operation.process}" + (f" (on {node})" if node else "")


def asked(operation: Operation) -> str:
    """What was asked: `write 41`."""
    f, value = operation.f, operation.invocation.value
    if pair := _pair(operation):
        return f"replace {pair[0]} by {pair[1]}"
    return f if value is None or f == "read" else f"{f} {show(value)}"


def done(operation: Operation) -> str:
    """What an acknowledged operation did, from its invocation: `process 1 read 41 at 2.031 s`."""
    news, pair = answer(operation), _pair(operation)
    at = show_ns(operation.invocation.time)
    if pair:
        did = f"replaced {pair[0]} by {pair[1]}"
    elif operation.f in TAKES:
        did = "found it empty" if news is None else f"took {news}"
    elif news is None:
        return f"{who(operation)} asked to {asked(operation)} at {at} and was acknowledged"
    else:
        did = f"read {news}" if operation.f in READS else f"got {news} from {asked(operation)}"
    return f"{who(operation)} {did} at {at}"


def deed(operation: Operation) -> str:
    """An operation as a thing: `process 16's write of 20`."""
    value = operation.invocation.value
    if pair := _pair(operation):
        return f"process {operation.process}'s replacement of {pair[0]} by {pair[1]}"
    of = "" if value is None else f" of {show(value)}"
    return f"process {operation.process}'s {operation.f}{of}"


def sentence(operation: Operation, *, was_open_at_ns: int | None = None) -> Step:
    """
    One operation, from its invocation to its answer.

    Args:
        was_open_at_ns: Go no further than this time; an answer that came later is left out.
    """
    begin = f"{who(operation)} asked to {asked(operation)} at {show_ns(operation.invocation.time)}"
    completion = operation.completion
    if was_open_at_ns is not None and completion is not None and completion.time >= was_open_at_ns:
        return Step(f"{begin}; no answer had come yet", operation.indices)
    if completion is None or operation.type is Type.INFO:
        return Step(f"{begin}; whether or when that happened is unknown", operation.indices)
    at = show_ns(completion.time)
    if operation.type is Type.FAIL:
        return Step(f"{begin}; the answer at {at} was that this did not happen", operation.indices)
    if operation.f in TAKES and completion.value is None:
        return Step(f"{begin}; the answer at {at} was that it is empty", operation.indices)
    news = answer(operation)
    end = f"that was acknowledged at {at}" if news is None else f"the answer at {at} was {news}"
    return Step(f"{begin}; {end}", operation.indices)


def answer(operation: Operation) -> str | None:
    """The answer of an ok operation; None where it says no more than what was asked."""
    completion = operation.completion
    if completion is None or operation.type is not Type.OK:
        return None
    is_news = completion.value is not None and completion.value != operation.invocation.value
    return show(completion.value) if is_news or operation.f in READS else None


def _pair(operation: Operation) -> tuple[str, str] | None:
    """The old and the new value of a compare-and-set."""
    value = operation.invocation.value
    if operation.f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return show(value[0]), show(value[1])
    return None
