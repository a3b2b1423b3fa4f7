"""Which kind of client a user gave: a plain class, or a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from dissever.harness.client import Completion, Invocation
from dissever.harness.forward import Forwarders
from dissever.harness.history import Type
from dissever.harness.missing import Missing
from dissever.systems.clients import ClientKind
from dissever.systems.clients.plain import PlainClients
from dissever.systems.clients.program import Program, ProgramClient

__all__ = ["ForwardedProgram", "Programs", "kind_of"]

UNFOUNDED: Final = (
    "expected an answer of the database, got ok though no byte came from any node: the client made "
    "it up, kept a copy, or did not use the addresses that it was given"
)
"""Why an `ok` of a program is not believed."""


def kind_of(client: Any, here: Path) -> ClientKind:
    """
    What makes the clients that a user means by a class or a `Program`.

    Args:
        here: The folder of the file that the client is named in.

    Raises:
        ValueError: One line, when it is none of them.
    """
    return Programs(client, here) if isinstance(client, Program) else PlainClients(client)


class Programs:
    """Makes clients that are programs; a `ClientKind`."""

    stores = None

    def __init__(self, program: Program, here: Path) -> None:
        """Raise ValueError when its command has no words."""
        program.argv(here)
        self._program = program
        self._here = here

    def has(self, method: str) -> bool:
        """Every program can be asked to read: it need not know what, to ask its node."""
        return method == "read" or method in self._program.abilities

    def probe(self) -> Missing | None:
        return self._program.probe(self._here)

    async def open(self, forwarders: Forwarders, *, store: str, directory: Path) -> Any:
        try:
            client = await self._program.open(
                forwarders.endpoint, store=store, here=self._here, directory=directory
            )
        except BaseException:
            forwarders.reset()
            raise
        return ForwardedProgram(client, forwarders)


class ForwardedProgram:
    """A program's client, with the forwarders that end with it."""

    def __init__(self, client: ProgramClient, forwarders: Forwarders) -> None:
        self.program: Final = client
        self._forwarders = forwarders

    async def invoke(self, invocation: Invocation) -> Completion:
        """An `ok` for which nothing came from any node says nothing about the database."""
        mark = self._forwarders.mark()
        completion = await self.program.invoke(invocation)
        if completion.type is Type.OK and not self._forwarders.received_since(mark):
            return invocation.info(["program", UNFOUNDED])
        return completion

    async def read(self, key: int) -> Any:
        return await self.program.ask("read", key)

    async def ping(self) -> Any:
        return await self.program.ask("ping")

    async def tick(self) -> Any:
        return await self.program.ask("tick")

    async def is_leader(self) -> Any:
        return await self.program.ask("is_leader")

    async def digest(self) -> Any:
        return await self.program.ask("digest")

    async def close(self) -> None:
        self._forwarders.reset()
        await self.program.close()
