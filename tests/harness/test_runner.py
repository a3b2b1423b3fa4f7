"""The life of a run, with the simulated system and with one on the real clock."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dissever.harness import store
from dissever.harness.client import Invocation
from dissever.harness.cluster import ClusterLost, Exit
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.generator import (
    any_of,
    clients,
    cycle,
    delay,
    nemesis,
    phases,
    rate,
    time_limit,
)
from dissever.harness.history import Event, Type
from dissever.harness.missing import Missing
from dissever.harness.plan import Options, Plan
from dissever.harness.reader import read_history
from dissever.harness.runner import RECOVERY, CannotRun, Test, execute
from dissever.harness.vocabulary import READY
from dissever.harness.waiting import waiting
from dissever.systems.simulated import SimulatedSystem
from dissever.workloads.register import WORKLOAD as REGISTER

FILES = {store.HISTORY, store.SCHEDULE, store.NODES}


class Striker:
    """One nemesis for everything: cut, kill and pause a drawn node, and undo it all."""

    def __init__(self, deployment, is_missing=False):
        self.cluster = deployment.cluster
        self.is_missing = is_missing

    def probe(self):
        return Missing("no axe", "buy one") if self.is_missing else None

    async def invoke(self, invocation):
        node = invocation.value
        others = frozenset(self.cluster.nodes) - {node}
        if invocation.f == "cut":
            await self.cluster.drop(
                {node: others, **{other: frozenset({node}) for other in others}}
            )
        elif invocation.f == "heal":
            await self.heal()
        else:
            await getattr(self.cluster, invocation.f)(node)
        return invocation.info()

    async def heal(self):
        await self.cluster.drop({})
        for node in self.cluster.nodes:
            await self.cluster.resume(node)
            await self.cluster.start(node)


class Silent:
    """An observer that keeps the phases, and does something at an event if asked to."""

    def __init__(self, at_event=None):
        self.phases = []
        self.at_event = at_event

    def phase(self, name):
        self.phases.append(name)

    def event(self, event):
        if self.at_event is not None:
            self.at_event(event)


def strikes(context):
    """A fault on a drawn node."""
    f, node = context.rng.choice(("cut", "kill", "pause")), context.rng.choice("12345")
    return [Invocation(f, f"n{node}"), Invocation("heal", "")]


def make_test(seed=1, *, is_missing=False, time_limit_s=5.0, bug=""):
    options = Options(
        system="simulated",
        workload="register",
        backend=SIMULATED,
        rate=100,
        time_limit_s=time_limit_s,
        operation_limit_s=1,
        seed=seed,
        system_options={"bug": bug} if bug else {},
    )
    work = any_of(
        clients(rate(options.rate, REGISTER.operations(options))),
        nemesis(delay(0.4, cycle(strikes))),
    )
    return Test(
        plan=Plan(options=options, command="", started=""),
        system=SimulatedSystem(),
        generator=phases(
            time_limit(options.time_limit_s, work),
            Invocation("heal", process="strike"),
            Invocation(READY, process=RECOVERY),
        ),
        store=REGISTER.store,
        client=REGISTER.client,
        nemeses=lambda deployment: {"strike": Striker(deployment, is_missing)},
    )


def test_run_leaves_its_files_behind(tmp_path) -> None:
    observer = Silent()
    outcome = execute(make_test(), tmp_path, observer)
    history = read_history(tmp_path / store.HISTORY).history
    schedule = (tmp_path / store.SCHEDULE).read_bytes().splitlines()

    assert outcome.interruption == ""
    assert {path.name for path in tmp_path.iterdir()} >= FILES
    assert len(history.operations) > 300
    assert [msgspec.json.decode(line, type=Event) for line in schedule] == [
        event for event in history if not event.is_client
    ]
    assert history.faults[-1].process == RECOVERY
    recovered = history.faults[-1].completion.value
    assert recovered["answering"] == [f"n{i}" for i in range(1, 6)]
    assert recovered["evidence"] == {"held": True}
    assert observer.phases == ["starting the nodes", "running", "stopping the nodes"]
    assert {node.name for node in (tmp_path / store.NODES).iterdir()} == {
        f"n{i}" for i in range(1, 6)
    }


def test_fault_that_cannot_be_injected_is_reported_before_anything_runs(tmp_path) -> None:
    with pytest.raises(CannotRun, match="the fault strike cannot be injected: no axe; buy one"):
        execute(make_test(is_missing=True), tmp_path, Silent())

    assert not (tmp_path / store.HISTORY).exists()


def test_run_that_fails_keeps_what_was_recorded(tmp_path) -> None:
    def fail(event):
        if event.index == 100:
            raise OSError("no screen")

    outcome = execute(make_test(), tmp_path, Silent(fail))

    assert outcome.interruption == "OSError: no screen"
    assert len(read_history(tmp_path / store.HISTORY).history) == 101
    assert {path.name for path in tmp_path.iterdir()} >= FILES


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_virtual_run_and_keeps_what_was_recorded(tmp_path, number) -> None:
    def interrupt(event):
        if event.index == 100:
            os.kill(os.getpid(), number)

    outcome = execute(make_test(time_limit_s=1000), tmp_path, Silent(interrupt))
    history = read_history(tmp_path / store.HISTORY).history

    assert outcome.interruption == "interrupted"
    assert 101 <= len(history) < 1000
    assert {path.name for path in tmp_path.iterdir()} >= FILES


REAL = """
import asyncio, sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from test_runner import RealSystem, make_real_test
from dissever.harness.runner import execute

class Loud:
    def phase(self, name):
        print(name, flush=True)
    def event(self, event):
        if event.index == 20:
            print("begun", flush=True)

outcome = execute(make_real_test(), Path(sys.argv[1]), Loud())
print("outcome", outcome.interruption, flush=True)
"""


class RealSystem:
    """No nodes, on the real clock: for signals."""

    name = "real"

    @asynccontextmanager
    async def deploy(self, options, directory, rng):
        yield self

    @property
    def cluster(self):
        return self

    nodes = ()
    exits = ()

    async def open_store(self, store, node):
        return self

    async def invoke(self, invocation):
        return invocation.ok()

    async def close(self):
        pass


class Loud:
    """A nemesis that prints when it is healed."""

    def probe(self):
        return None

    async def invoke(self, invocation):
        return invocation.info()

    async def heal(self):
        print("healed", flush=True)


def make_real_test():
    options = Options(system="real", workload="register", rate=500, time_limit_s=60)
    return Test(
        plan=Plan(options=options, command="", started=""),
        system=RealSystem(),
        generator=clients(rate(500, cycle(Invocation("read")))),
        store="registers",
        client=lambda store: store,
        nemeses=lambda _: {"loud": Loud()},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_heals_and_ends_a_real_run(tmp_path, number) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", REAL, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        assert "begun\n" in lines
        child.send_signal(number)
        rest = [line.strip() for line in lines]

    assert child.returncode == 0
    assert rest == ["healed", "stopping the nodes", "outcome interrupted"]
    history = read_history(tmp_path / store.HISTORY).history
    assert [e.index for e in history] == list(range(len(history)))
    assert {o.type for o in history.operations} >= {Type.OK}


REPLAY = """
import sys
from pathlib import Path
from test_runner import Silent, make_test
from dissever.harness.runner import execute

execute(make_test(int(sys.argv[2])), Path(sys.argv[1]), Silent())
"""


def test_same_seed_gives_the_same_bytes_in_every_process(tmp_path) -> None:
    written = []
    for hash_seed, seed in (("1", "7"), ("2", "7"), ("2", "8")):
        run = tmp_path / f"{hash_seed}-{seed}"
        run.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "PYTHONHASHSEED": hash_seed,
        }
        subprocess.run([sys.executable, "-c", REPLAY, str(run), seed], check=True, env=environment)
        written.append((run / store.HISTORY).read_bytes())

    assert written[0] == written[1]
    assert written[0] != written[2]
    assert b'"kill"' in written[0]
    assert b'"info"' in written[0]


def test_same_seed_gives_the_same_bytes_twice_in_one_process(tmp_path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        execute(make_test(3), tmp_path / name, Silent())

    histories = [(tmp_path / name / store.HISTORY).read_bytes() for name in ("first", "second")]

    assert histories[0] == histories[1]


def test_outcome_lists_what_the_run_left_behind(tmp_path) -> None:
    outcome = execute(make_test(), tmp_path, Silent())

    assert outcome.events == len(read_history(tmp_path / store.HISTORY).history)
    assert outcome.files.keys() >= {
        store.HISTORY,
        store.SCHEDULE,
        f"nodes/n1/{store.EXITS}",
    }
    assert list(store.damage(tmp_path, outcome.files)) == []
    assert store.read_outcome(tmp_path) == outcome


def test_outcome_says_how_long_the_start_took_and_what_was_waited_for(tmp_path) -> None:
    """Time passes on the virtual clock only, so the start takes what it sleeps."""
    test = make_test()

    class Slow:
        name = "slow"

        @asynccontextmanager
        async def deploy(self, options, directory, rng):
            async with test.system.deploy(options, directory, rng) as deployment:
                with waiting("waiting for a leader"):
                    await asyncio.sleep(3)
                await asyncio.sleep(1)
                yield deployment

    def started(name, system):
        (tmp_path / name).mkdir()
        return execute(replace(test, system=system), tmp_path / name, Silent()).start

    usual, slow = started("usual", test.system), started("slow", Slow())

    (waited,) = slow.waits
    # A turn of the virtual loop takes a nanosecond.
    assert slow.took_ns - usual.took_ns == pytest.approx(4_000_000_000, abs=1_000)
    assert waited.what == "waiting for a leader"
    assert waited.took_ns - usual.waits[0].took_ns == pytest.approx(3_000_000_000, abs=1_000)


def test_outcome_of_an_older_version_has_no_start(tmp_path) -> None:
    (tmp_path / store.OUTCOME).write_text('{"interruption":"","events":3}')

    assert store.read_outcome(tmp_path).start is None


def test_ends_of_nodes_are_stamped_with_the_time_of_the_run(tmp_path) -> None:
    execute(make_test(), tmp_path, Silent())
    history = read_history(tmp_path / store.HISTORY).history
    kills = [
        (each.invocation.time, each.completion.time, each.invocation.value)
        for each in history.faults
        if each.f == "kill"
    ]
    ends = [end for node in range(1, 6) for end in store.read_exits(tmp_path, f"n{node}")]

    assert ends
    for end in ends:
        assert any(node == end.node and a <= end.time_ns <= b for a, b, node in kills)


class Ending:
    """An observer that interrupts while the nodes are stopped."""

    def phase(self, name):
        if name == "stopping the nodes":
            os.kill(os.getpid(), signal.SIGINT)

    def event(self, event):
        pass


def test_interruption_while_nodes_are_stopped_does_not_deny_the_history(tmp_path) -> None:
    outcome = execute(make_test(), tmp_path, Ending())

    assert outcome.interruption == ""
    assert outcome.events == len(read_history(tmp_path / store.HISTORY).history) > 300
    assert list(store.damage(tmp_path, outcome.files)) == []


class Fragile(RealSystem):
    """A cluster of one node whose keeper may be gone: every question fails then."""

    nodes = ("n1",)

    def __init__(self):
        self.is_lost = False

    def directory(self, node):
        return self.folder / node

    @asynccontextmanager
    async def deploy(self, options, directory, rng):
        self.folder = directory
        yield self

    async def status(self, node):
        if self.is_lost:
            raise ClusterLost("the keeper ended with status -9")

    start = stop = kill = pause = resume = status


class Losing(Silent):
    """An observer at whose event the keeper is gone."""

    def __init__(self, system):
        super().__init__()
        self.system = system

    def event(self, event):
        if event.index == 50:
            self.system.is_lost = True


@pytest.mark.parametrize("time_limit_s", [30.0, 0.3])
def test_run_ends_when_a_part_of_the_harness_is_gone(tmp_path, time_limit_s) -> None:
    system = Fragile()
    test = make_real_test()
    work = time_limit(time_limit_s, test.generator)
    outcome = execute(replace(test, system=system, generator=work), tmp_path, Losing(system))

    assert outcome.interruption == (
        "a part of the harness was lost: the keeper ended with status -9"
    )
    assert 0 < outcome.lost_ns < 15_000_000_000


def test_end_of_a_node_is_told_in_the_time_of_the_run_on_a_real_clock(tmp_path) -> None:
    class Crashing(Fragile):
        ended = ()

        @property
        def exits(self):
            return self.ended

    class Watching(Silent):
        def event(self, event):
            if event.index == 50:
                system.ended = (Exit("n1", 1, -9, is_asked=False, time_ns=time.monotonic_ns()),)

    system = Crashing()
    test = make_real_test()
    short = replace(test, system=system, generator=time_limit(0.5, test.generator))
    execute(short, tmp_path, Watching())
    (end,) = store.read_exits(tmp_path, "n1")
    history = read_history(tmp_path / store.HISTORY).history

    assert history.events[30].time < end.time_ns < history.events[70].time


def test_nodes_that_cannot_be_stopped_do_not_deny_the_history(tmp_path) -> None:
    class Clinging(RealSystem):
        @asynccontextmanager
        async def deploy(self, options, directory, rng):
            yield self
            raise OSError("the bridge is stuck")

    test = make_real_test()
    short = replace(test, system=Clinging(), generator=time_limit(0.2, test.generator))
    outcome = execute(short, tmp_path, Silent())

    assert outcome.interruption == "the nodes could not be stopped: the bridge is stuck"
    assert len(read_history(tmp_path / store.HISTORY).history) == outcome.events > 0


def test_disk_that_is_full_ends_a_run_and_keeps_what_was_recorded(tmp_path, monkeypatch) -> None:
    def fill(event):
        if event.index == 100:
            monkeypatch.setattr(os, "write", refuse)
            monkeypatch.setattr(Path, "write_bytes", refuse)
            monkeypatch.setattr(Path, "replace", refuse)

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    outcome = execute(make_test(), tmp_path, Silent(fill))
    monkeypatch.undo()

    assert "No space left on device" in outcome.interruption
    assert len(read_history(tmp_path / store.HISTORY).history) == 101
    assert not (tmp_path / store.OUTCOME).exists()


def test_trace_that_the_disk_refuses_is_a_file_that_is_cut(tmp_path, monkeypatch) -> None:
    write = Path.write_bytes

    def refuse(path, content):
        if path.name != store.SIMULATION:
            return write(path, content)
        write(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    outcome = execute(make_test(), tmp_path, Silent())

    assert outcome.interruption == ""
    (damage,) = store.damage(tmp_path, store.read_outcome(tmp_path).files)
    assert damage.startswith(f"{store.SIMULATION} is cut: 100 of ")
