"""
Where nodes run: contained hosts that can be started, killed, paused, and cut off from each other.

Every backend gives a `Cluster`: `namespaces` (real kernel, no root), `containers` (Docker),
`simulated` (virtual time). What only some of them can do is an ability, a protocol of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from dissever.harness.cluster.virtual_hosts import PROBE_BYTES as PROBE_BYTES
from dissever.harness.cluster.virtual_hosts import Allocations as Allocations
from dissever.harness.cluster.virtual_hosts import ClientLinks as ClientLinks
from dissever.harness.cluster.virtual_hosts import DiskCall as DiskCall
from dissever.harness.cluster.virtual_hosts import DiskErrorKind as DiskErrorKind
from dissever.harness.cluster.virtual_hosts import DiskFaults as DiskFaults
from dissever.harness.cluster.virtual_hosts import DiskRule as DiskRule
from dissever.harness.cluster.virtual_hosts import Impairment as Impairment
from dissever.harness.cluster.virtual_hosts import Impairments as Impairments
from dissever.harness.cluster.virtual_hosts import Link as Link
from dissever.harness.cluster.virtual_hosts import NodeTimes as NodeTimes
from dissever.harness.cluster.virtual_hosts import Reseeds as Reseeds
from dissever.harness.cluster.virtual_hosts import Traced as Traced
from dissever.harness.cluster.virtual_hosts import Traffic as Traffic

if TYPE_CHECKING:
    from dissever.harness.cluster.backends import Backend  # It imports the abilities.

Grudge: TypeAlias = Mapping[str, frozenset[str]]
"""Node -> the nodes whose packets it drops."""

Reachability: TypeAlias = Mapping[tuple[str, str], bool]
"""
(source, destination) -> whether packets of the source arrive at the destination's host, in this
direction alone. Only pairs that were probed.
"""


SYN_RETRIES: Final = 1
"""For connections through proxies: one that is not answered fails after 3 s."""


class Hosts(msgspec.Struct, frozen=True):
    """
    The plain case: data in a folder of the machine's disk, and the machine's clocks.

    `disk_mb`: each node has a disk of its own of that size (MiB); None: it uses the machine's.
    `faulty_disks`: calls on a node's data can be made to fail, by faultfs. `own_clocks`: each node
    has a wall clock that can be set, by libfaketime; `own_monotonic`: its monotonic clock as well.
    `changes_network`: faults change the network of hosts, which takes rights over it. `proxies`:
    connections go through proxies, and must not wait for long. `mapped_files`: the system maps its
    files into memory, which faultfs must allow; it then sees a read only if the kernel has no page.
    """

    disk_mb: int | None = None
    faulty_disks: bool = False
    own_clocks: bool = False
    own_monotonic: bool = False
    changes_network: bool = True
    proxies: bool = False
    mapped_files: bool = False

    def __or__(self, other: Hosts) -> Hosts:
        """What both need."""
        return Hosts(
            max((mb for mb in (self.disk_mb, other.disk_mb) if mb is not None), default=None),
            self.faulty_disks or other.faulty_disks,
            self.own_clocks or other.own_clocks,
            self.own_monotonic or other.own_monotonic,
            self.changes_network or other.changes_network,
            self.proxies or other.proxies,
            self.mapped_files or other.mapped_files,
        )


PLAIN = Hosts()


class Disk(msgspec.Struct, frozen=True):
    """
    Where a node keeps its data, as processes on its host see it.

    `size_mb`: the size of a disk of its own; None: it shares the machine's. `ask`: the command that
    sends requests to the faultfs over the data; empty without one.
    """

    path: str
    size_mb: int | None = None
    ask: tuple[str, ...] = ()


class NodeClock(msgspec.Struct, frozen=True):
    """
    A clock that can be set while its node runs.

    `file`, as processes on the host see it, holds the offset; `environment` is what puts a process
    under that clock.
    """

    file: str
    environment: dict[str, str]


class ClusterLost(OSError):
    """The cluster is gone, or was never there: nothing more can be asked of it."""


class ClusterEnded(ClusterLost):
    """The system under test has ended the whole cluster, as a crash in a simulator does."""


class ClusterInterrupted(ClusterLost):
    """Ctrl-C came while the cluster did not answer, so it was ended. Nobody is to blame."""


class NodeState(StrEnum):
    """What the kernel says of a node's process."""

    RUNNING = "running"
    PAUSED = "paused"
    GONE = "gone"
    NEVER_STARTED = "never-started"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """
    A node's process as seen from outside.

    `incarnation` counts starts from 1. `pid` is as the harness sees it; None: no process is there.
    `exit_status` is that of the last process that ended, negative for a signal; None: none has
    ended.
    """

    state: NodeState
    incarnation: int
    pid: int | None
    exit_status: int | None


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a node runs. Its working directory is the node's folder; its data belong in `data` there.

    `environment` is added, in namespaces, to what nodes inherit (PATH, the locale, TZ and
    LD_LIBRARY_PATH), and in containers to what the image says. `image` is that of the container;
    None: one with Python and a shell. `as_nobody`: in namespaces it is told that it runs as an
    ordinary user, because it refuses to run as root; its files are those of root outside.

    Its output is appended to `stdout-<incarnation>.log` and `stderr-<incarnation>.log`.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    image: str | None = None
    as_nobody: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """How a command on a node's host ended, and its output."""

    exit_status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Exit:
    """
    The end of a node's main process. `is_asked`: `stop` or `kill` caused it.

    `time_ns` is when the harness heard of it, on the clock of the event loop (`clock.clock_ns`); in
    the file that a run leaves behind, since the run began. `next_ns` is when the next incarnation
    had begun, on the same clock; None when none has, or nobody knows.
    """

    node: str
    incarnation: int
    exit_status: int
    is_asked: bool
    time_ns: int | None = field(default=None, compare=False)
    next_ns: int | None = field(default=None, compare=False)


@runtime_checkable
class Cluster(Protocol):
    """
    The contained hosts of one run.

    What else can be done to them are abilities: `NodeProcesses`, `Links`, `Sockets`,
    `HostCommands`, `ResourceLimits`, `Disks`, `Clocks`. `Backend.abilities` says which a backend
    has. Code that needs some declares a protocol of those, or takes the ability alone.

    Every method that changes something is idempotent. Nodes are known by name.
    """

    @property
    def backend(self) -> Backend:
        """What its hosts are."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in order."""

    def address(self, node: str) -> str:
        """The IP address of a node."""

    def directory(self, node: str) -> Path:
        """The node's folder on the harness's side: `data/` and its logs are in it."""

    async def close(self) -> None:
        """End every process, and remove every interface and rule."""


@runtime_checkable
class NodeProcesses(Protocol):
    """Each node has a main process that can be started, ended and paused."""

    @property
    def exits(self) -> tuple[Exit, ...]:
        """Every end of a node's main process so far, in order."""

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        """
        Start a node's process; without a program the one it ran before. Nothing if it is running.

        Raises:
            ValueError: Without a program, when it never had one.
            OSError: When the program cannot be executed, with the reason.
        """

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        """SIGTERM to the process's group; SIGKILL to all of the node's when the time is up."""

    async def kill(self, node: str) -> NodeStatus:
        """SIGKILL every process of the node, and wait until they are gone."""

    async def pause(self, node: str) -> NodeStatus:
        """SIGSTOP every process of the node, and wait until each of their threads stands still."""

    async def resume(self, node: str) -> NodeStatus:
        """SIGCONT every process of the node, and wait until no thread stands still."""

    async def status(self, node: str) -> NodeStatus:
        """What the kernel says of the node's process now."""


@runtime_checkable
class Links(Protocol):
    """Packets between nodes can be dropped, in each direction on its own."""

    async def drop(self, grudge: Grudge) -> None:
        """
        Replace all cuts by these: each node drops every packet from those it names.

        Raises:
            ValueError: When a node is unknown, or named as the one it drops packets from.
            OSError: When they cannot be; which nodes are cut is then unknown.
        """

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        """(source, destination) -> packets dropped since the last `drop`, for each pair it cuts."""

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        """
        Probe for each pair, all at once, whether a datagram of the source's host arrives at the
        destination's: in this direction alone, and whatever the processes of the nodes do.

        It returns once all have arrived, so `timeout_s` is spent only on pairs that are cut.
        """


@runtime_checkable
class Ends(Protocol):
    """A cluster that can end as a whole while a run goes on."""

    async def end(self) -> ClusterLost:
        """Wait until it has ended; why it did."""


@runtime_checkable
class Sockets(Protocol):
    """Nodes listen on ports that the harness can connect to."""

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        """
        A connected, non-blocking TCP socket (no delay) to a node; the caller closes it.

        Cuts between nodes do not touch it. A paused process's kernel still accepts.

        Raises:
            OSError: ConnectionRefusedError, or TimeoutError when there is no answer in time.
        """


@runtime_checkable
class HostCommands(Protocol):
    """
    Programs that are not the node's own can be run on its host.

    They are no processes of the node's: `kill` and `pause` leave them alone.

    Raises, from every method: OSError, when it cannot be done.
    """

    @property
    def python(self) -> str:
        """A Python interpreter on its hosts, for scripts run by `command`."""

    async def command(self, node: str, argv: Sequence[str], stdin: str = "") -> Command:
        """Run a short command on a node's host, for faults such as `tc`."""

    async def spawn(self, node: str, name: str, argv: Sequence[str]) -> int:
        """
        Start a helper on a node's host that runs until the cluster ends, such as a proxy.

        Its output is appended to `<name>.log` in the node's folder.

        Returns:
            Its PID as the harness sees it.
        """

    async def carry(self, node: str, path: Path) -> str:
        """Put a file of ours, such as a program, on a node's host; its path there."""


@runtime_checkable
class Renewals(Protocol):
    """
    The host of a node may be another one, such as after its container was started again.

    Rules, helpers and files are on it as on the one before. What was sent to helpers is not.
    """

    def hear_renewals(self, hear: Callable[[str], Awaitable[None]]) -> None:
        """From now on, call `hear` with the name of each node that has a new host."""


@runtime_checkable
class ResourceLimits(Protocol):
    """What a node's processes may use of the machine can be limited."""

    async def limit(
        self, node: str, cpus: float | None = None, memory_bytes: int | None = None
    ) -> Mapping[str, Any]:
        """
        Limit what a node's processes may use, now and after a restart. None: leave it as it is.

        Returns:
            What the kernel says of it, as `readings` does.

        Raises:
            OSError: When the machine does not let us, or lacks what that takes.
        """

    async def readings(self, node: str) -> Mapping[str, Any]:
        """
        What the kernel says of the limits in force: `cpu` and `memory`, each only where limited.

        Each has the `limit` and the `pids` under it. For the cpu, `throttled` counts the periods in
        which it was held back; for memory, `reached` counts how often the limit was met, and
        `oom_kills` the processes that were killed for it.
        """

    async def lift(self, node: str) -> None:
        """Take a node's limits away."""


@runtime_checkable
class Disks(Protocol):
    """Each node keeps its data in a place that processes on its host can see."""

    def disk(self, node: str) -> Disk:
        """Where the node keeps its data."""


@runtime_checkable
class Clocks(Protocol):
    """A node can have a clock of its own."""

    def clock(self, node: str) -> NodeClock | None:
        """The clock of the node's own, or None: it has the machine's."""
