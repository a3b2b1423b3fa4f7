"""
What faults have put on the host of a node, so that the next host of that node has it, too.

A container that is started again has new namespaces, without a rule in them. Every transaction of
nft replaces one table of ours whole, and a batch of tc is the whole of what tc does, so the last of
each is what is in force; a table that can still be read is laid again with its counters. Helpers
run again, and files lie where they lay. What was sent to a helper since it started has to be sent
again (`Renewals`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dissever.harness.cluster.host import FOLDER, Host

__all__ = ["Laid"]

_NFT: Final = ("nft", "-f", "-")
_TC: Final = ("tc", "-batch", "-")
_TC_HEAL: Final = ("tc", "qdisc", "del")
_SERVES_S: Final = 5.0
_END_CONNECTIONS: Final = (
    *("ss", "-K", "-H", "-t", "-n", "state", "connected"),
    "( not dst 127.0.0.0/8 )",
)
_TC_KEY: Final = "tc"
_ADD: Final = "add table "


class Laid:
    """The rules, helpers and files of one node."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[tuple[str, ...], str]] = {}
        """Table, or tc -> the command with its stdin."""
        self._helpers: list[tuple[str, tuple[str, ...]]] = []
        self._files: list[Path] = []

    @property
    def has_rules(self) -> bool:
        """Whether packets of the node are treated in any way."""
        return bool(self._rules)

    def ran(self, argv: Sequence[str], stdin: str) -> None:
        """A command has succeeded."""
        if tuple(argv) == _NFT and stdin.startswith(_ADD):
            first, _, rest = stdin.partition("\n")
            table = first.removeprefix(_ADD)
            self._keep(table, argv, stdin, is_heal=f"table {table} {{" not in rest)
        elif tuple(argv) == _TC:
            self._keep(_TC_KEY, argv, stdin, is_heal=False)
        elif tuple(argv[:3]) == _TC_HEAL:
            self._keep(_TC_KEY, argv, stdin, is_heal=True)

    def spawned(self, name: str, argv: Sequence[str]) -> None:
        """A helper was started."""
        self._helpers.append((name, tuple(argv)))

    def carried(self, path: Path) -> None:
        """A file was copied."""
        if path not in self._files:
            self._files.append(path)

    def forget_rules(self) -> None:
        """They fit no more; those of cuts are made again by `Filters`."""
        self._rules.clear()

    async def read(self, host: Host) -> None:
        """Read the tables with their counters, before their host is left. Best effort."""
        for table in [each for each in self._rules if each != _TC_KEY]:
            with contextlib.suppress(OSError):
                argv = ["nft", "list", "table", *table.split()]
                done = await host.request("command", argv=argv, stdin="")
                if not done["exit_status"] and table in self._rules:
                    heal = f"add table {table}\ndelete table {table}\n"
                    self._rules[table] = _NFT, heal + done["stdout"]

    async def lay(self, host: Host) -> None:
        """
        Put all of it on a new host: rules first.

        Connections that the node has opened before its rules end, because NAT looks at the first
        packet of a connection only: they would go past the proxies.

        Raises:
            OSError: When the host refuses a part.
        """
        for argv, stdin in tuple(self._rules.values()):
            done = await host.request("command", argv=list(argv), stdin=stdin)
            if done["exit_status"]:
                raise OSError(0, f"{host.name}: {argv[0]} failed: {done['stderr'].strip()}")
        if self._rules:
            await host.request("command", argv=list(_END_CONNECTIONS), stdin="")
        await asyncio.gather(*(host.carry(path) for path in self._files))
        await asyncio.gather(*(_run(host, name, argv) for name, argv in self._helpers))

    def _keep(self, key: str, argv: Sequence[str], stdin: str, *, is_heal: bool) -> None:
        self._rules.pop(key, None)
        if not is_heal:
            self._rules[key] = tuple(argv), stdin


async def _run(host: Host, name: str, argv: Sequence[str]) -> None:
    """Start a helper, and wait until it serves, as each of ours does."""
    pid = await host.request("spawn", argv=list(argv), log=f"{FOLDER}/{name}.log")
    if not await host.request("serves", pid=pid, timeout_s=_SERVES_S):
        raise OSError(0, f"{host.name}: the helper {name} does not serve within {_SERVES_S:g} s")
