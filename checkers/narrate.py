"""
Operations as plain sentences: who asked what, when, on which node, and what the answer was.
"""

from __future__ import annotations

from typing import Final

from dissever.harness.history import Operation, Type
from dissever.harness.results import Step
from dissever.harness.values import show, show_ns

TAKES: Final = frozenset({"dequeue", "pop", "remove-max"})
"""Nothing is an answer to these."""


def who(operation: Operation) -> str:
    """The process, and the node that it talked to."""
    node = operation.invocation.node or (operation.completion and operation.completion.node)
    return f"process {operation.process}" + (f" (on {node})" if node else "")


def asked(operation: Operation) -> str:
    """What was asked: `write 41`."""
    f, value = operation.f, operation.invocation.value
    if f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return f"replace {show(value[0])} by {show(value[1])}"
    return f if value is None or f == "read" else f"{f} {show(value)}"


def sentence(operation: Operation, *, was_open_at_ns: int | None = None) -> Step:
    """
    One operation, from asking to answer.

    Args:
        was_open_at_ns: Tell the story up to this time, when the answer had not come yet.
    """
    begin = f"{who(operation)} asked to {asked(operation)} at {show_ns(operation.invocation.time)}"
    completion = operation.completion
    if was_open_at_ns is not None and completion is not None and completion.time >= was_open_at_ns:
        return Step(f"{begin}; no answer had come yet", operation.indices)
    if completion is None or operation.type is not Type.OK:
        return Step(f"{begin}; {_unanswered(operation)}", operation.indices)
    at = show_ns(completion.time)
    told = answer(operation)
    end = f"it was told {told} at {at}" if told else f"that was acknowledged at {at}"
    return Step(f"{begin}; {end}", operation.indices)


def answer(operation: Operation) -> str | None:
    """What an ok operation was told, or None where that says no more than was asked."""
    completion = operation.completion
    if completion is None or operation.type is not Type.OK:
        return None
    if operation.f in TAKES and completion.value is None:
        return "that it is empty"
    is_news = completion.value is not None and completion.value != operation.invocation.value
    return show(completion.value) if is_news or operation.f in ("read", "get") else None


def _unanswered(operation: Operation) -> str:
    if operation.type is Type.FAIL:
        assert operation.completion is not None
        return f"it was told at {show_ns(operation.completion.time)} that this did not happen"
    return "nobody knows whether or when that happened"
