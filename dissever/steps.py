"""Parts of a test that is written step by step: a fault while a `with` lasts, a plain client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from dissever.harness.client import Client, Invocation
from dissever.nemesis import Fault

__all__ = ["DidNotHold", "StepClient", "Strike", "StrikeContext"]


class DidNotHold(RuntimeError):
    """A fault has no evidence that it took hold, lasted or healed: what was tested is not known."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault in force: the nodes that it struck, and what was seen of it from outside."""

    fault: str
    targets: tuple[str, ...]
    evidence: Mapping[str, Any]


class Strikes(Protocol):
    """Injects faults and heals them."""

    def inject(self, fault: Fault, value: Mapping[str, Any]) -> Strike:
        """Strike. Raises DidNotHold."""

    def heal(self, fault: Fault) -> None:
        """Heal. Raises DidNotHold."""


class StrikeContext:
    """
    A fault for as long as a `with` or an `async with` statement lasts.

    Raises, when it is entered or left: `DidNotHold`. An error from inside the statement comes
    first, and has the other as a note.
    """

    def __init__(self, cluster: Strikes, fault: Fault, value: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._fault = fault
        self._value = value

    def __enter__(self) -> Strike:
        return self._cluster.inject(self._fault, self._value)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._cluster.heal(self._fault)
        except DidNotHold as lapse:
            if error is None:
                raise
            error.add_note(f"and {lapse}")

    async def __aenter__(self) -> Strike:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)


class StepClient:
    """
    A client of one node. Its methods are those of the system's own, without `await`:
    `client.read(1)`, `client.add(5)`.

    A call raises what the system's client raises: `NotApplied` where it did not take effect and
    never will. After `operation_limit_s` it raises TimeoutError: nobody knows then. A client that
    speaks in operations, such as a program, has `invoke("read", key=1)`.
    """

    def __init__(self, call: Callable[[Any], Any], node: str, opened: Any, limit_s: float) -> None:
        """`call` has a coroutine done, and waits for it."""
        self.node = node
        self._call = call
        self._opened = opened
        self._limit_s = limit_s

    def __getattr__(self, method: str) -> Callable[..., Any]:
        asked = getattr(self._opened, method)

        def call(*arguments: Any, **named: Any) -> Any:
            return self._call(self._within_limit(asked(*arguments, **named)))

        return call

    def invoke(self, f: str, value: Any = None, *, key: Any = None) -> Any:
        """
        One operation, as in a history; what comes back is its completion.

        Raises:
            TypeError: When the client has methods instead.
        """
        if not isinstance(self._opened, Client):
            raise TypeError(f"expected a client that has invoke, got one with methods: {f}(…)")
        return self._call(
            self._within_limit(self._opened.invoke(Invocation(f, value, key=key, process=0)))
        )

    def close(self) -> None:
        """Let go of its connections. Idempotent."""
        opened, self._opened = self._opened, None
        if opened is not None:
            with contextlib.suppress(Exception):  # It is of no more use either way.
                self._call(opened.close())

    async def _within_limit(self, work: Any) -> Any:
        try:
            async with asyncio.timeout(self._limit_s):
                return await work
        except TimeoutError as error:
            why = str(error) or f"no answer from {self.node} within {self._limit_s:g} s"
            raise TimeoutError(why) from error
