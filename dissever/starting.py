"""
A started cluster that a program breaks step by step: for tests that are written by hand.

    with start(options, directory) as cluster:
        client = cluster.client("n1")
        client.write(1, 5)
        with cluster.partition("n1") as strike:
            ...
        assert client.read(1) == 5

Every fault is looked at from outside, as in a run: where it did not take hold, did not last, or did
not heal, the `with` statement raises. Whatever happens inside it, the fault is healed.

The harness lives on an event loop in a thread of its own, so a test needs neither `async` nor
threads. On the virtual clock, time passes only while something is waited for: `cluster.sleep`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from dissever import planning
from dissever.background import CALL_LIMIT_S, BackgroundLoop
from dissever.harness.client import Invocation, Nemesis, Prepares
from dissever.harness.clock import clock_ns
from dissever.harness.cluster import PLAIN, Exit, NodeProcesses
from dissever.harness.episodes import (
    Role,
    doubt_of,
    evidence,
    lapse_of,
    skip_of,
    targets,
)
from dissever.harness.history import Event, Operation, Type
from dissever.harness.options import unknown
from dissever.harness.plan import Options, stream
from dissever.harness.runner import CannotRun
from dissever.harness.system import Deployment, Primaries, System
from dissever.harness.values import listed
from dissever.nemesis import Environment, Fault, hosts, make_nemeses, parse
from dissever.nemesis.targets import TargetSpec
from dissever.steps import DidNotHold, StepClient, Strike, StrikeContext
from dissever.systems import load
from dissever.workloads import WORKLOADS

__all__ = ["CannotStrike", "DidNotHold", "StartedCluster", "Strike", "check_machine", "start"]

log = logging.getLogger(__name__)

FAULT_LIMIT_S: Final = 60.0
READY_LIMIT_S: Final = 30.0
ANSWER_LIMIT_S: Final = 10.0
GLANCE_S: Final = 0.05

_OF_LEADERS: Final = (TargetSpec.LEADER.value, TargetSpec.FOLLOWERS.value)

T = TypeVar("T")


class CannotStrike(CannotRun):
    """The machine, or the backend, lacks what a fault needs; the message says what would help."""


@contextmanager
def start(
    options: Options, directory: Path, system: System | None = None
) -> Iterator[StartedCluster]:
    """
    Start the nodes of a system; end them, and heal whatever is in force, when it is left.

    Args:
        options: Faults that need something of the hosts, such as `disk-slow`, must be among its
            faults, which say what hosts are made with. The others can be injected anyway.
        directory: Empty; the logs of the nodes are kept in it.
        system: None: the one that the options name.

    Raises:
        ValueError: When the options make no sense.
        CannotRun: When this machine, or the system, does not let it happen.
        CannotStrike: When it lacks what one of the faults needs.
    """
    system = system or load(options.system)
    options = planning.checked(options, system)
    check_machine(options, system)
    needed = hosts(options.faults, options.disk_mb) | PLAIN
    options = msgspec.structs.replace(options, hosts=needed)
    cluster = StartedCluster(options, system, directory)
    try:
        cluster.open()
        yield cluster
    finally:
        cluster.close()


def check_machine(options: Options, system: System) -> None:
    """
    Try out whether the system and the faults of the options can run on this machine.

    Raises:
        CannotRun: When the system cannot.
        CannotStrike: When one of the faults cannot.
    """
    if (missing := planning.missing_system(options, system)) is not None:
        raise CannotRun(f"{options.system} cannot run here: {missing}")
    if (missing := planning.missing_fault(options)) is not None:
        raise CannotStrike(missing)


class StartedCluster:
    """
    Nodes that run, and the faults that can be injected into them.

    Of the faults, `partition`, `kill`, `pause` and `latency` are methods; `fault` injects any.
    Each returns a context manager, for `with` and for `async with`.
    """

    def __init__(self, options: Options, system: System, directory: Path) -> None:
        """Nothing happens before `open`. `start` does all of it."""
        self._options = options
        self._system = system
        self._directory = directory
        self._loop = BackgroundLoop(is_virtual=options.backend.is_virtual)
        self._deployment: Any = None
        self._life: asyncio.Task[None] | None = None
        self._ending: asyncio.Event | None = None
        self._nemeses: dict[str, Nemesis] = {}
        self._in_force: list[Fault] = []
        self._struck: list[Strike] = []
        self._now_ns: Callable[[], int] = lambda: 0
        self._clients: list[StepClient] = []

    # What there is.

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in order."""
        return self._options.nodes

    @property
    def directory(self) -> Path:
        """Where the logs of the nodes are, in a folder for each."""
        return self._directory

    @property
    def seed(self) -> int:
        """What targets are drawn from, where they are not named."""
        return self._options.seed

    @property
    def strikes(self) -> tuple[Strike, ...]:
        """What has struck so far, in order."""
        return tuple(self._struck)

    @property
    def deployment(self) -> Deployment:
        """The system that runs: its coroutines are for `call`."""
        deployment: Deployment = self._deployment
        return deployment

    @property
    def crashes(self) -> tuple[Exit, ...]:
        """The ends of nodes that nobody asked for, in order."""
        cluster = self._deployment.cluster
        if not isinstance(cluster, NodeProcesses):
            return ()
        return tuple(each for each in cluster.exits if not each.is_asked)

    def address(self, node: str) -> str:
        """The IP address of a node, inside the cluster."""
        self._check((node,))
        address: str = self._deployment.cluster.address(node)
        return address

    def client(self, node: str) -> StepClient:
        """
        A client of a node: the store of the workload, with plain methods such as `read`.

        Raises:
            ValueError: When there is no such node.
            Exception: What the system's own client raises when it cannot be opened.
        """
        self._check((node,))
        workload = WORKLOADS.find(self._options.workload)
        opened = self.call(self._deployment.open_store(workload.store, node))
        client = StepClient(self.call, node, opened, self._options.operation_limit_s)
        self._clients.append(client)
        return client

    def leaders(self) -> tuple[str, ...]:
        """The nodes that say that they lead; empty where the system has no leaders."""
        if not isinstance(self._deployment, Primaries):
            return ()
        return self.call(self._deployment.primaries())

    def answers(self, node: str) -> bool:
        """Whether a node answers a request now."""
        self._check((node,))
        return self.call(self.deployment.answers(node))

    def await_ready(self, timeout_s: float = READY_LIMIT_S) -> Mapping[str, Any]:
        """
        Wait until every node serves.

        Raises:
            TimeoutError: When that does not come in time; the message says what is missing.
        """
        return self.call(self._deployment.await_ready(timeout_s), timeout_s + CALL_LIMIT_S)

    def sleep(self, seconds: float) -> None:
        """Let time pass: on the virtual clock it jumps."""
        self.call(asyncio.sleep(seconds), seconds + CALL_LIMIT_S)

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = CALL_LIMIT_S) -> T:
        """
        Have a coroutine done by the harness, and wait for it.

        Raises:
            TimeoutError: When it takes longer; it is cancelled then.
            Exception: What the coroutine raises.
        """
        return self._loop.call(work, timeout_s)

    # What breaks.

    def partition(self, *sides: str | Sequence[str]) -> StrikeContext:
        """
        Cut the network between nodes.

        `partition("n1")` and `partition("n1", "n2")` cut each of these nodes off from the others.
        `partition(["n1"], ["n2", "n3"])` cuts these sides off from each other; nodes of no side
        hear everyone. `partition("leader")`, `partition("halves")` and so on draw, as
        `dissever list partition` says, and so does `partition()`.
        """
        groups = [side for side in sides if not isinstance(side, str)]
        if not groups:
            return self.fault("partition", *(str(side) for side in sides))
        if len(groups) != len(sides) or len(groups) < 2:
            raise ValueError("expected names of nodes, or two or more lists of them, got both")
        members = [node for group in groups for node in group]
        self._check(members)
        if len(set(members)) < len(members) or not all(groups):
            raise ValueError(f"expected each node on one side, and no side empty, got {groups}")
        grudge = {
            node: [other for other in members if other not in group]
            for group in groups
            for node in group
        }
        return self.fault("partition", grudge=grudge)

    def kill(self, *nodes: str) -> StrikeContext:
        """End nodes with SIGKILL, and start them again. Without a name the seed draws one."""
        return self.fault("kill", *nodes)

    def pause(self, *nodes: str) -> StrikeContext:
        """Stop nodes with SIGSTOP, and let them go on. Without a name the seed draws one."""
        return self.fault("pause", *nodes)

    def latency(self, *nodes: str, **settings: Any) -> StrikeContext:
        """Delay what nodes send each other, by Toxiproxy: `latency("n1", latency_ms=200)`."""
        return self.fault("latency", *nodes, **settings)

    def fault(
        self, name: str, *where: str, nodes: Sequence[str] = (), **settings: Any
    ) -> StrikeContext:
        """
        Inject any fault; `dissever list NAME` shows its targets and settings.

        Args:
            name: `disk-slow`, or with a target `kill:leader`.
            where: Names of nodes, or one target such as `leader`. None: the usual target.
            nodes: The same as `where`.

        Raises:
            ValueError: For a name, a node, a target or a setting that there is not.
        """
        (spec,) = parse((name,), self._options.backend)
        asked = (*spec.targets, *where, *nodes)
        value: dict[str, Any] = dict(settings)
        drawn = [each for each in asked if each in spec.fault.targets and each not in self.nodes]
        if drawn and len(asked) > 1:
            raise ValueError(f"expected names of nodes, or one target, got {', '.join(asked)}")
        if drawn:
            if drawn[0] in _OF_LEADERS and not isinstance(self._deployment, Primaries):
                raise ValueError(f"{spec.name}:{drawn[0]}: {self._system.name} has no leaders")
            value["spec"] = drawn[0]
        elif asked:
            self._check(asked, spec.fault)
            value["targets"] = list(asked)
        return StrikeContext(self, spec.fault, value)

    def _check(self, names: Sequence[str], fault: Fault | None = None) -> None:
        for name in names:
            if name not in self.nodes:
                what = "node" if fault is None else f"node, or a target of {fault.name},"
                known = (*self.nodes, *(fault.targets if fault else ()))
                raise ValueError(unknown(what, name, known))

    # What `StrikeContext` does.

    def inject(self, fault: Fault, value: Mapping[str, Any]) -> Strike:
        """
        Strike, and look whether it took hold. `StrikeContext` calls it.

        Raises:
            DidNotHold: When there is no evidence that it did; it is healed then.
            ValueError: For settings that make no sense.
        """
        if (other := self._clash(fault)) is not None:
            raise ValueError(
                f"{fault.name} cannot be injected while {other.name} is in force: leave its `with`"
                " first, or name all of the nodes in one"
            )
        nemesis = self._nemesis(fault)
        injection, *more = [
            f for f, action in fault.actions.items() if action.role is not Role.HEAL
        ]
        self._in_force.append(fault)
        try:
            done = self._operate(nemesis, fault, injection, value)
            why = skip_of(done) or doubt_of(done, Role.INJECT) or _elsewhere(done)
            for f in more:
                why = why or doubt_of(self._operate(nemesis, fault, f, None), Role.CONTINUE)
            if why is not None:
                raise DidNotHold(f"{fault.name} did not strike: {why}")
        except BaseException:
            self._heal_quietly(fault)
            raise
        strike = Strike(fault.name, targets(done), evidence(done))
        self._struck.append(strike)
        return strike

    def heal(self, fault: Fault) -> None:
        """
        Heal a fault, look whether it was in force until now, and wait until its nodes answer, for
        `ANSWER_LIMIT_S` at most.

        Raises:
            DidNotHold: When it was not, or did not heal.
        """
        (healing,) = [f for f, action in fault.actions.items() if action.role is Role.HEAL]
        try:
            done = self._operate(self._nemeses[fault.name], fault, healing, None)
        except BaseException:
            self._heal_quietly(fault)
            raise
        self._in_force.remove(fault)
        if (why := lapse_of(done) or doubt_of(done, Role.HEAL) or _elsewhere(done)) is not None:
            raise DidNotHold(f"{fault.name} did not last, or did not heal: {why}")
        if fault.takes_down:
            self._await_answers(targets(done))

    def _await_answers(self, nodes: Sequence[str]) -> None:
        """Another fault may keep them silent, and so may the system: that is for the test."""
        for _ in range(int(ANSWER_LIMIT_S / GLANCE_S)):
            nodes = [node for node in nodes if not self.answers(node)]
            if not nodes:
                return
            self.sleep(GLANCE_S)
        log.warning("%s: no answer %g s after healing", listed(nodes), ANSWER_LIMIT_S)

    def _operate(
        self, nemesis: Nemesis, fault: Fault, f: str, value: Mapping[str, Any] | None
    ) -> Operation:
        asked = Invocation(f, value, process=fault.name)

        async def within_limit() -> tuple[int, Any, int]:
            began = self._now_ns()
            async with asyncio.timeout(FAULT_LIMIT_S):
                return began, await nemesis.invoke(asked), self._now_ns()

        try:
            began, done, ended = self.call(within_limit())
        except OSError as error:  # A TimeoutError is one.
            why = str(error) or f"it took more than {FAULT_LIMIT_S:g} s"
            raise DidNotHold(f"{f} ({fault.name}): {why}") from error
        return Operation(
            Event(0, began, fault.name, Type.INVOKE, f, value),
            Event(1, ended, fault.name, done.type, f, done.value, error=done.error),
        )

    def _clash(self, fault: Fault) -> Fault | None:
        """A fault in force that this one would undo, or be undone by."""
        same = (
            each
            for each in self._in_force
            if each.name == fault.name or (fault.group and each.group == fault.group)
        )
        return next(same, None)

    def _nemesis(self, fault: Fault) -> Nemesis:
        """Raises CannotStrike, or CannotRun when this cluster was not made for the fault."""
        if fault.name in self._nemeses:
            return self._nemeses[fault.name]
        what = f"the fault {fault.name} cannot be injected"
        if (lack := fault.missing(self._options.backend)) is not None:
            raise CannotStrike(f"{what}: {lack.reason}; {lack.remedy}")
        nemesis = make_nemeses((fault.name,), self._environment)[fault.name]
        if (lack := nemesis.probe()) is not None:
            raise CannotRun(f"{what}: {lack.reason}; {lack.remedy}")
        self._nemeses[fault.name] = nemesis
        if isinstance(nemesis, Prepares) and self.call(nemesis.prepare()):
            self.await_ready()
        return nemesis

    def _heal_quietly(self, fault: Fault) -> None:
        """Undo it, and look at nothing."""
        if fault in self._in_force:
            self._in_force.remove(fault)
        try:
            self.call(self._nemeses[fault.name].heal())
        except Exception as error:  # The reason why it is healed like this is raised already.
            log.warning("%s did not heal: %s", fault.name, error)

    # The life of it.

    def open(self) -> None:
        """Start the nodes, and wait until they serve. Raises as `start`."""
        try:
            self._deployment = self.call(self._opened(), 10 * CALL_LIMIT_S)
        except (OSError, RuntimeError) as error:
            raise CannotRun(f"{self._options.system} did not start: {error}") from error

    def close(self) -> None:
        """Heal everything, end every node. Idempotent."""
        if self._loop.is_closed:
            return
        try:
            for fault in reversed(tuple(self._in_force)):
                self._heal_quietly(fault)
            for client in self._clients:
                client.close()
            if self._life is not None and not self._life.done():
                self.call(self._closed(self._life))
        finally:
            self._loop.close()

    async def _opened(self) -> Deployment:
        opened: asyncio.Future[Deployment] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._life = asyncio.create_task(self._live(opened, self._ending))
        await asyncio.wait((opened, self._life), return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await self._life  # Raises why there is none.
        return opened.result()

    async def _live(self, opened: asyncio.Future[Deployment], ending: asyncio.Event) -> None:
        """Enter and leave the deployment in one task, as its parts may ask for."""
        nodes = self._directory / "nodes"
        nodes.mkdir(parents=True)
        rng = stream(self._options.seed, "system")
        async with self._system.deploy(self._options, nodes, rng) as deployment:
            budget = len(self._options.nodes)
            self._environment = Environment.of(deployment, seed=self._options.seed, budget=budget)
            now_ns = clock_ns()
            origin = now_ns()
            self._now_ns = lambda: now_ns() - origin
            opened.set_result(deployment)
            await ending.wait()

    async def _closed(self, life: asyncio.Task[None]) -> None:
        assert self._ending is not None
        self._ending.set()
        await life


def _elsewhere(done: Operation) -> str | None:
    """Whom it struck instead of the leader or the followers that were asked for, or None."""
    if evidence(done).get("as_asked") is not False:
        return None
    return f"it struck {listed(targets(done))}, which was not what was asked for"
