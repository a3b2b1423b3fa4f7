"""The simulated system is correct under faults, and each of its bugs can be seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from dissever import running
from dissever.checkers import GrowOnlySet
from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.models import CAS_REGISTER
from dissever.harness import clock
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.history import History, Type
from dissever.harness.plan import Options
from dissever.harness.results import Budget, Verdict
from dissever.harness.system import checked
from dissever.systems.simulated import BUGS, SimulatedSystem

FAULTS = ("partition", "kill", "pause")

AT_ONCE = [name for name, bug in BUGS.items() if not bug.faults]
"""The bugs that need no fault."""


@pytest.fixture
def run(tmp_path):
    """A run of the whole system: its history."""

    def run(workload="register", *, seed=1, bug="", faults=(), time_limit_s=10.0, rate=100.0):
        options = Options(
            system="simulated",
            workload=workload,
            faults=tuple(faults),
            backend=SIMULATED,
            rate=rate,
            time_limit_s=time_limit_s,
            operation_limit_s=1,
            fault_interval_s=2,
            seed=seed,
            system_options={"bug": bug} if bug else {},
        )
        ended = running.run(options, runs=tmp_path)
        assert ended.interruption == ""
        return ended.judged.history

    return run


def linearizable(history: History) -> Verdict:
    return Linearizable(CAS_REGISTER)(history, Budget()).verdict


def types(history: History) -> Counter[Type]:
    return Counter(operation.type for operation in history.operations)


def final_read(history: History) -> list[int]:
    read = [o for o in history.operations if o.f == "read" and o.type is Type.OK][-1]
    return list(read.value)


@pytest.mark.parametrize("seed", range(30))
def test_registers_are_linearizable_under_faults(run, seed) -> None:
    history = run(seed=seed, faults=FAULTS)

    assert linearizable(history) is Verdict.VALID
    assert len(history.faults) > 4
    assert types(history)[Type.OK] > 500


def test_nothing_is_unknown_without_a_fault(run) -> None:
    counted = types(run(rate=200))

    assert counted[Type.INFO] == 0
    assert counted[Type.OK] > 1500


@pytest.mark.parametrize("seed", range(5))
def test_set_loses_nothing_under_faults(run, seed) -> None:
    history = run("set", seed=seed, faults=FAULTS)
    added = [o for o in history.operations if o.f == "add"]

    held = final_read(history)

    assert len(held) == len(set(held))
    assert set(held) >= {o.value for o in added if o.type is Type.OK}
    assert not set(held) & {o.value for o in added if o.type is Type.FAIL}


@pytest.mark.parametrize("bug", AT_ONCE)
@pytest.mark.parametrize("rate", [100, 200])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_bug_that_needs_no_fault_shows_in_the_registers(run, bug, rate, seed) -> None:
    assert linearizable(run(seed=seed, bug=bug, rate=rate)) is Verdict.INVALID


def _is_seen_stale(history: History) -> bool:
    """Whether a read lacks what was acknowledged, or read, before it was asked."""
    adds = [(o, {o.value}) for o in history.operations if o.f == "add" and o.type is Type.OK]
    reads = [(o, set(o.value)) for o in history.operations if o.f == "read" and o.type is Type.OK]
    return any(
        before.completion.time < read.invocation.time and not held <= found
        for read, found in reads
        for before, held in (*adds, *reads)
    )


@pytest.mark.parametrize("bug", ["stale-read", ""])
@pytest.mark.parametrize("faults", [(), ("partition", "kill")])
@pytest.mark.parametrize("seed", range(4))
def test_stale_reads_of_a_set_are_caught_wherever_there_are_some(run, bug, faults, seed) -> None:
    history = run("set", seed=seed, bug=bug, faults=faults)
    verdict = GrowOnlySet()(history, Budget()).verdict

    assert verdict is (Verdict.INVALID if _is_seen_stale(history) else Verdict.VALID)
    assert bug or verdict is Verdict.VALID


def test_lost_write_loses_elements(run) -> None:
    history = run("set", bug="lost-write")
    acknowledged = {o.value for o in history.operations if o.f == "add" and o.type is Type.OK}

    assert acknowledged - set(final_read(history))


def test_double_write_doubles_elements(run) -> None:
    held = final_read(run("set", bug="double-write"))

    assert len(held) > len(set(held))


def test_ready_waits_for_a_node_that_is_late_and_not_for_ever(tmp_path) -> None:
    async def main():
        options = Options(system="simulated", workload="register")
        async with SimulatedSystem().deploy(options, tmp_path, Random(1)) as deployment:
            await deployment.cluster.pause("n2")
            with pytest.raises(TimeoutError, match="not ready after 2 s: no answer from n2"):
                await deployment.await_ready(2)
            ready = asyncio.ensure_future(deployment.await_ready(5))
            await asyncio.sleep(1)
            await deployment.cluster.resume("n2")
            return await ready

    ready = clock.run(main(), is_virtual=True)

    assert ready["answering"] == ["n1", "n2", "n3", "n4", "n5"]
    assert ready["leader"] in ready["answering"]


def test_bug_that_there_is_not_is_refused() -> None:
    options = Options(
        system="simulated",
        workload="register",
        backend=SIMULATED,
        system_options={"bug": "rust"},
    )

    with pytest.raises(ValueError, match=r"expected a bug out of stale-read, .* got 'rust'"):
        checked(options, SimulatedSystem())
