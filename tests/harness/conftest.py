"""
A run in the small: clients that are functions, a journal that is a list, both clocks.

On the real clock nothing waits for time to pass: tests wait for events, and limits are short.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest

from dissever.harness import clock
from dissever.harness.client import Client, Completion, Invocation, Nemesis
from dissever.harness.history import Event, History
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.plan import stream

Answer = Callable[[Invocation], Awaitable[Completion]]


class FunctionClient:
    """A client that is a function; `log` gets a line when it is opened and closed."""

    def __init__(self, answer: Answer, log: list[str], name: str) -> None:
        self._answer = answer
        self._log = log
        self._name = name
        log.append(f"open {name}")

    async def invoke(self, invocation: Invocation) -> Completion:
        return await self._answer(invocation)

    async def close(self) -> None:
        self._log.append(f"close {self._name}")


class FunctionNemesis:
    """A nemesis that is a function, and counts how often it was healed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.healed = 0

    def probe(self) -> None:
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        return await self._answer(invocation)

    async def heal(self) -> None:
        self.healed += 1


class Bench:
    """Runs generators against functions; what was recorded and opened stays to be looked at."""

    def __init__(self, is_virtual: bool) -> None:
        self.is_virtual = is_virtual
        self.events: list[Event] = []
        self.opened: list[str] = []
        self._count = 0

    def run(
        self,
        source: Any,
        answer: Answer,
        *,
        concurrency: int = 1,
        nemeses: Mapping[str, Nemesis] | None = None,
        limits: TimeLimits | None = None,
        open_client: Callable[[str], Awaitable[Client]] | None = None,
        record: Callable[[Event], None] | None = None,
    ) -> History:
        """Run it on this bench's clock."""
        work = self.work(
            source,
            answer,
            concurrency=concurrency,
            nemeses=nemeses,
            limits=limits,
            open_client=open_client,
            record=record,
        )
        return clock.run(work, is_virtual=self.is_virtual)

    async def work(
        self,
        source: Any,
        answer: Answer,
        *,
        concurrency: int = 1,
        nemeses: Mapping[str, Nemesis] | None = None,
        limits: TimeLimits | None = None,
        open_client: Callable[[str], Awaitable[Client]] | None = None,
        record: Callable[[Event], None] | None = None,
    ) -> History:
        """The same within a loop that runs."""

        async def open_own(node: str) -> Client:
            self._count += 1
            return FunctionClient(answer, self.opened, f"{node} {self._count}")

        return await interpret(
            source,
            open_client=open_client or open_own,
            nodes=("n1", "n2", "n3"),
            concurrency=concurrency,
            nemeses=nemeses or {},
            rng=stream(1, "generator"),
            record=record or self.events.append,
            limits=limits or TimeLimits(operation_s=5, nemesis_s=5),
        )


class MakeNemesis(Protocol):
    def __call__(self, answer: Answer | None = None) -> FunctionNemesis: ...


@pytest.fixture(params=[True, False], ids=["virtual", "real"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """One on each clock."""
    return Bench(request.param)


@pytest.fixture
def virtual_bench() -> Bench:
    """One on the virtual clock, for what takes time."""
    return Bench(True)


@pytest.fixture
def make_nemesis() -> MakeNemesis:
    """A nemesis of a function; without one it says what it did and nothing else."""

    async def agree(invocation: Invocation) -> Completion:
        return invocation.info()

    return lambda answer=None: FunctionNemesis(answer or agree)
