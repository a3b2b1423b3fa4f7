"""
Calls of clients and nemeses: whatever they answer or raise becomes a completion.

Nobody knows what a client did before it raised, so an exception is info, never fail. A driver may
raise CancelledError of its own accord; only when the task itself is cancelled does that end it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from dissever.harness.bugs import bug_of, is_bug
from dissever.harness.client import Client, Completion, Invocation, Nemesis
from dissever.harness.history import Type
from dissever.harness.values import reason

log = logging.getLogger(__name__)

CLOSE_LIMIT_S: Final = 2.0
"""How long a client may take to close, and a task that was cancelled to end."""

_SHOWN_CHARS_MAX: Final = 500


async def completion_of(player: Client | Nemesis, step: Invocation) -> Completion:
    """
    What it answers; info when it raises, or answers something that is no completion.

    Raises:
        Bug: When what it raises tells of a mistake in its code.
    """
    try:
        answer: Any = await player.invoke(step)
    except (
        Exception,
        SystemExit,
        asyncio.CancelledError,
    ) as error:  # Nobody knows what it did before.
        pass_on_cancellation(error)
        if is_bug(error):
            raise bug_of(f"{step.f} of {step.process}", error) from error
        return step.info([type(error).__name__, reason(error)])
    if isinstance(answer, Completion) and answer.type is not Type.INVOKE:
        return answer
    message = f"expected ok, fail or info, got {answer!a}"
    return step.info(["no-completion", message[:_SHOWN_CHARS_MAX]])


async def close(client: Client) -> None:
    """
    Close it; one that cannot close in time is left behind.

    Raises:
        Bug: When what it raises tells of a mistake in its code.
    """
    try:
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await client.close()
    except (Exception, SystemExit) as error:  # It is of no more use either way.
        if is_bug(error):
            raise bug_of("closing a client", error) from error
        log.debug("closing a client: %s", reason(error))


def pass_on_cancellation(error: BaseException) -> None:
    """Raise it again if this task is cancelled."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error
