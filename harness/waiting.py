"""
Waiting for something that is asked again and again, such as whether a system serves.

Somebody who waits in vain learns what was missing when it was last asked. Whoever watches the run
hears what is waited for, and for how long at most. A context variable carries that, so that systems
of others need no argument for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from dissever.harness.values import listed, reason

__all__ = ["NotYet", "Wait", "disagreement", "first_acknowledged", "heard", "until", "waiting"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """`what` completes "the run is …", such as "waiting for a leader"; it ends after `limit_s`."""

    what: str
    limit_s: float | None = None


Hear: TypeAlias = Callable[[Wait | None], None]
"""Hears the wait that began last and goes on; None: there is none."""


class _Waits:
    """The waits that go on, in the order in which they began; several tasks may wait at a time."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._waits: list[Wait] = []

    def begin(self, wait: Wait) -> None:
        self._waits.append(wait)
        self._hear(wait)

    def end(self, wait: Wait) -> None:
        self._waits.remove(wait)
        self._hear(self._waits[-1] if self._waits else None)


_WAITS: Final[ContextVar[_Waits | None]] = ContextVar("waits", default=None)


@contextmanager
def heard(hear: Hear) -> Iterator[None]:
    """Let `hear` know of every wait inside, and of those of tasks that are made inside."""
    token = _WAITS.set(_Waits(hear))
    try:
        yield
    finally:
        _WAITS.reset(token)


@contextmanager
def waiting(what: str, limit_s: float | None = None) -> Iterator[None]:
    """Say that this is waited for until the block ends."""
    waits, wait = _WAITS.get(), Wait(what, limit_s)
    if waits is None or not what:
        yield
        return
    waits.begin(wait)
    try:
        yield
    finally:
        waits.end(wait)


class NotYet(Exception):
    """It is to be asked again; the message says what is missing."""


async def until(
    ask: Callable[[], Awaitable[T]], timeout_s: float, gap_s: float, *, late: str, what: str = ""
) -> T:
    """
    What `ask` returns, as soon as it does not raise `NotYet`.

    Args:
        ask: Is never interrupted, so it needs a limit of its own.
        gap_s: How long to wait before it is asked again.
        late: How the message begins when time is up.
        what: Says what is waited for, as `Wait` does; empty: nobody hears of it.

    Raises:
        TimeoutError: When it was asked for longer than `timeout_s`, with what was missing last.
        Exception: What `ask` raises otherwise.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    missing = "there was no time to ask"
    with waiting(what, timeout_s):
        while loop.time() - start < timeout_s:
            try:
                return await ask()
            except NotYet as error:
                missing = str(error)
            await asyncio.sleep(gap_s)
    raise TimeoutError(f"{late}: {missing}")


def disagreement(named: Mapping[str, str | None]) -> str:
    """Which node each names as the leader, in words; nobody for None and an empty name."""
    says = listed(f"{node} names {leader or 'nobody'}" for node, leader in named.items())
    return f"the nodes do not agree who leads: {says}"


async def first_acknowledged(
    nodes: Sequence[str],
    write: Callable[[str], Awaitable[object]],
    is_refusal: Callable[[Exception], bool],
) -> dict[str, str]:
    """
    The first of the nodes by way of which a write is acknowledged, as `by`.

    Args:
        is_refusal: Whether such an exception of `write` is an answer, or the lack of one.

    Raises:
        NotYet: When none acknowledges it; with why each node did not.
        Exception: What `write` raises otherwise.
    """
    refusals: list[str] = []
    for node in nodes:
        try:
            await write(node)
        except Exception as error:
            if not is_refusal(error):
                raise
            why = reason(error)
            refusals.append(why if why.startswith(f"{node} ") else f"{node}: {why}")
        else:
            return {"by": node}
    raise NotYet(listed(refusals, "; "))
