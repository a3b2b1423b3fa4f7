"""
The seams of the interpreter: clients that apply operations, nemeses that inject faults.

A client's completion says ok, fail or info. Whatever it raises is info: unknown. A mistake in its
code, such as an AttributeError, ends the run with its traceback.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import msgspec

from dissever.harness.history import Key, Process, Type
from dissever.harness.missing import Missing

ANY_PROCESS = -1
"""The process of an invocation that any free process may take."""


class Invocation(msgspec.Struct, frozen=True, gc=False):
    """
    What is asked of a client or a nemesis; `ok`, `fail` and `info` complete it.

    A generator may leave `process` and `time` (ns since the run began) open: any free process, now.
    """

    f: str
    value: Any = None
    key: Key | None = None
    process: Process = ANY_PROCESS
    time: int = 0

    def ok(self, value: Any = None) -> Completion:
        """It took effect; `value` is the answer that the client got."""
        return Completion(Type.OK, value)

    def fail(self, error: Any) -> Completion:
        """It did not take effect and never will."""
        return Completion(Type.FAIL, self.value, error)

    def info(self, error: Any = None, value: Any = None) -> Completion:
        """Nobody knows. For a nemesis: what it did, with the evidence as the value."""
        return Completion(Type.INFO, self.value if value is None else value, error)


class Completion(msgspec.Struct, frozen=True, gc=False):
    """How an invocation ended: its type, with the answer or the error."""

    type: Type
    value: Any = None
    error: Any = None


class NotApplied(Exception):
    """
    What a store raises when an operation did not take effect and never will: fail.

    Anything else that it raises is info. `code` is the system's own, when it has one.
    """

    def __init__(self, message: str, code: int | str | None = None) -> None:
        super().__init__(message)
        self.code = code


@runtime_checkable
class Client(Protocol):
    """Applies operations to one node. One task uses it."""

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Apply it. The operation is info when this raises.

        Only a mistake in the code, as `harness.bugs.is_bug` tells it, ends the run.
        """

    async def close(self) -> None:
        """Let go of connections."""


class Nemesis(Protocol):
    """Injects one kind of fault and heals it."""

    def probe(self) -> Missing | None:
        """Why this fault cannot be injected here, or None."""

    async def invoke(self, invocation: Invocation) -> Completion:
        """Inject or heal; the completion is info and its value carries the evidence."""

    async def heal(self) -> None:
        """Undo whatever is in force. Idempotent; called whatever failed."""


@runtime_checkable
class Prepares(Protocol):
    """A nemesis that needs something on the hosts before the first operation, such as proxies."""

    async def prepare(self) -> bool:
        """
        Put it there. Idempotent.

        Returns:
            Whether that may have disturbed the system, which is then waited for.

        Raises:
            OSError: When it cannot be, with the reason.
        """
