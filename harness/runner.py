"""
The life of a run: deploy the system, interpret the generator, heal, and leave a history behind.

Judging is not part of it. It starts from the history on disk, so a run whose end failed, or whose
harness was killed, is judged like any other.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from dissever.harness import clock, store
from dissever.harness.bugs import Bug, bug_of, is_bug
from dissever.harness.client import Client, Nemesis, Prepares
from dissever.harness.cluster import Cluster, Processes
from dissever.harness.history import Event
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.journal import Journal
from dissever.harness.plan import Outcome, Plan, stream
from dissever.harness.recovery import Recovery
from dissever.harness.system import Deployment, System
from dissever.harness.vocabulary import RECOVERY

log = logging.getLogger(__name__)


PREPARED_LIMIT_S = 30.0

INTERRUPTED: Final = "interrupted"
"""Why a run ended that Ctrl-C or SIGTERM ended after its first operation."""


BUG: Final = "a mistake in the code"
"""Why a run ended that a `Bug` ended."""


class CannotRun(Exception):
    """The machine or the system does not let this run happen; the message says what would help."""


class Observer(Protocol):
    """Who watches a run, such as the live display."""

    def phase(self, name: str) -> None:
        """A new phase begins."""

    def event(self, event: Event) -> None:
        """Something was recorded."""


@dataclass(frozen=True, slots=True)
class Test:
    """
    A plan with everything that carries it out. `generator` stands for the whole of the run.

    `client` makes a client of a store of the system; `store` is the name of that store.
    """

    __test__ = False

    plan: Plan
    system: System
    generator: Any
    store: str
    client: Callable[[Any], Client]
    nemeses: Callable[[Deployment], Mapping[str, Nemesis]]


def execute(test: Test, run: Path, observer: Observer) -> Outcome:
    """
    Carry out a test; the history, the schedule and the nodes' logs are in the run directory then.

    Raises:
        CannotRun: When the system does not start, or a fault cannot be injected here.
        Bug: When the code of the system, the workload or a fault has a mistake.
    """
    try:
        outcome = clock.run(_execute(test, run, observer), is_virtual=test.system.is_virtual)
    except Exception as error:
        bug = bug_of(test.system.name, error) if is_bug(error) else error
        if not isinstance(bug, Bug):
            raise
        store.write_outcome(run, Outcome(f"{BUG}: {bug}"))
        if bug is error:
            raise
        raise bug from error
    store.write_outcome(run, outcome)
    return outcome


async def _execute(test: Test, run: Path, observer: Observer) -> Outcome:
    options = test.plan.options
    observer.phase("starting the nodes")
    directory = run / store.NODES
    directory.mkdir()
    interruption = ""
    with _sigterm_cancels():
        try:
            rng = stream(options.seed, "system")
            async with test.system.deploy(options, directory, rng) as deployment:
                interruption = await _interpret(test, run, observer, deployment)
                observer.phase("stopping the nodes")
                _keep_exits(deployment.cluster)
        except asyncio.CancelledError:
            interruption = interruption or "interrupted before the first operation"
    return Outcome(interruption)


async def _interpret(test: Test, run: Path, observer: Observer, deployment: Deployment) -> str:
    """Run the generator; why it ended early, or nothing."""
    options = test.plan.options
    nemeses = dict(test.nemeses(deployment))
    for name, nemesis in nemeses.items():
        missing = nemesis.probe()
        if missing is not None:
            raise CannotRun(
                f"the fault {name} cannot be injected: {missing.reason}; {missing.remedy}"
            )
    await _prepare(nemeses, deployment, observer)
    nemeses[RECOVERY] = Recovery(deployment)

    async def open_client(node: str) -> Client:
        return test.client(await deployment.open_store(test.store, node))

    events: list[Event] = []
    with Journal(run / store.HISTORY) as journal:

        def record(event: Event) -> None:
            journal(event)
            events.append(event)
            observer.event(event)

        observer.phase("running")
        try:
            await interpret(
                test.generator,
                open_client=open_client,
                nodes=options.nodes,
                concurrency=options.concurrency,
                nemeses=nemeses,
                rng=stream(options.seed, "generator"),
                record=record,
                limits=TimeLimits(operation_s=options.operation_limit_s),
            )
        except asyncio.CancelledError:
            return INTERRUPTED
        except Bug:
            raise
        except Exception as error:  # Whatever ended it, what was recorded is judged.
            log.exception("the run ended early")
            return f"{type(error).__name__}: {error}"
        finally:
            store.write_schedule(run, events)
    return ""


async def _prepare(
    nemeses: Mapping[str, Nemesis], deployment: Deployment, observer: Observer
) -> None:
    """Have every fault put on the hosts what it needs, and wait for a system that it disturbed."""
    is_disturbed = False
    for name, nemesis in nemeses.items():
        if isinstance(nemesis, Prepares):
            observer.phase(f"preparing {name}")
            try:
                is_disturbed |= await nemesis.prepare()
            except OSError as error:
                reason = error.strerror or error
                raise CannotRun(f"the fault {name} cannot be prepared: {reason}") from error
    if is_disturbed:
        try:
            await deployment.await_ready(PREPARED_LIMIT_S)
        except TimeoutError as error:
            raise CannotRun(f"the system did not outlive the preparation: {error}") from error


def _keep_exits(cluster: Cluster) -> None:
    """Write how each node's processes ended to its folder; those that still run are left out."""
    if not isinstance(cluster, Processes):
        return
    for node in cluster.nodes:
        exits = [each for each in cluster.exits if each.node == node]
        directory = cluster.directory(node)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / store.EXITS).write_bytes(msgspec.json.encode(exits) + b"\n")


@contextmanager
def _sigterm_cancels() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does: everything is healed, and what there is is judged."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None

    def cancel(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    try:
        before = signal.signal(signal.SIGTERM, cancel)
    except ValueError:  # Not the main thread, which alone handles signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
