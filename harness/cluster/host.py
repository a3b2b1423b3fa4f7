"""
A container of ours with an agent in it: the host of a node, through which faults reach it.

The agent (`keeper/agent.py`) is asked over its stdin, and ends when that ends. So a host ends with
the harness, in whatever way that ends. What a host joins, and which rights it has, its maker says.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import os
import socket
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from docker.types import LogConfig, Mount

from dissever.harness.cluster import ClusterLost, Reachability
from dissever.harness.cluster.channel import Requests
from dissever.harness.cluster.connecting import connect
from dissever.harness.cluster.engine import HOST_IMAGE, Attached, Engine
from dissever.harness.cluster.keeper import processes

FOLDER: Final = "/node"
"""The node's folder, as its processes see it."""

SIGNALLED: Final = 128
"""Exit statuses of an engine are those of a shell: above this they are signals."""

_AGENT: Final = "/opt/dissever"
_KEEPER: Final = Path(__file__).parent / "keeper"
_RUN_AGENT: Final = (
    f"import sys; sys.path[:0] = ['{_AGENT}']; from keeper import agent; agent.main()"
)
_REASON_CHARS_MAX: Final = 2000
_ARCHIVE_BYTES_MAX: Final = 1 << 29
"""Of what is fetched of a node at its end; it is held in memory."""


class Host:
    """
    One host. Made by `open`.

    Args:
        name: Of its node, for messages.
        ended: Is called in the event loop when it has ended and nobody closed it.
    """

    def __init__(self, name: str, engine: Engine, ended: Callable[[], None] | None = None) -> None:
        self.name = name
        self._engine = engine
        self._hear_end = ended
        self._loop = asyncio.get_running_loop()
        self._requests = Requests(name, self._say)
        self._carried: set[str] = set()
        self._said = b""
        self._complaint = b""
        self._container: Any = None
        self._agent: Attached | None = None
        self._is_lost = self._is_closed = False

    async def open(
        self, name: str, labels: Mapping[str, str], mounts: Sequence[Mount], **options: Any
    ) -> None:
        """
        Start the container, and wait until its agent answers.

        Args:
            name: Of the container.
            options: As the SDK's `containers.create` takes them.
        """
        self._container = await self._engine.call(
            self._engine.client.containers.create,
            HOST_IMAGE,
            ["python3", "-I", "-S", "-c", _RUN_AGENT],
            use_config_proxy=False,  # It would hand the user's proxies over, with their passwords.
            name=name,
            stdin_open=True,
            labels=dict(labels),
            cgroupns="host",  # Where the groups of the node's containers have names.
            mounts=list(mounts),
            log_config=LogConfig(type="none"),
            **options,
        )
        # The agent and what it imports: the host's image cannot hold an older one.
        agent = {f"{_AGENT}/keeper/{path.name}": path for path in _KEEPER.glob("*.py")}
        await self._engine.call(self._container.put_archive, "/", _archive(agent))
        self._agent = await self._engine.call(
            Attached, self._engine.client, self.id, hear=self._hear_agent, ended=self._lose
        )
        await self._engine.call(self._container.start)
        await self._engine.call(self._container.reload)
        await self.request("status")

    @property
    def id(self) -> str:
        """Of the container."""
        return str(self._container.id)

    @property
    def network(self) -> Mapping[str, Any]:
        """What the engine said of its network when it started: `Networks` and `Ports`."""
        settings: Mapping[str, Any] = self._container.attrs["NetworkSettings"]
        return settings

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, or was closed."""
        return self._is_lost

    async def request(self, verb: str, **arguments: Any) -> Any:
        """
        Ask the agent, and wait for its result.

        Raises:
            ClusterLost: When the host is gone.
            OSError: Of the class of the errno that the agent met.
        """
        if self._is_lost or self._agent is None:
            raise ClusterLost(self.reason())
        return await self._requests.ask(verb, **arguments)

    async def spawn(self, name: str, argv: Sequence[str]) -> int:
        """Start a helper on the host. Its PID is as the harness sees it, where it can see it."""
        inner = await self.request("spawn", argv=list(argv), log=f"{FOLDER}/{name}.log")
        if not self._engine.is_local:
            return int(inner)
        return _outer(inner, self._container.attrs["State"]["Pid"])

    async def carry(self, path: Path) -> str:
        """Copy a file of this machine to the host, and say where it is there."""
        inside = f"{_AGENT}/carried/{path.name}"
        if inside not in self._carried:
            archive = await asyncio.to_thread(_archive, {inside: path})
            await self._engine.call(self._container.put_archive, "/", archive)
            self._carried.add(inside)
        return inside

    def archive(self, path: str) -> bytes:
        """
        A tar file of a path on the host. Blocks.

        Raises:
            OSError: When it is too long: a node may write for ever, or make a file with holes.
        """
        chunks, _ = self._container.get_archive(path)
        archive = bytearray()
        for chunk in chunks:
            archive += chunk
            if len(archive) > _ARCHIVE_BYTES_MAX:
                reason = f"expected at most {_ARCHIVE_BYTES_MAX} bytes in {path}"
                raise OSError(errno.EFBIG, reason)
        return bytes(archive)

    async def close(self) -> None:
        """Let go, which ends the agent, and so the container. The reaper removes it."""
        self._is_lost = self._is_closed = True
        if self._agent is not None:
            await self._engine.call(self._agent.close)

    async def remove(self) -> None:
        """Close it, and remove its container now."""
        await self.close()
        if self._container is not None:
            with contextlib.suppress(OSError):  # The reaper tries again.
                await self._engine.call(self._container.remove, force=True, v=True)

    def reason(self) -> str:
        """Why it cannot be asked any more."""
        said = self._complaint.decode(errors="replace").strip()[-_REASON_CHARS_MAX:]
        if self._is_closed:
            return "the cluster was closed"
        return f"{self.name}: its host's container ended: {said or 'it said nothing'}"

    async def _say(self, request: bytes) -> None:
        assert self._agent is not None
        # Requests are short, and the agent reads them at once: a thread would cost more.
        with contextlib.suppress(OSError):  # `_lose` fails it.
            self._agent.send(request + b"\n")

    def _hear_agent(self, stream: int, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, stream, data)

    def _take(self, stream: int, data: bytes) -> None:
        if stream != 1:
            self._complaint += data
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._requests.take(json.loads(line))

    def _lose(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lost)

    def _lost(self) -> None:
        """The host has ended: whatever waits for it fails."""
        error = ClusterLost(self.reason())
        self._is_lost = True
        self._requests.lose(error)
        if self._hear_end is not None and not self._is_closed:
            self._hear_end()


def published(ports: Mapping[str, Any], publish_on: str) -> Mapping[int, int]:
    """
    Port of the host -> port of the engine's machine.

    Raises:
        OSError: When the engine publishes one elsewhere than it was asked to.
    """
    bound = {int(port.partition("/")[0]): each[0] for port, each in ports.items() if each}
    elsewhere = {each["HostIp"] for each in bound.values()} - {publish_on}
    if elsewhere:
        raise OSError(0, f"expected ports on {publish_on} alone, got them on {sorted(elsewhere)}")
    return {port: int(each["HostPort"]) for port, each in bound.items()}


class Reachable(Protocol):
    """A node with an address and an agent."""

    @property
    def address(self) -> str:
        """Where its datagrams come from, and go to."""

    async def request(self, verb: str, **arguments: Any) -> Any:
        """As `Host.request`."""


async def reach(
    nodes: Mapping[str, Reachable],
    pairs: Sequence[tuple[str, str]],
    timeout_s: float,
    *,
    token: str,
) -> Reachability:
    """
    As `Links.reach`, asked of the agents.

    Args:
        nodes: Every node of the pairs.
        token: What tells the datagrams of this call from others.
    """
    asked = {
        name: {
            "targets": [nodes[to].address for of, to in pairs if of == name],
            "sources": [nodes[of].address for of, to in pairs if to == name],
        }
        for name in nodes
    }
    try:
        arrived = await asyncio.gather(
            *(
                nodes[name].request("reach", token=token, timeout_s=timeout_s, **each)
                for name, each in asked.items()
            )
        )
    finally:
        await asyncio.gather(*(node.request("hush", token=token) for node in nodes.values()))
    seen = dict(zip(asked, arrived, strict=True))
    return {pair: nodes[pair[0]].address in seen[pair[1]] for pair in pairs}


async def relayed(at: str, relay: int, target: str, whom: str) -> socket.socket:
    """
    A connection by way of the relay of an agent.

    Args:
        at: Where the relay is published, as port `relay`.
        target: What the relay is asked for: a port of its host, or an address and a port.
        whom: Who is meant, for messages.

    Raises:
        OSError: Of the class of what the relay met.
    """
    connection = await connect(at, relay)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, f"{target}\n".encode())
        number = await loop.sock_recv(connection, 1) or bytes([errno.ECONNRESET])
        if number[0]:
            raise OSError(number[0], f"{whom}: {os.strerror(number[0])}")
    except BaseException:
        connection.close()
        raise
    return connection


def exit_status(status: int) -> int:
    """An exit status of the engine's as ours: negative for a signal."""
    return status if status <= SIGNALLED else SIGNALLED - status


def open_log(path: Path) -> BinaryIO:
    """Open a log to append to. The node owns its folder: a link that it put there is an error."""
    return open(path, "ab", buffering=0, opener=processes.own_file)


def write_log(file: BinaryIO, data: bytes) -> None:
    """Write what a container said, unless the log was closed because it did not start."""
    with contextlib.suppress(ValueError):
        file.write(data)


def _outer(inner: int, agent: int) -> int:
    """
    The PID on this machine of a child of the agent; `inner` where it cannot be seen.

    An engine's own listing needs `ps` on its machine, which not every machine has.

    Args:
        inner: Its PID in the container's own namespace.
        agent: The agent's PID on this machine.
    """
    for pid in processes.everyone():
        with contextlib.suppress(OSError):
            if processes.parent(pid) == agent and _innermost(pid) == inner:
                return pid
    return inner


def _innermost(pid: int) -> int | None:
    """What a process of this machine is called in its own PID namespace."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return None


def _archive(files: Mapping[str, Path]) -> bytes:
    """A tar file of files of ours, by their paths on the host."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for inside, path in files.items():
            tar.add(path.resolve(), arcname=inside[1:])
    return archive.getvalue()
