"""
What workloads drive of raft: registers and a set.

A store goes by way of one node, as an application on that node's machine would: it asks the node
who leads, connects there, and stays until something goes wrong. Nothing is asked twice. A read has
no effect that anybody could see, so whatever goes wrong with it means that it was not applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.values import reason
from dissever.systems.raft import calls
from dissever.systems.raft.calls import Link, Request


class Session:
    """
    A connection to the leader that one node names; another one after something went wrong.

    Args:
        lead: Connects to the leader that the node names. Raises NotApplied.
        is_local: Whether reads are answered from the leader's own state.
    """

    def __init__(self, lead: Callable[[], Awaitable[Link]], *, is_local: bool) -> None:
        self._lead = lead
        self._link: Link | None = None
        self.is_local = is_local

    async def ask(self, request: Request) -> bytes:
        """
        Raises:
            NotApplied: It did not take effect and never will.
            OSError: Nobody knows.
        """
        if self._link is None or not self._link.is_open:
            self._link = await self._lead()
        try:
            return await self._link.ask(request)
        except NotApplied:
            await self.close()  # Most often the leader is another one now.
            raise
        except OSError as error:
            await self.close()
            if request.has_effect:
                raise
            raise NotApplied(reason(error), "unread") from error

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()


class RaftRegisters:
    """Implements `Registers`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(self, key: int) -> int | None:
        request = calls.read(key, is_local=self._session.is_local)
        return calls.value_of(await self._session.ask(request))

    async def write(self, key: int, value: int) -> None:
        await self._session.ask(calls.write(key, value))

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return calls.is_done(await self._session.ask(calls.compare_and_set(key, old, new)))

    async def close(self) -> None:
        await self._session.close()


class RaftElements:
    """Implements `Elements`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, element: int) -> None:
        await self._session.ask(calls.add(element))

    async def elements(self) -> list[int]:
        request = calls.elements(is_local=self._session.is_local)
        return calls.elements_of(await self._session.ask(request))

    async def close(self) -> None:
        await self._session.close()


STORES: Final[Mapping[str, Callable[[Session], Any]]] = {
    "registers": RaftRegisters,
    "elements": RaftElements,
}
"""By the names that workloads ask for."""
