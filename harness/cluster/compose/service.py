"""
One node of a Compose project: a container of a service, and the host of ours through which faults
reach it.

While the container runs, its host joins its network and PID namespaces. Both end together, because
the kernel ends every process of a PID namespace with its first. Then a stand-in takes the host's
place: on the project's network, with a namespace of its own. It holds the address, answers probes
and takes rules, so that a node that is down can be cut off, and looked at, as on other backends.
When the container starts, the stand-in goes, a new host joins, and what was laid on the one before
is laid again. If there are rules, the container is frozen as soon as it has started, until they
are in force.

The engine kills, freezes and starts containers; nothing is signalled from inside, where the first
process is immune.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, BinaryIO, Final

import docker.errors
from docker.types import Mount

from dissever.harness.cluster import ClusterLost, Command, Exit, NodeState, NodeStatus
from dissever.harness.cluster.compose.laid import Laid
from dissever.harness.cluster.engine import Attached, Engine
from dissever.harness.cluster.host import FOLDER, Host, exit_status, open_log, write_log
from dissever.harness.cluster.limits import ContainerLimits
from dissever.harness.cluster.undo import GUEST, limits_of
from dissever.harness.names import label

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_ENDING_S: Final = 3.0
_GLANCE_S: Final = 0.02
_TURNS: Final = 3
_SWAPS_MAX: Final = 3
_NO_RESTART: Final = {"Name": "no", "MaximumRetryCount": 0}


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What the nodes of a project have in common.

    `network`: the network of the project on which nodes hear each other. `sees`: what their hosts
    see of the engine's machine. `renewed` is called when the host of a node is a new one, with its
    address, once what was laid on the one before is on it.
    """

    run: str
    labels: Mapping[str, str]
    network: str
    memory_bytes: int
    sees: tuple[Mount, ...]
    is_attached: bool
    renewed: Callable[[str, str], Awaitable[None]]


class _Running:
    """One start of the container, until it has ended."""

    def __init__(self) -> None:
        self.is_asked = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.attached: Attached | None = None


class ServiceNode:
    """A node. Of use after `open`, and until `close`."""

    def __init__(
        self,
        name: str,
        container: Any,
        directory: Path,
        engine: Engine,
        setting: Setting,
        hear: Callable[[Exit], None],
        take_turn: Callable[[str, Any], Awaitable[Any]],
    ) -> None:
        """
        Args:
            container: As the SDK has it.
            directory: Where its logs go.
            hear: Is called with each end of the container.
            take_turn: As `Roster.take_turn`.
        """
        self.name = name
        self.address = ""
        self._container = container
        self._directory = directory
        self._engine = engine
        self._setting = setting
        self._hear = hear
        self._take_turn = take_turn
        self._loop = asyncio.get_running_loop()
        self._limits = ContainerLimits(setting.memory_bytes)
        self._laid = Laid()
        self._host: Host | None = None
        self._hosts = 0
        self._ready = asyncio.Event()
        """There is a host that can be asked."""
        self._running: _Running | None = None
        self._incarnation = 0
        self._exit_status: int | None = None
        self._own: dict[str, int] = {}
        """The limits that the file gives it."""
        self._lost = ""
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Hear the container, which runs, keep it from being restarted, and join it."""
        await self._call(self._container.update, restart_policy=_NO_RESTART)
        self._running = await self._attach(is_from_start=not self._setting.is_attached)
        await self._join()

    async def start(self) -> NodeStatus:
        """Start the container, unless it runs."""
        if self._running is None:
            await self._read_rules()
            await self._leave()
            running = await self._attach(is_from_start=False)
            try:
                await self._call(self._container.start)
            except OSError:
                await self._let_go(running)
                await self._stand_in()
                raise
            self._running = running
            is_frozen = self._laid.has_rules and await self._freeze()
            await self._join()
            if is_frozen:
                await self._thaw()
        return await self.status()

    async def stop(self, timeout_s: float) -> NodeStatus:
        """As `docker stop`: the signal that the image says, then SIGKILL."""
        if running := self._running:
            running.is_asked = True
            await self._thaw()
            await self._read_rules()
            await self._call(self._container.stop, timeout=max(1, round(timeout_s)))
            await self._end(running)
        return await self.status()

    async def kill(self) -> NodeStatus:
        """SIGKILL to its first process, and so to all."""
        if running := self._running:
            running.is_asked = True
            await self._read_rules()
            with contextlib.suppress(OSError):  # It has just ended; whether it has is seen below.
                await self._call(self._container.kill)
            await self._end(running)
        return await self.status()

    async def pause(self) -> NodeStatus:
        """Freeze the container's control group, with all that is in it."""
        if self._running is not None:
            await self._freeze()
        return await self.status()

    async def resume(self) -> NodeStatus:
        if self._running is not None:
            await self._thaw()
        return await self.status()

    async def status(self) -> NodeStatus:
        """What the engine says; `pid` is as its machine sees it."""
        if self._lost:
            raise ClusterLost(self._lost)
        state = (await self._inspect())["State"]
        running = self._running
        if running is not None and not state["Running"]:
            await self._end(running)
            running = None
        kind = NodeState.GONE
        if running is not None:
            kind = NodeState.PAUSED if state["Paused"] else NodeState.RUNNING
        pid = state["Pid"] or None if running is not None else None
        return NodeStatus(kind, self._incarnation, pid, self._exit_status)

    async def request(self, verb: str, **arguments: Any) -> Any:
        """
        Ask the agent of the host that there is now.

        If that host ends meanwhile with its container, the next is asked: what was done on the one
        before went with its namespaces.

        Raises:
            OSError: Of the class of the errno that the agent met.
        """
        for _ in range(_SWAPS_MAX):
            host = await self.ready_host()
            try:
                return await host.request(verb, **arguments)
            except ClusterLost:
                if self._lost or self._is_closed or not host.is_lost:
                    raise
                if self._host is host:  # What has ended it is about to be heard.
                    self._ready.clear()
        raise OSError(0, f"{self.name}: its containers end too quickly to be asked")

    async def command(self, argv: Sequence[str], stdin: str) -> Command:
        done = Command(**await self.request("command", argv=list(argv), stdin=stdin))
        if not done.exit_status:
            self._laid.ran(argv, stdin)
        return done

    async def spawn(self, name: str, argv: Sequence[str]) -> int:
        self._laid.spawned(name, argv)
        return await (await self.ready_host()).spawn(name, argv)

    async def carry(self, path: Path) -> str:
        self._laid.carried(path)
        return await (await self.ready_host()).carry(path)

    async def limit(self, cpus: float | None, memory_bytes: int | None) -> Mapping[str, Any]:
        """Raise OSError for a limit that could not be taken back."""
        config = (await self._inspect())["HostConfig"]
        if cpus is not None and config.get("NanoCpus"):
            raise OSError(0, f"{self.name}: its file limits its cpus already")
        if memory_bytes is not None and self._setting.is_attached and not config.get("Memory"):
            reason = (
                "the engine takes no limit of memory back, and the container was found as it is"
            )
            raise OSError(0, f"{self.name}: {reason}")
        self._limits.set(cpus, memory_bytes)
        self._own = limits_of(config)
        await self._call(self._container.update, **self._limits.of_running())
        return await self.readings()

    async def readings(self) -> Mapping[str, Any]:
        return self._limits.readings(await self.request("readings"))

    async def lift(self) -> None:
        self._limits.clear()
        await self._call(self._container.update, **(self._limits.of_running() | self._own))

    async def close(self) -> None:
        """Take our rules back, and let go of the container as it is."""
        self._is_closed = True
        if self._host is not None:
            if self._running is not None:
                with contextlib.suppress(OSError):
                    await self._host.request("tidy")
            await self._host.remove()
        if self._running is not None:
            await self._let_go(self._running)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- hosts ----------------------------------------------------------------------------------

    async def ready_host(self) -> Host:
        """The host that there is, once a change of hosts is over."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._ready.wait()
        except TimeoutError as error:
            raise OSError(0, f"{self.name}: it has no host within {_ANSWER_S:g} s") from error
        if self._lost or self._host is None:
            raise ClusterLost(self._lost or "the cluster is not open")
        return self._host

    async def _join(self) -> None:
        """Have a new host join the container; when that ends meanwhile, a stand-in comes."""
        where = f"container:{self._container.id}"
        try:
            await self._open(network_mode=where, pid_mode=where)
            found = (await self._inspect())["NetworkSettings"]["Networks"]
            address = found.get(self._setting.network, {}).get("IPAddress")
            await self._is_there(str(address or self.address))
        except OSError:
            await self._settle()
            if self._running is not None:
                raise

    async def _stand_in(self) -> None:
        """Have a host of its own network namespace hold the place of a container that is down."""
        # From the lowest address on, so it is most likely the one that the container has left.
        sysctls = {"net.ipv4.ip_unprivileged_port_start": "0"}
        await self._open(network=self._setting.network, sysctls=sysctls)
        assert self._host is not None
        networks = self._host.network["Networks"]
        await self._is_there(str(networks[self._setting.network]["IPAddress"]))

    async def _open(self, **where: Any) -> None:
        await self._leave()
        self._hosts += 1
        is_guest = "pid_mode" in where
        setting = self._setting
        # Where the engine does not see our files, what helpers say stays on the host.
        logs = [Mount(FOLDER, str(self._directory), type="bind")] if self._engine.is_local else []
        host = Host(self.name, self._engine, self._lose if is_guest else self._lose_stand_in)
        marks = {**setting.labels, "dissever.node": self.name}
        try:
            await host.open(
                f"dissever-{setting.run}-{label(self.name)}-host-{self._hosts}",
                {**marks, GUEST: "yes"} if is_guest else marks,
                [*logs, *setting.sees],
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN"],
                security_opt=["no-new-privileges"],
                **where,
            )
        except BaseException:
            await host.remove()
            raise
        self._host = host

    async def _is_there(self, address: str) -> None:
        self.address = address
        assert self._host is not None
        await self._laid.lay(self._host)
        telling = self._loop.create_task(self._setting.renewed(self.name, address))
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # Who has to tell a helper something does it before all others.
        self._ready.set()
        await telling

    async def _read_rules(self) -> None:
        if self._host is not None and not self._host.is_lost:
            await self._laid.read(self._host)

    async def _leave(self) -> None:
        self._ready.clear()
        host, self._host = self._host, None
        if host is not None:
            await host.remove()

    def _lose(self) -> None:
        """A host that joined has ended: with its container, or by itself, which is a loss."""
        self._ready.clear()
        self._do(self._take_turn(self.name, self._find_loss()))

    def _lose_stand_in(self) -> None:
        if self._host is not None:
            self._lost = self._host.reason()
            self._ready.set()

    async def _find_loss(self) -> None:
        if self._running is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._running.ended), _ENDING_S)
                await asyncio.sleep(0)
        if self._is_closed or (self._host is not None and not self._host.is_lost):
            return
        if self._running is not None:
            self._lost = self._host.reason() if self._host else f"{self.name}: its host is gone"
            self._ready.set()
        else:
            await self._settle()

    async def _settle(self) -> None:
        """See that a node that is down has a stand-in."""
        if self._running is not None and not (await self._inspect())["State"]["Running"]:
            await self._wait(self._running)
        has_host = self._host is not None and not self._host.is_lost
        if self._running is None and not has_host and not self._is_closed:
            await self._stand_in()

    # --- the container --------------------------------------------------------------------------

    async def _attach(self, *, is_from_start: bool) -> _Running:
        """Hear what the container says from now on, or from its start, and its end."""
        running, number = _Running(), self._incarnation + 1
        logs = {
            stream: open_log(self._directory / f"{name}-{number}.log")
            for stream, name in ((1, "stdout"), (2, "stderr"))
        }
        self._incarnation = number
        config = (await self._inspect())["Config"]
        running.attached = await self._call(
            Attached,
            self._engine.client,
            self._container.id,
            hear=lambda stream, data: write_log(logs[stream], data),
            ended=lambda: self._ended(running, logs),
            is_ours=False,
            is_raw=bool(config.get("Tty")),
            is_from_start=is_from_start,
        )
        running.ended.add_done_callback(lambda ended: self._note(running, number, ended))
        return running

    def _ended(self, running: _Running, logs: Mapping[int, BinaryIO]) -> None:
        """In the thread that has read all that the container said, or was told to let go."""
        for file in logs.values():
            file.close()
        status = self._status_of_end()
        with contextlib.suppress(RuntimeError):  # The loop may be no more.
            self._loop.call_soon_threadsafe(_set, running.ended, status)

    def _status_of_end(self) -> int | None:
        """How the container ended; None when it runs on and we let go of it. Blocks."""
        while not self._is_closed:
            try:
                status = self._container.wait(timeout=_ANSWER_S)["StatusCode"]
                self._container.reload()
                self._limits.ended(is_oom=self._container.attrs["State"]["OOMKilled"])
                return exit_status(status)
            except docker.errors.NotFound:
                return -SIGKILL
            except Exception as error:  # No answer in time, and the like: it is asked again.
                log.debug("%s: %s", self.name, error)
        return None

    def _note(self, running: _Running, number: int, ended: asyncio.Future[int]) -> None:
        if self._running is running:
            self._running = None
        if ended.cancelled() or self._is_closed:
            return
        self._exit_status = ended.result()
        state = self._exit_status
        self._hear(Exit(self.name, number, state, running.is_asked))
        if not running.is_asked:
            self._do(self._take_turn(self.name, self._settle()))

    async def _end(self, running: _Running) -> None:
        """Wait until it has ended, and has a stand-in."""
        await self._wait(running)
        await self._settle()

    async def _wait(self, running: _Running) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(running.ended), _ANSWER_S)
        except TimeoutError as error:
            raise ClusterLost(f"{self.name}: its container does not end") from error
        await asyncio.sleep(0)  # Then it is noted.

    async def _let_go(self, running: _Running) -> None:
        running.ended.cancel()
        if running.attached is not None:
            await self._call(running.attached.close)

    async def _freeze(self) -> bool:
        """Whether it is frozen now; False when it has ended."""
        try:
            await self._call(self._container.pause)
        except OSError:
            state = (await self._inspect())["State"]
            if state["Running"] and not state["Paused"]:
                raise
            return bool(state["Paused"])
        return True

    async def _thaw(self) -> None:
        if (await self._inspect())["State"]["Paused"]:
            await self._call(self._container.unpause)

    async def _inspect(self) -> Mapping[str, Any]:
        await self._call(self._container.reload)
        attributes: Mapping[str, Any] = self._container.attrs
        return attributes

    async def _call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await self._engine.call(function, *args, **named)

    def _do(self, work: Awaitable[Any]) -> None:
        """In the background; what goes wrong is a loss."""

        async def done() -> None:
            try:
                await work
            except OSError as error:
                if not self._is_closed:
                    self._lost = f"{self.name}: {error.strerror or error}"
                    self._ready.set()

        task = self._loop.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _set(future: asyncio.Future[int], status: int | None) -> None:
    if future.done():
        return
    if status is None:
        future.cancel()
    else:
        future.set_result(status)
