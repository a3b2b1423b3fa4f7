"""
Who belongs to a cluster, and changes of it, by what the users' clients can do.

A change is asked of the leader, or of each node in turn where nobody says that it leads, until the
system itself reports it: an answer may be late, or lost. A node is taken in before it is started,
since many systems refuse one that they do not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from dissever.harness.bugs import is_bug
from dissever.harness.cluster import NodeState
from dissever.harness.system import Primaries, Role
from dissever.harness.values import reason

__all__ = ["ClientsMembers", "wipe"]

CHANGE_LIMIT_S: Final = 15.0
ASK_LIMIT_S: Final = 2.0
STOP_LIMIT_S: Final = 5.0
_GAP_S: Final = 0.1


class Nodes(Protocol):
    """The deployment whose members change. One with leaders has `primaries`, too."""

    @property
    def cluster(self) -> Any:
        """The hosts, with disks and commands."""

    async def start_node(self, node: str, joins: tuple[str, ...] = ()) -> None:
        """Start a node that is to join these members, itself among them."""

    async def ask(self, node: str, ask: Callable[[Any], Awaitable[Any]], *, limit_s: float) -> Any:
        """What a new client of a node answers. Raises what it raises, or TimeoutError."""


class ClientsMembers:
    """Implements `Members`. Clients can take in voters only."""

    def __init__(self, deployment: Nodes) -> None:
        self._nodes = deployment

    async def leader(self) -> str | None:
        leading = await self._leading()
        return leading[0] if len(leading) == 1 else None

    async def roles(self) -> Mapping[str, Role]:
        roles: Mapping[str, Role] = await self._asked(_roles)
        return roles

    async def remove(self, node: str) -> None:
        """
        The node is stopped before: many systems have a node that was removed end by itself, and
        that would pass for a crash.
        """
        await self._nodes.cluster.stop(node, STOP_LIMIT_S)
        await self._change(lambda c: c.remove_member(node), lambda roles: node not in roles)

    async def add(self, node: str, role: Role) -> None:
        if role is not Role.VOTER:
            raise OSError(f"a client can add voters only, not {role.value}s")
        await self._change(lambda c: c.add_member(node), lambda roles: node in roles)
        status = await self._nodes.cluster.status(node)
        if status.state is not NodeState.RUNNING:
            await self._nodes.start_node(node, joins=tuple(await self.roles()))

    async def assign(self, node: str, role: Role) -> None:
        if (await self.roles()).get(node) is not role:
            raise OSError(f"clients of this system cannot make a node a {role.value}")

    async def transfer(self, node: str) -> None:
        await self._asked(lambda client: client.transfer(node))

    async def wipe(self, node: str) -> None:
        await wipe(self._nodes.cluster, node)

    async def start(self, node: str) -> None:
        """`add` starts it."""

    async def _leading(self) -> tuple[str, ...]:
        return await self._nodes.primaries() if isinstance(self._nodes, Primaries) else ()

    async def _asked(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        """
        What the first one that answers says; those that lead are asked first.

        Raises:
            OSError: When none does.
        """
        leading = await self._leading()
        others = [node for node in self._nodes.cluster.nodes if node not in leading]
        missing = "there is nobody to ask"
        for node in [*leading, *([] if leading else others)]:
            try:
                return await self._nodes.ask(node, ask, limit_s=ASK_LIMIT_S)
            except Exception as error:
                if is_bug(error):
                    raise
                missing = f"{node}: {reason(error)}"
        raise OSError(0, missing)

    async def _change(
        self,
        change: Callable[[Any], Awaitable[Any]],
        is_done: Callable[[Mapping[str, Role]], bool],
    ) -> None:
        """
        Ask until the list of members shows it.

        Raises:
            TimeoutError: When it does not in time.
        """
        missing = "nobody answers"
        try:
            async with asyncio.timeout(CHANGE_LIMIT_S):
                while True:
                    try:
                        if is_done(await self.roles()):
                            return
                        await self._asked(change)
                    except OSError as error:
                        missing = str(error)
                    await asyncio.sleep(_GAP_S)
        except TimeoutError as late:
            raise TimeoutError(f"no change within {CHANGE_LIMIT_S:g} s: {missing}") from late


async def wipe(cluster: Any, node: str) -> None:
    """
    Remove the data of a node that is down, on its host: not every disk is seen from here.

    Args:
        cluster: Has `Disks` and `HostCommands`, as every one whose members change.

    Raises:
        OSError: When something is left.
    """
    done = await cluster.command(
        node, ["find", cluster.disk(node).path, "-mindepth", "1", "-delete"]
    )
    if done.exit_status:
        raise OSError(0, f"{node}: its data cannot be removed: {done.stderr.strip()}")


async def _roles(client: Any) -> Mapping[str, Role]:
    """A client may name its members only, who then vote, or each with its role."""
    members = await client.members()
    if isinstance(members, Mapping):
        return {node: Role(role) for node, role in members.items()}
    return dict.fromkeys(members, Role.VOTER)
