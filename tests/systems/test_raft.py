"""The system `raft` on a simulator that is a fake: its stores, its nodes from outside, its runs."""

import asyncio
import re
import stat
import struct
import sys
from functools import cache
from pathlib import Path
from random import Random

import pytest

from dissever import running
from dissever.harness import clock, store
from dissever.harness.client import NotApplied
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.runner import CannotRun
from dissever.harness.system import Role, Unseen, checked
from dissever.native import simulation
from dissever.systems.raft import calls, options, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.system import RaftSystem
from dissever.workloads import WORKLOADS

FAKE = Path(__file__).parents[1] / "harness" / "cluster" / "fake_simulator.py"
NODES = ("n1", "n2", "n3")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts the fake in the place of the simulator; it may be told how to misbehave."""

    def fake(*arguments):
        program = tmp_path / "simulator"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {FAKE} {' '.join(arguments)}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(programs, "program", lambda *_, **__: program)

    fake()
    return fake


@pytest.fixture
def deployed(fake, tmp_path):
    """Runs a coroutine function of a deployment on the virtual clock."""

    def deployed(work, **given):
        asked = Options(system="raft", workload="register", nodes=NODES, backend=SIMULATED, **given)

        async def main():
            async with RaftSystem().deploy(asked, tmp_path, Random(1)) as deployment:
                return await work(deployment)

        return clock.run(main(), is_virtual=True)

    return deployed


def asked(**given) -> Options:
    return Options(
        system="raft",
        backend=SIMULATED,
        concurrency=3,
        rate=100,
        **{"nodes": NODES, "workload": "register", "time_limit_s": 6, "seed": 3, **given},
    )


@pytest.mark.parametrize("read", ["log", "local"])
def test_registers_read_what_was_written(deployed, read) -> None:
    async def work(deployment):
        registers = await deployment.open_store("registers", "n2")
        before = await registers.read(1)
        await registers.write(1, -5)
        done = await registers.compare_and_set(1, -5, 6), await registers.compare_and_set(1, 5, 7)
        after = await registers.read(1)
        await registers.close()
        return before, done, after

    assert deployed(work, system_options={"read": read}) == (None, (True, False), 6)


def test_a_set_holds_what_was_added(deployed) -> None:
    async def work(deployment):
        elements = await deployment.open_store("elements", "n3")
        await elements.add(4)
        await elements.add(2)
        return await elements.elements()

    assert deployed(work) == [4, 2]


def test_a_node_that_does_not_run_knows_no_leader_and_nothing_is_applied(deployed) -> None:
    async def work(deployment):
        await deployment.cluster.kill("n2")
        registers = await deployment.open_store("registers", "n2")
        with pytest.raises(NotApplied, match="n2 knows no leader"):
            await registers.write(1, 1)
        return await deployment.answers("n2"), await deployment.answers("n3")

    assert deployed(work) == (False, True)


def test_an_answer_that_is_lost_is_unknown_for_a_write_and_nothing_for_a_read(deployed) -> None:
    async def work(deployment):
        async def asks(request):
            registers = await deployment.open_store("registers", "n1")
            await registers.read(1)
            asking = asyncio.ensure_future(request(registers))
            await asyncio.sleep(0)
            await deployment.cluster.kill("n1")
            try:
                await asking
            finally:
                await deployment.cluster.start("n1")

        with pytest.raises(ConnectionResetError):
            await asks(lambda registers: registers.write(1, 1))
        with pytest.raises(NotApplied):
            await asks(lambda registers: registers.read(1))

    deployed(work)


def test_leaders_members_and_replicas_are_seen_from_outside(deployed) -> None:
    async def work(deployment):
        await deployment.cluster.pause("n1")
        await deployment.members.transfer("n3")
        return (
            await deployment.primaries(),
            await deployment.members.roles(),
            await deployment.replicas(),
            await deployment.snapshots(),
            await deployment.await_progress(("n1", "n3"), 5.0),
        )

    leaders, roles, replicas, snapshots, progress = deployed(work)

    assert leaders == ("n2",)
    assert roles == dict.fromkeys(NODES, Role.VOTER)
    assert isinstance(replicas["n1"], Unseen)
    assert replicas["n2"] == replicas["n3"]
    assert snapshots == dict.fromkeys(NODES, frozenset())
    assert progress == {"by": "n3"}


def test_each_way_to_break_servers_is_one_that_the_simulator_knows() -> None:
    source = Path(simulation.__file__).parent / "options.c"
    known = re.findall(r'\[MUTANT_\w+\] = "([a-z-]+)"', source.read_text(encoding="utf-8"))

    assert {*options.BREAKS, "nothing"} == set(known)


def test_the_simulator_takes_every_number_that_an_option_allows() -> None:
    source = (Path(simulation.__file__).parent / "options.c").read_text(encoding="utf-8")
    for name in ("election-ms", "heartbeat-ms", "snapshot-threshold", "snapshot-trailing"):
        row = re.search(rf'{{"{name.replace("-", "_")}", .*?, (\d+), (\w+ << \d+|\d+)}}', source)
        assert row is not None
        low, high = int(row[1]), row[2].replace("1u << 30", str(1 << 30))
        allowed = options.OPTIONS[name]
        assert low <= allowed.least <= allowed.most <= int(high), name


def test_options_become_settings_and_timings_that_no_deployment_has_say_so() -> None:
    given = {"timings": "exaggerated", "election-ms": 777, "pre-vote": "no"}
    settings = options.settings_of(
        checked(asked(system_options=given), RaftSystem()).system_options
    )

    assert settings["snapshot_threshold"] == "64"
    assert settings["election_ms"] == "777"
    assert settings["pre_vote"] == "0"
    assert set(options.settings_of(asked().system_options)) == {"bootstrap"}
    assert "no deployment has" in options.OPTIONS["timings"].description


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"system_options": {"election-ms": 100}}, "--heartbeat-ms 500 and --election-ms 100"),
        ({"nodes": tuple(f"n{i}" for i in range(1, 11))}, "1 to 9 nodes of raft, got 10"),
        ({"system_options": {"library": "0.15"}}, "did you mean 0.15.0"),
    ],
)
def test_options_that_make_no_cluster_are_refused_in_one_line(given, why) -> None:
    with pytest.raises(ValueError, match=why):
        checked(asked(**given), RaftSystem())


def test_what_is_missing_is_said_before_the_run(monkeypatch) -> None:
    asked_for = []

    def missing(variant, *, may_build):
        asked_for.append((variant, may_build))
        return Missing("no C compiler (cc)", "apt-get install gcc")

    monkeypatch.setattr(programs, "simulator", missing)
    monkeypatch.setattr(programs, "_found", cache(programs._found.__wrapped__))
    raft = RaftSystem()

    assert raft.probe() == Missing("no C compiler (cc)", "apt-get install gcc")
    assert raft.probe(asked(system_options={"library": "0.15.0"})) is not None
    assert raft.versions() == {}
    assert asked_for == [("raft-0.22.1", False), ("raft-0.15.0", True), ("raft-0.22.1", False)]


def test_a_cache_that_cannot_be_used_is_missing_and_no_crash(monkeypatch) -> None:
    def refuse(variant, *, may_build):
        raise PermissionError(13, "Permission denied", "/root/.cache")

    monkeypatch.setattr(programs, "simulator", refuse)
    monkeypatch.setattr(programs, "_found", cache(programs._found.__wrapped__))
    missing = RaftSystem().probe(asked(system_options={"library": "1.18.7"}))

    assert missing is not None
    assert missing.reason.startswith("the simulator raft-1.18.7 cannot be kept: [Errno 13]")


@pytest.mark.parametrize("workload", ["register", "set"])
def test_a_run_is_valid_and_its_history_is_the_same_to_the_byte_again(
    fake, tmp_path, workload
) -> None:
    faults = ("partition", "kill", "pause")
    run = asked(workload=workload, faults=faults, fault_interval_s=1)
    first, again = (running.run(run, runs=tmp_path / name) for name in ("1", "2"))

    assert first.judged.results.verdict is Verdict.VALID, first.judged.results
    assert (first.directory / store.HISTORY).read_bytes() == (
        again.directory / store.HISTORY
    ).read_bytes()
    assert (first.directory / store.SIMULATION).read_bytes() == (
        again.directory / store.SIMULATION
    ).read_bytes()


def test_a_crash_of_the_library_ends_the_run_and_accuses_the_node(fake, tmp_path) -> None:
    fake("--crash", "100")
    ended = running.run(asked(faults=("pause",)), runs=tmp_path / "runs")
    found = {each.checker: each for each in ended.judged.results.results}

    assert ended.interruption == "the simulation ended with n1, which crashed (SIGABRT)"
    assert found["nodes"].verdict is Verdict.INVALID
    assert found["nodes"].anomalies[0].name == "crash"
    assert len(ended.judged.history.operations) > 50
    assert (ended.directory / "nodes" / "n1" / "stderr-1.log").exists()


@pytest.mark.parametrize("how", ["--quit", "--garbage"])
def test_a_simulator_that_fails_makes_the_run_unknown_and_accuses_nobody(
    fake, tmp_path, how
) -> None:
    fake(how, "100")
    ended = running.run(asked(faults=("pause",)), runs=tmp_path / "runs")
    results = ended.judged.results

    assert results.verdict is Verdict.UNKNOWN, results
    assert ended.interruption.startswith("a part of the harness was lost: the simulator: it ")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_is_heard_while_a_simulator_is_stuck(fake, tmp_path, number) -> None:
    fake(f"--{number}", "100")
    ended = running.run(asked(faults=("pause",)), runs=tmp_path / "runs")
    results = ended.judged.results

    assert ended.interruption == "interrupted"
    assert results.verdict is Verdict.UNKNOWN, results
    assert len(ended.judged.history.operations) > 50


def test_a_second_signal_ends_a_run_whose_simulator_is_stuck_without_a_verdict(
    fake, tmp_path
) -> None:
    fake("--SIGINT-twice", "100")
    with pytest.raises(KeyboardInterrupt):
        running.run(asked(faults=("pause",)), runs=tmp_path / "runs")


def test_a_signal_is_heard_before_the_first_operation(fake, tmp_path) -> None:
    fake("--SIGINT", "1")
    with pytest.raises(CannotRun, match="interrupted before the first operation"):
        running.run(asked(), runs=tmp_path / "runs")


def link() -> tuple[Link, list[bytes]]:
    """A client's end of a connection, and what it has written."""
    written: list[bytes] = []

    class Wire(asyncio.Transport):
        def write(self, data):
            written.append(data)

        def abort(self):
            made.connection_lost(None)

    made = Link()
    made.connection_made(Wire())
    return made, written


def answer(status: int, fields: bytes, number: int = 1) -> bytes:
    body = struct.pack("<IB", number, status) + fields
    return struct.pack("<I", len(body)) + body


ANSWERS = {
    "too large": (b"\xff\xff\xff\xff", calls.BadAnswer),
    "too small": (b"\x01\0\0\0x", calls.BadAnswer),
    "no such status": (answer(9, bytes(5)), calls.BadAnswer),
    "an error that is cut": (answer(1, b"\0"), calls.BadAnswer),
    "failed": (answer(1, struct.pack("<HBH", 10, 0, 2) + b"no"), NotApplied),
    "unknown": (answer(2, struct.pack("<HBH", 11, 0, 2) + b"no"), calls.Unknown),
}


@pytest.mark.parametrize(("data", "error"), ANSWERS.values(), ids=ANSWERS)
def test_each_answer_that_is_no_success_is_an_error_of_its_kind(data, error) -> None:
    async def main():
        client, _ = link()
        asking = asyncio.ensure_future(client.ask(calls.write(1, 1)))
        await asyncio.sleep(0)
        client.data_received(data[:3])
        client.data_received(data[3:])
        await asking

    with pytest.raises(error):
        clock.run(main(), is_virtual=True)


@pytest.mark.parametrize(
    ("decode", "fields"),
    [
        (calls.value_of, b""),
        (calls.value_of, bytes(10)),
        (calls.is_done, b""),
        (calls.elements_of, b"\2\0\0\0" + bytes(8)),
        (calls.elements_of, b"\2"),
    ],
)
def test_what_does_not_fit_a_function_is_refused(decode, fields) -> None:
    with pytest.raises(calls.BadAnswer):
        decode(fields)


def test_workloads_of_registers_and_sets_are_served() -> None:
    assert {WORKLOADS[name].store for name in ("register", "set")} == set(RaftSystem.stores)
