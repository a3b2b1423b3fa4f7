"""The client of a workload that brings none: each operation is a method of the store."""

from __future__ import annotations

from typing import Any

from dissever.harness.client import Completion, Invocation, NotApplied


class MethodClient:
    """
    Applies an operation by the method that has its `f` as its name, a dash being an underscore.

    The method is called with the key and the value, each where there is one. What it returns is the
    answer; where it returns None, the answer is the value that was asked with. `NotApplied` is
    fail, as for every store.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    async def invoke(self, invocation: Invocation) -> Completion:
        method = getattr(self._store, invocation.f.replace("-", "_"))
        given = (invocation.key, invocation.value)
        try:
            answer = await method(*(each for each in given if each is not None))
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])
        return invocation.ok(invocation.value if answer is None else answer)

    async def close(self) -> None:
        await self._store.close()
