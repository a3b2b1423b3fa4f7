"""Which kind of client a user gave: a plain class, or a program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dissever.harness.client import Completion, Invocation
from dissever.harness.forward import Forwarders
from dissever.harness.history import Type
from dissever.harness.missing import Missing
from dissever.harness.references import load_object, read_reference
from dissever.systems.clients import STORES, ClientKind
from dissever.systems.clients.plain import PlainClients
from dissever.systems.clients.program import Program, ProgramClient

__all__ = ["ForwardedProgram", "Programs", "kind_of", "named_kind"]

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


def named_kind(words: Sequence[str]) -> ClientKind:
    """
    What makes the clients that a command line means by a reference to a class, or by a command.

    A path to a Python file that can be executed is a command, and so is a text of several words,
    unless there is a file of that name. Paths are relative to the current directory.

    Raises:
        ValueError: One line, when it is none of them.
    """
    here, first = Path.cwd(), words[0]
    if len(words) > 1:
        return kind_of(Program(words), here)
    reference = read_reference(first)
    if reference is None or (reference.is_file and not reference.name and _is_command(first)):
        return kind_of(Program(first), here)
    return kind_of(load_object(first, "client", _is_client), here)


def _is_command(text: str) -> bool:
    return os.access(text, os.X_OK) if Path(text).is_file() else " " in text


def _is_client(value: Any) -> bool:
    """Whether it can be meant as a client where none is named."""
    methods = {
        "begin",
        "invoke",
        "transaction",
        *(method for each in STORES.values() for method in each),
    }
    is_plain = isinstance(value, type) and any(hasattr(value, method) for method in methods)
    return is_plain or isinstance(value, Program)


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
