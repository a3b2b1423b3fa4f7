"""
One node of `containers`: its host, a container that stays, and the node's own, one an incarnation.

As in a pod, the node's container joins the host's network and PID namespaces. So cuts, their
counters and published ports outlive the node's process, the node can come back in another image on
the same data, and its image needs neither tools nor capabilities. The host alone has NET_ADMIN, for
its own network, and the rights of root over the node's processes and files. The agent that runs on
the host (`keeper/agent.py`) sees and signals these processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO, Final

from docker.types import LogConfig, Mount

from dissever.harness.cluster import (
    SYN_RETRIES,
    ClusterLost,
    Exit,
    Hosts,
    NodeState,
    NodeStatus,
    Program,
)
from dissever.harness.cluster.engine import HOST_IMAGE, Attached, Engine
from dissever.harness.cluster.host import (
    FOLDER,
    SIGNALLED,
    Host,
    exit_status,
    open_log,
    published,
    write_log,
)
from dissever.harness.cluster.keeper.agent import RELAY_PORT
from dissever.harness.cluster.limits import ContainerLimits
from dissever.harness.names import label

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_ENDING_S: Final = 2.0
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    What the containers of a cluster have in common.

    `publish_on`: the address of the engine's machine on which ports are published: one, never all.
    `memory_bytes`: how much memory that machine has. `sees`: what of it the host of a node sees.
    Nodes run as the owner of their folders, `uid` and `gid`.
    """

    run: str
    labels: Mapping[str, str]
    network: str
    ports: tuple[int, ...]
    publish_on: str
    uid: int
    gid: int
    memory_bytes: int
    sees: tuple[Mount, ...]
    hosts: Hosts

    def __post_init__(self) -> None:
        if ip_address(self.publish_on).is_unspecified:
            raise ValueError(f"expected one address to publish ports on, got {self.publish_on}")


class _Incarnation:
    """One start of the node's program, until its container has ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.container: Any = None
        self.pid: int | None = None
        self.is_asked = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class Pod:
    """A node's host, and what runs on it. Made by `open`."""

    def __init__(
        self,
        name: str,
        directory: Path,
        engine: Engine,
        recipe: Recipe,
        mounts: Sequence[Mount],
        hear: Callable[[Exit], None],
    ) -> None:
        self.name = name
        self.address = ""
        self.published: Mapping[int, int] = {}
        self.program: Program | None = None
        self._directory = directory
        self._engine = engine
        self._recipe = recipe
        self.host = Host(name, engine)
        self._mounts = list(mounts)
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._limits = ContainerLimits(recipe.memory_bytes)
        self._running: _Incarnation | None = None
        self._incarnation = 0
        self._exit_status: int | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Start the host, and wait until its agent answers."""
        recipe = self._recipe
        await self.host.open(
            f"dissever-{recipe.run}-{label(self.name)}",
            self._labels(),
            [*self._mounts, *recipe.sees],
            hostname=label(self.name),
            network=recipe.network,
            ports={f"{port}/tcp": (recipe.publish_on,) for port in (*recipe.ports, RELAY_PORT)},
            **_rights(recipe),
        )
        network = self.host.network
        self.address = network["Networks"][recipe.network]["IPAddress"]
        self.published = published(network["Ports"], recipe.publish_on)

    async def request(self, verb: str, **arguments: Any) -> Any:
        """As `Host.request`."""
        return await self.host.request(verb, **arguments)

    async def start(self, program: Program) -> NodeStatus:
        """Start a container for the program, unless one runs."""
        if self._running is None:
            await self.request("kill")  # What came in from elsewhere, such as `docker exec`.
            self._running = await self._launch(program, _Incarnation(self._incarnation + 1))
            self._incarnation = self._running.number
        return await self.status()

    async def stop(self, number: int, timeout_s: float) -> NodeStatus:
        """A signal to the main process's group; SIGKILL to all when it has not ended in time."""
        if running := self._running:
            running.is_asked = True
            await self.request("signal_group", number=number)
            await asyncio.wait([running.ended], timeout=timeout_s)
        return await self.kill()

    async def kill(self) -> NodeStatus:
        """SIGKILL to all, until none is left and the container has ended."""
        if running := self._running:
            running.is_asked = True
            await self.request("kill")
            await self._end(running)
        return await self.status()

    async def turn(self, verb: str) -> NodeStatus:
        """`pause` or `resume` all processes."""
        await self.request(verb)
        return await self.status()

    async def status(self) -> NodeStatus:
        """What the kernel says now. A container that is ending is waited for."""
        states = (await self.request("status"))["states"]
        if (running := self._running) and not states:
            await self._end(running)
        return NodeStatus(
            self._state(states),
            self._incarnation,
            self._running.pid if self._running else None,
            self._exit_status,
        )

    async def limit(self, cpus: float | None, memory_bytes: int | None) -> Mapping[str, Any]:
        self._limits.set(cpus, memory_bytes)
        await self._update()
        return await self.readings()

    async def readings(self) -> Mapping[str, Any]:
        return self._limits.readings(await self.request("readings"))

    async def lift(self) -> None:
        self._limits.clear()
        await self._update()

    async def close(self) -> None:
        """Let go of the host, which ends it and the node's processes. The reaper removes them."""
        self._is_closed = True
        await self.host.close()
        if running := self._running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(running.ended), _ANSWER_S)

    async def _update(self) -> None:
        """Give the limits to the container that runs; one that is ending needs none."""
        if (running := self._running) is None:
            return
        try:
            await self._engine.call(running.container.update, **self._limits.of_running())
        except OSError:
            await asyncio.wait([running.ended], timeout=_ENDING_S)
            if not running.ended.done():
                raise

    def _state(self, states: str) -> NodeState:
        if self._running is None:
            return NodeState.GONE if self._incarnation else NodeState.NEVER_STARTED
        return NodeState.PAUSED if set(states) == {"T"} else NodeState.RUNNING

    def _labels(self) -> dict[str, str]:
        return {**self._recipe.labels, "dissever.node": self.name}

    async def _launch(self, program: Program, incarnation: _Incarnation) -> _Incarnation:
        with contextlib.ExitStack() as opened:
            logs = {
                stream: opened.enter_context(
                    open_log(self._directory / f"{name}-{incarnation.number}.log")
                )
                for stream, name in ((1, "stdout"), (2, "stderr"))
            }
            container = await self._engine.call(
                self._engine.client.containers.create,
                program.image or HOST_IMAGE,
                list(program.argv),
                entrypoint=[],
                name=f"dissever-{self._recipe.run}-{label(self.name)}-{incarnation.number}",
                environment=dict(program.environment),
                use_config_proxy=False,
                network_mode=f"container:{self.host.id}",
                pid_mode=f"container:{self.host.id}",
                user=f"{self._recipe.uid}:{self._recipe.gid}",
                working_dir=FOLDER,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                labels=self._labels(),
                mounts=self._mounts,
                log_config=LogConfig(type="none"),
                **self._limits.of_new(),
            )
            opened.pop_all()  # `_ended` closes them.
        incarnation.container = container
        attached = await self._engine.call(
            Attached,
            self._engine.client,
            container.id,
            hear=lambda stream, data: write_log(logs[stream], data),
            ended=lambda: self._ended(incarnation, logs),
        )
        try:
            await self._engine.call(container.start)
        except OSError as error:
            await self._engine.call(attached.close)
            await self._end(incarnation)
            raise _why_not(incarnation.ended.result(), program, error) from error
        with contextlib.suppress(OSError):  # It may have ended, and be removed already.
            await self._engine.call(container.reload)
        incarnation.pid = container.attrs["State"].get("Pid") or None
        incarnation.ended.add_done_callback(lambda ended: self._note(incarnation, ended.result()))
        return incarnation

    def _ended(self, incarnation: _Incarnation, logs: Mapping[int, BinaryIO]) -> None:
        """In the thread that has read all that the container said: how it ended, and remove it."""
        for file in logs.values():
            file.close()
        container, status = incarnation.container, SIGNALLED
        try:
            status = container.wait()["StatusCode"]
            container.reload()
            self._limits.ended(is_oom=container.attrs["State"]["OOMKilled"])
            container.remove(v=True)
        except Exception as error:  # Closing removes what is left; the exit must be known.
            log.debug("%s: %s", self.name, error)
        with contextlib.suppress(RuntimeError):  # The loop may be no more.
            self._loop.call_soon_threadsafe(
                incarnation.ended.set_result,
                exit_status(status),
            )

    def _note(self, incarnation: _Incarnation, status: int) -> None:
        """A node's process has ended that had begun."""
        self._exit_status = status
        if self._running is incarnation:
            self._running = None
        if not self._is_closed:
            self._hear(Exit(self.name, incarnation.number, status, incarnation.is_asked))

    async def _end(self, running: _Incarnation) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(running.ended), _ANSWER_S)
        except TimeoutError as error:
            raise ClusterLost(f"{self.name}: its container does not end") from error
        await asyncio.sleep(0)  # Then it is noted.


def _rights(recipe: Recipe) -> dict[str, Any]:
    """
    The rights of a host: to signal the node's processes and to change its files; the others only
    where a fault needs them. It is never privileged, and nodes have no right at all.
    """
    rights = ["KILL", "DAC_OVERRIDE"]
    sysctls = {"net.ipv4.ip_unprivileged_port_start": "0"}
    if recipe.uid:
        rights.append("SYS_PTRACE")  # What another user's process has mapped is not for everyone.
    if recipe.hosts.changes_network:
        rights.append("NET_ADMIN")
    if recipe.hosts.proxies:
        sysctls["net.ipv4.tcp_syn_retries"] = str(SYN_RETRIES)
    return {
        "cap_drop": ["ALL"],
        "cap_add": rights,
        "security_opt": ["no-new-privileges"],
        "sysctls": sysctls,
    }


def _why_not(status: int, program: Program, error: OSError) -> OSError:
    """The engine says with the exit status why a program could not be executed."""
    numbers = {_NOT_FOUND: errno.ENOENT, _NOT_EXECUTABLE: errno.EACCES}
    if status not in numbers:
        return error
    return OSError(numbers[status], f"cannot be executed: {program.argv[0]}")
