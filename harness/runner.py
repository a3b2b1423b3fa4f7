"""
The life of a run: deploy the system, interpret the generator, heal, and leave a history behind.

Judging is not part of it. It starts from the history on disk, so a run whose end failed, or whose
harness was killed, is judged like any other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from msgspec import structs

from dissever.harness import clock, store
from dissever.harness.bugs import Bug, bug_of, is_bug
from dissever.harness.client import Client, Nemesis, Prepares
from dissever.harness.cluster import (
    Cluster,
    ClusterInterrupted,
    Exit,
    NodeProcesses,
    Reseeds,
    Traced,
)
from dissever.harness.history import Event
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.journal import Journal
from dissever.harness.plan import Kept, Options, Outcome, Plan, Reseed, Streams
from dissever.harness.recovery import Recovery
from dissever.harness.starts import Stopwatch
from dissever.harness.system import Deployment, System
from dissever.harness.vocabulary import RECOVERY
from dissever.harness.waiting import Wait, heard, waiting
from dissever.harness.watch import (
    DEAD_S,
    DeadCluster,
    Down,
    Silence,
    Watch,
    minding,
    watching_roles,
)

log = logging.getLogger(__name__)

PREPARED_LIMIT_S = 30.0

INTERRUPTED: Final = "interrupted"
"""Why a run ended that Ctrl-C, SIGTERM or SIGHUP ended after its first operation."""

BUG: Final = "a mistake in the code"
"""Why a run ended that a `Bug` ended."""

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class CannotRun(Exception):
    """The machine or the system does not let this run happen; the message says what would help."""


class Enough(Exception):
    """An observer has seen enough, so the run ends; the message says why."""


class Observer(Protocol):
    """Who watches a run, such as the live display."""

    def phase(self, name: str) -> None:
        """A new phase begins."""

    def event(self, event: Event) -> None:
        """
        Something was recorded.

        Raises:
            Enough: To end the run.
        """


@runtime_checkable
class SeesNodes(Protocol):
    """An observer that shows which nodes are down."""

    def down(self, nodes: Mapping[str, Down]) -> None:
        """The processes of these do not run now; called whenever that changes."""


@runtime_checkable
class SeesWaits(Protocol):
    """An observer that shows what a run waits for."""

    def waits(self, wait: Wait | None) -> None:
        """The run waits for this now; None: for nothing. Called whenever that changes."""


@dataclass(frozen=True, slots=True)
class Test:
    """
    A plan with everything that carries it out. `generator` stands for the whole of the run.

    `client` makes a client of a store of the system; `store` is the name of that store. `places` is
    the node of each client; empty: client i talks to node i, and from the first again.
    """

    __test__ = False

    plan: Plan
    system: System
    generator: Any
    store: str
    client: Callable[[Any], Client]
    nemeses: Callable[[Deployment], Mapping[str, Nemesis]]
    places: tuple[str, ...] = ()


def execute(test: Test, run: Path, observer: Observer) -> Outcome:
    """
    Carry out a test; the history, the schedule and the nodes' logs are in the run directory then.

    A file that the disk refuses is left out, with a warning: judging then says what is missing.

    Raises:
        CannotRun: When the system does not start, or a fault cannot be injected here.
        Bug: When the code of the system, the workload or a fault has a mistake.
    """
    try:
        is_virtual = test.plan.options.backend.is_virtual
        outcome = clock.run(_execute(test, run, observer), is_virtual=is_virtual)
    except (Exception, SystemExit) as error:
        bug = bug_of(test.system.name, error) if is_bug(error) else error
        if not isinstance(bug, Bug):
            raise
        _write_outcome(run, Outcome(f"{BUG}: {bug}"))
        if bug is error:
            raise
        raise bug from error
    return _write_outcome(run, outcome)


def _write_outcome(run: Path, outcome: Outcome) -> Outcome:
    """With the files that the run leaves behind."""
    with _unless_refused(store.OUTCOME):
        files = store.manifest(run) | (outcome.files or {})
        outcome = structs.replace(outcome, files=files)
        store.write_outcome(run, outcome)
    return outcome


async def _execute(test: Test, run: Path, observer: Observer) -> Outcome:
    options = test.plan.options
    observer.phase("starting the nodes")
    directory = run / store.NODES
    directory.mkdir()
    outcome: Outcome | None = None
    waits = observer.waits if isinstance(observer, SeesWaits) else _ignore
    stopwatch = Stopwatch(clock.clock_ns(), waits)
    with _signals_cancel(), heard(stopwatch.hear):
        try:
            streams = Streams(options.seed)
            rng = streams.of("system")
            async with test.system.deploy(options, directory, rng) as deployment:
                recorder = _Recorder(observer)
                outcome = await _interpret(test, run, recorder, deployment, streams, stopwatch)
                observer.phase("stopping the nodes")
                _keep_exits(deployment.cluster, recorder.origin_ns)
                refused = await _keep_trace(deployment.cluster, recorder.origin_ns, run)
                outcome = structs.replace(outcome, files=refused)
        except (asyncio.CancelledError, ClusterInterrupted):
            outcome = outcome or Outcome("interrupted before the first operation")
        except Bug:
            raise
        except Exception as error:  # The history is whole, whatever goes wrong at the very end.
            if outcome is None:
                raise
            log.exception("the nodes could not be stopped")
            reason = outcome.interruption or f"the nodes could not be stopped: {error}"
            outcome = structs.replace(outcome, interruption=reason)
    return outcome


class _Recorder:
    """The events of a run as they happen, and when it began on the clock of the event loop."""

    def __init__(self, observer: Observer) -> None:
        self.events: list[Event] = []
        self.observer = observer
        self.origin_ns: int | None = None
        self._now_ns = clock.clock_ns()

    def now_ns(self) -> int:
        """Since the run began."""
        return self._now_ns() - (self.origin_ns or 0)

    def add(self, event: Event) -> None:
        if self.origin_ns is None:
            self.origin_ns = self._now_ns() - event.time
        self.events.append(event)
        self.observer.event(event)


async def _interpret(
    test: Test,
    run: Path,
    recorder: _Recorder,
    deployment: Deployment,
    streams: Streams,
    stopwatch: Stopwatch,
) -> Outcome:
    """Run the generator; how that ended."""
    options, observer = test.plan.options, recorder.observer
    nemeses = dict(test.nemeses(deployment))
    for name, nemesis in nemeses.items():
        missing = nemesis.probe()
        if missing is not None:
            raise CannotRun(
                f"the fault {name} cannot be injected: {missing.reason}; {missing.remedy}"
            )
    await _prepare(nemeses, deployment, observer)
    nemeses[RECOVERY] = Recovery(deployment, options.recovery_limit_s)

    async def open_client(node: str) -> Client:
        store = await deployment.open_store(test.store, node)
        return store if isinstance(store, Client) else test.client(store)

    reason = ""
    watch = Watch(deployment.cluster, is_needed=not options.backend.is_virtual)
    silence = Silence(options.stop_when_dead_s or DEAD_S)
    show = observer.down if isinstance(observer, SeesNodes) else _ignore
    minds = minding(deployment.cluster, options.on_crash, show)
    roles = _roles(deployment, run, recorder, options)
    with Journal(run / store.HISTORY) as journal:

        def record(event: Event) -> None:
            journal(event)
            recorder.add(event)
            if silence.hear(event):
                words = f"nothing has succeeded for {silence.limit_s:g} s: the cluster looks dead"
                log.warning("%s", words)
                if options.stop_when_dead_s is not None:
                    raise DeadCluster(words)

        stopwatch.stop()
        observer.phase("running")
        rng = streams.of("generator")
        try:
            async with watch, minds, roles, _reseeding(options.reseed, streams, deployment.cluster):
                await interpret(
                    test.generator,
                    open_client=open_client,
                    nodes=test.places or options.nodes,
                    concurrency=options.concurrency,
                    nemeses=nemeses,
                    rng=rng,
                    record=record,
                    limits=TimeLimits(operation_s=options.operation_limit_s),
                )
        except (asyncio.CancelledError, ClusterInterrupted):
            reason = INTERRUPTED
        except Bug:
            raise
        except (DeadCluster, Enough) as end:
            reason = str(end)
        except Exception as error:  # Whatever ended it, what was recorded is judged.
            log.exception("the run ended early")
            reason = f"{type(error).__name__}: {error}"
        finally:
            with _unless_refused(store.SCHEDULE):
                store.write_schedule(run, recorder.events)
    if watch.lost is None:
        return Outcome(watch.ended or reason, events=len(recorder.events), start=stopwatch.start)
    reason = f"a part of the harness was lost: {watch.lost}"
    return Outcome(
        reason, events=len(recorder.events), lost_ns=recorder.now_ns(), start=stopwatch.start
    )


def _roles(
    deployment: Deployment, run: Path, recorder: _Recorder, options: Options
) -> AbstractAsyncContextManager[None]:
    """Watch what the nodes are, where that does not change what the same seed gives."""
    if options.backend.is_virtual:
        return nullcontext()
    return watching_roles(
        deployment,
        run / store.NODE_STATES,
        lambda: None if recorder.origin_ns is None else recorder.now_ns(),
        asks=options.watch_roles,
        lists_snapshots=not options.hosts.faulty_disks,
    )


@asynccontextmanager
async def _reseeding(
    asked: Reseed | None, streams: Streams, cluster: Cluster
) -> AsyncIterator[None]:
    """Have everything drawn from another seed once the moment comes that was asked for."""
    if asked is None:
        yield
        return
    seed = asked.seed

    def reseed() -> None:
        streams.reseed(seed)
        if isinstance(cluster, Reseeds):
            cluster.reseed(seed)

    timer = asyncio.get_running_loop().call_later(asked.at_s, reseed)
    try:
        yield
    finally:
        timer.cancel()


def _ignore(_: object) -> None:
    """For an observer that does not show it."""


async def _prepare(
    nemeses: Mapping[str, Nemesis], deployment: Deployment, observer: Observer
) -> None:
    """Have every fault put on the hosts what it needs, and wait for a system that it disturbed."""
    preparing = {name: each for name, each in nemeses.items() if isinstance(each, Prepares)}
    if preparing:
        observer.phase("preparing the hosts")
    is_disturbed = False
    for name, nemesis in preparing.items():
        with waiting(f"preparing {name}"):
            try:
                is_disturbed |= await nemesis.prepare()
            except OSError as error:
                reason = error.strerror or error
                raise CannotRun(f"the fault {name} cannot be prepared: {reason}") from error
    if is_disturbed:
        try:
            with waiting("waiting until every node serves", PREPARED_LIMIT_S):
                await deployment.await_ready(PREPARED_LIMIT_S)
        except TimeoutError as error:
            raise CannotRun(f"the system does not serve on prepared hosts: {error}") from error


def _keep_exits(cluster: Cluster, origin_ns: int | None) -> None:
    """
    Write how each node's processes ended to its folder; those that still run are left out.

    Args:
        origin_ns: When the run began, on the clock that ends are stamped with.
    """
    if not isinstance(cluster, NodeProcesses):
        return
    for node in cluster.nodes:
        exits = [_since(origin_ns, each) for each in cluster.exits if each.node == node]
        with _unless_refused(f"{store.EXITS} of {node}"):
            store.write_exits(cluster.directory(node), exits)


async def _keep_trace(cluster: Cluster, origin_ns: int | None, run: Path) -> dict[str, Kept]:
    """
    Write what only a simulation knows.

    Returns:
        The file as it should be, if the disk refuses it. So judging finds that it is cut or
        missing: a violation may have stood in the part that was lost.
    """
    if not isinstance(cluster, Traced):
        return {}
    await cluster.finish()
    content = cluster.trace.content(origin_ns or 0)
    try:
        (run / store.SIMULATION).write_bytes(content)
    except OSError as error:
        log.warning("%s could not be written: %s", store.SIMULATION, error)
        return {store.SIMULATION: Kept(len(content), hashlib.sha256(content).hexdigest())}
    return {}


def _since(origin_ns: int | None, end: Exit) -> Exit:
    if origin_ns is None or end.time_ns is None:
        return replace(end, time_ns=None, next_ns=None)
    next_ns = None if end.next_ns is None else end.next_ns - origin_ns
    return replace(end, time_ns=end.time_ns - origin_ns, next_ns=next_ns)


@contextmanager
def _unless_refused(what: str) -> Iterator[None]:
    """Go on when the disk refuses a file: what is missing is found when the run is judged."""
    try:
        yield
    except OSError as error:
        log.warning("%s could not be written: %s", what, error)


@contextmanager
def _signals_cancel() -> Iterator[None]:
    """
    Let SIGTERM, and SIGHUP of a terminal that goes away, end the run as Ctrl-C does: everything is
    healed, and what was recorded is judged.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None

    def cancel(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = {}
    with suppress(ValueError):  # Not the main thread, which alone handles signals.
        for number in _ENDING:
            before[number] = signal.signal(number, cancel)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
