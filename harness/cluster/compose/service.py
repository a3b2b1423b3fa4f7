"""
One node of a Compose project: a container of a service, and the host of ours through which faults
reach it.

While the container runs, its host joins its network and PID namespaces. Both end together, because
the kernel ends every process of a PID namespace with its first. Then a stand-in takes the host's
place: on the project's network, with a namespace of its own. It holds the address, answers probes
and takes rules, so that a node that is down can be cut off, and looked at, as on other backends.
When the container starts, the stand-in goes, a new host joins, and what was laid on the one before
is laid again. If there are rules, the other nodes and this one do not hear each other until they
are in force, and the container is frozen as soon as it has started.

The engine kills, freezes and starts containers; nothing is signalled from inside, where the first
process is immune.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from docker.types import Mount

from dissever.harness.cluster import ClusterLost, Command, Exit, NodeState, NodeStatus
from dissever.harness.cluster.compose.addresses import Addresses
from dissever.harness.cluster.compose.container import Container, Running
from dissever.harness.cluster.compose.laid import Laid
from dissever.harness.cluster.engine import Engine
from dissever.harness.cluster.host import FOLDER, Host
from dissever.harness.cluster.undo import GUEST
from dissever.harness.names import label

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_ENDING_S: Final = 3.0
_GLANCE_S: Final = 0.02
_GLANCES_MAX: Final = 100
_Answer = TypeVar("_Answer")

_TURNS: Final = 3
_SWAPS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What the nodes of a project have in common.

    `network`: the network of the project on which nodes hear each other, whose addresses are
    `addresses`. `sees`: what their hosts see of the engine's machine. `renewed` is called when the
    host of a node is a new one, with its address, once what was laid on the one before is on it.
    `held`: until its end, a node and the others do not hear each other.
    """

    run: str
    labels: Mapping[str, str]
    network: str
    addresses: Addresses
    memory_bytes: int
    sees: tuple[Mount, ...]
    is_attached: bool
    renewed: Callable[[str, str], Coroutine[Any, Any, None]]
    held: Callable[[str], AbstractAsyncContextManager[None]]


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
        self._container = Container(
            *(name, container, directory, engine),
            memory_total=setting.memory_bytes,
            hear=self._note,
        )
        self._directory = directory
        self._engine = engine
        self._setting = setting
        self._hear = hear
        self._take_turn = take_turn
        self._loop = asyncio.get_running_loop()
        self._laid = Laid()
        self._host: Host | None = None
        self._hosts = 0
        self._hold = contextlib.AsyncExitStack()
        self._ready = asyncio.Event()
        """There is a host that can be asked."""
        self._lost = ""
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Hear the container, which runs, keep it from being restarted, and join it."""
        await self._container.keep_down()
        await self._container.attach(is_from_start=not self._setting.is_attached)
        await self._join()

    async def start(self) -> NodeStatus:
        """Start the container, unless it runs."""
        if self._container.running is None:
            await self._read_rules()
            async with self._hold:
                if self._laid.has_rules:
                    await self._hold.enter_async_context(self._setting.held(self.name))
                await self._start()
        return await self.status()

    async def _start(self) -> None:
        await self._leave()
        try:
            async with self._setting.addresses.next_is(self.address):
                is_frozen = await self._container.start(is_held=self._laid.has_rules)
        except OSError:
            await self._stand_in()
            raise
        await self._join()
        if is_frozen:
            await self._container.thaw()

    async def stop(self, timeout_s: float) -> NodeStatus:
        """As `docker stop`: the signal that the image says, then SIGKILL."""
        if running := self._container.running:
            running.is_asked = True
            await self._container.thaw()
            await self._read_rules()
            await self._container.stop(timeout_s)
            await self._end(running)
        return await self.status()

    async def kill(self) -> NodeStatus:
        """SIGKILL to its first process, and so to all."""
        if running := self._container.running:
            running.is_asked = True
            await self._read_rules()
            self._ready.clear()  # From now on the stand-in is asked.
            await self._container.kill()
            await self._end(running)
        return await self.status()

    async def pause(self) -> NodeStatus:
        """Freeze the container's control group, with all that is in it."""
        if self._container.running is not None:
            await self._container.freeze()
        return await self.status()

    async def resume(self) -> NodeStatus:
        if self._container.running is not None:
            await self._container.thaw()
        return await self.status()

    async def status(self) -> NodeStatus:
        """What the engine says; `pid` is as its machine sees it."""
        if self._lost:
            raise ClusterLost(self._lost)
        state = (await self._container.inspect())["State"]
        running = self._container.running
        if running is not None and not state["Running"]:
            await self._container.wait(running)
            running = None
        kind = NodeState.GONE
        if running is not None:
            kind = NodeState.PAUSED if state["Paused"] else NodeState.RUNNING
        pid = state["Pid"] or None if running is not None else None
        return NodeStatus(kind, self._container.incarnation, pid, self._container.exit_status)

    async def request(self, verb: str, **arguments: Any) -> Any:
        """
        Ask the agent of the host that there is now.

        If that host ends meanwhile with its container, the next is asked: what was done on the one
        before went with its namespaces.

        Raises:
            OSError: Of the class of the errno that the agent met.
        """
        return await self._ask(lambda host: host.request(verb, **arguments))

    async def command(self, argv: Sequence[str], stdin: str) -> Command:
        done = Command(**await self.request("command", argv=list(argv), stdin=stdin))
        if not done.exit_status:
            self._laid.ran(argv, stdin)
        return done

    async def spawn(self, name: str, argv: Sequence[str]) -> int:
        pid = await self._ask(lambda host: host.spawn(name, argv))
        self._laid.spawned(name, argv)
        return pid

    async def carry(self, path: Path) -> str:
        self._laid.carried(path)
        return await self._ask(lambda host: host.carry(path))

    async def connect(self, connect: Callable[[str], Awaitable[socket.socket]]) -> socket.socket:
        """A connection to the address that the node has; to the next if its host changes."""
        return await self._ask(lambda _: connect(self.address))

    async def _ask(self, ask: Callable[[Host], Awaitable[_Answer]]) -> _Answer:
        for _ in range(_SWAPS_MAX):
            host = await self.ready_host()
            try:
                return await ask(host)
            except OSError:
                is_leaving = host.is_lost or self._host is not host or not self._ready.is_set()
                if self._lost or self._is_closed or not is_leaving:
                    raise
                if self._host is host:  # That it has ended is about to be heard.
                    self._ready.clear()
        raise OSError(0, f"{self.name}: its containers end too quickly to be asked")

    async def limit(self, cpus: float | None, memory_bytes: int | None) -> Mapping[str, Any]:
        """Raise OSError for a limit that could not be taken back."""
        await self._container.limit(cpus, memory_bytes, is_found=self._setting.is_attached)
        return await self.readings()

    async def readings(self) -> Mapping[str, Any]:
        return self._container.limits.readings(await self.request("readings"))

    async def lift(self) -> None:
        await self._container.lift()

    async def close(self) -> None:
        """Take our rules back, and let go of the container as it is."""
        self._is_closed = True
        if self._host is not None:
            if self._container.running is not None:
                with contextlib.suppress(OSError):
                    await self._host.request("tidy")
            await self._host.remove()
        await self._container.let_go()
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
            await self._is_there(self._address_in(await self._container.inspect()))
        except OSError:
            await self._settle()
            if self._container.running is not None:
                raise

    async def _stand_in(self) -> None:
        """Have a host of its own network namespace hold the place of a container that is down."""
        sysctls = {"net.ipv4.ip_unprivileged_port_start": "0"}
        await self._released()
        async with self._setting.addresses.next_is(self.address):
            await self._open(network=self._setting.network, sysctls=sysctls)
        assert self._host is not None
        networks = self._host.network["Networks"]
        await self._is_there(str(networks[self._setting.network]["IPAddress"]))

    async def _released(self) -> None:
        """Wait until the engine has taken back the address of a container that has ended."""
        for _ in range(_GLANCES_MAX):
            if not self._address_in(await self._container.inspect()):
                return
            await asyncio.sleep(_GLANCE_S)

    def _address_in(self, attributes: Mapping[str, Any]) -> str:
        networks = attributes["NetworkSettings"]["Networks"]
        return str(networks.get(self._setting.network, {}).get("IPAddress") or "")

    async def _open(self, **where: Any) -> None:
        await self._leave()
        self._hosts += 1
        is_guest = "pid_mode" in where
        setting = self._setting
        # Where the engine does not see our files, what helpers say stays on the host.
        logs = [Mount(FOLDER, str(self._directory), type="bind")] if self._engine.is_local else []
        host = Host(self.name, self._engine, lambda: self._lose(host, is_guest=is_guest))
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
        assert self._host is not None
        if self.address not in ("", address):
            log.warning("%s: it was at %s, and is at %s now", self.name, self.address, address)
            self._laid.forget_rules()  # They are about the address that it had.
        self.address = address
        await self._laid.lay(self._host)
        await self._hold.aclose()
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

    def _lose(self, host: Host, *, is_guest: bool) -> None:
        """A host has ended: with the container that it joined, or by itself, which is a loss."""
        if self._host is not host:
            return
        self._ready.clear()
        if is_guest:
            self._do(self._take_turn(self.name, self._find_loss()))
        else:
            self._lost = host.reason()
            self._ready.set()

    async def _find_loss(self) -> None:
        if self._container.running is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._container.running.ended), _ENDING_S)
                await asyncio.sleep(0)
        if self._is_closed or (self._host is not None and not self._host.is_lost):
            return
        if self._container.running is not None:
            self._lost = self._host.reason() if self._host else f"{self.name}: its host is gone"
            self._ready.set()
        else:
            await self._settle()

    async def _settle(self) -> None:
        """See that a node that is down has a stand-in."""
        if (
            self._container.running is not None
            and not (await self._container.inspect())["State"]["Running"]
        ):
            await self._container.wait(self._container.running)
        has_host = self._host is not None and not self._host.is_lost
        if self._container.running is None and not has_host and not self._is_closed:
            await self._stand_in()

    def _note(self, running: Running) -> None:
        """The container has ended."""
        if self._is_closed:
            return
        self._hear(Exit(self.name, running.number, running.ended.result(), running.is_asked))
        if not running.is_asked:
            self._do(self._take_turn(self.name, self._settle()))

    async def _end(self, running: Running) -> None:
        """Wait until it has ended, and has a stand-in."""
        await self._container.wait(running)
        await self._settle()

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
