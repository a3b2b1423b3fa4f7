"""
Waiting for something that is asked again and again, such as whether a system serves.

Somebody who waits in vain learns what was missing when it was last asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from dissever.harness.values import reason

__all__ = ["NotYet", "first_acknowledged", "until"]

T = TypeVar("T")


class NotYet(Exception):
    """It is to be asked again; the message says what is missing."""


async def until(ask: Callable[[], Awaitable[T]], timeout_s: float, gap_s: float, *, late: str) -> T:
    """
    What `ask` returns, as soon as it does not raise `NotYet`.

    Args:
        ask: Is never interrupted, so it needs a limit of its own.
        gap_s: How long to wait before it is asked again.
        late: How the message begins when time is up.

    Raises:
        TimeoutError: When it was asked for longer than `timeout_s`, with what was missing last.
        Exception: What `ask` raises otherwise.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    missing = "nobody was asked yet"
    while loop.time() - start < timeout_s:
        try:
            return await ask()
        except NotYet as error:
            missing = str(error)
        await asyncio.sleep(gap_s)
    raise TimeoutError(f"{late}: {missing}")


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
        NotYet: When none acknowledges it; with the node that was asked last, and why it did not.
        Exception: What `write` raises otherwise.
    """
    missing = ""
    for node in nodes:
        try:
            await write(node)
        except Exception as error:
            if not is_refusal(error):
                raise
            missing = f"{node}: {reason(error)}"
        else:
            return {"by": node}
    raise NotYet(missing)
