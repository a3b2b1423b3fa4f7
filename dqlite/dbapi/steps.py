"""
Steps: what is done next, decided once for a blocking and an asyncio face.

A generator yields calls, of the client, of the connector or of sleep, and gets back what they
return or raise. A blocking face makes the calls (`run`), an asyncio face makes and awaits them
(`run_async`).

Source: the sans-I/O shape of `dqlite.wire.session`.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar

_Value = TypeVar("_Value")

Step: TypeAlias = Callable[[], Any]
Steps: TypeAlias = Generator[Step, Any, _Value]


def run(steps: Steps[_Value]) -> _Value:
    """Do what the steps say, in the thread of the caller."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        value: _Value = end.value
        return value


async def run_async(steps: Steps[_Value]) -> _Value:
    """Do what the steps say, and await each."""
    try:
        step: Callable[[], Awaitable[Any]] = next(steps)
        while True:
            try:
                answer = await step()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        value: _Value = end.value
        return value
