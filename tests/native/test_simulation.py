"""The simulator of real libraries is exact, its faults take hold, and its invariants can fail."""

from __future__ import annotations

import contextlib
import json
import random
import re
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from dissever.harness.missing import Missing
from dissever.systems.raft import libraries

from . import simulator_driver as frames
from .simulator_driver import NS_PER_MS, Client, Ended, Simulator, storm

FAST = {
    "election_ms": 300,
    "heartbeat_ms": 30,
    "snapshot_threshold": 32,
    "snapshot_trailing": 8,
    "straggler": 0,
}
"""Times and sizes that no deployment has, so that much happens in little virtual time."""

VARIANTS = ("raft-0.15.0", "raft-0.22.1", "raft-1.18.7")
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror")


@cache
def program(variant: str, *flags: str) -> Path:
    found = libraries.simulator(variant, flags=flags)
    if isinstance(found, Missing):
        if "not to be had" not in found.reason:
            pytest.fail(found.reason)
        pytest.skip(found.reason)
    return found


def simulator(
    seed: int = 1, servers: int = 3, variant: str = "raft-0.15.0", **more: object
) -> Simulator:
    return Simulator(program(variant), seed, servers, **FAST | more)


def elected(seed: int = 1, servers: int = 3, **more: object) -> tuple[Simulator, Client]:
    """A cluster with a leader, and a client that is connected to it."""
    found = simulator(seed, servers, **more)
    found.start()
    client = Client(found)
    assert client.connect(found.await_leader())
    return found, client


# What it runs


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_was_written_is_read_and_all_servers_end_in_one_state(variant: str) -> None:
    with elected(variant=variant)[0] as cluster:
        client = Client(cluster)
        client.connect(cluster.await_leader())
        written = [client.write(key % 5, key) for key in range(100)]
        read = [client.read(key) for key in range(6)]
        cas = [client.call(frames.CAS, "Iqq", 0, 95, 7), client.call(frames.CAS, "Iqq", 0, 95, 8)]
        for value in (3, 1, 2):
            client.call(frames.ADD, "q", value)
        elements = client.call(frames.ELEMENTS)
        cluster.run(500)
        looks = [cluster.look(node) for node in range(3)]

        assert all(written)
        assert read == [95, 96, 97, 98, 99, None]
        assert [answer and answer[1].take("B") for answer in cas] == [1, 0]
        assert elements is not None
        assert elements[1].take("I3q") == (3, 3, 1, 2)
        assert len({(look.applied, look.digest) for look in looks}) == 1
        assert all(look.snapshot > 0 for look in looks)
        assert looks[0].members == {0: 1, 1: 1, 2: 1}
        assert not cluster.violations


def test_a_local_read_is_answered_by_a_leader_alone() -> None:
    cluster, client = elected()
    with cluster:
        client.write(1, 5)
        local = client.call(frames.LOCAL_READ, "I", 1)
        follower = Client(cluster)
        follower.connect((cluster.await_leader() + 1) % 3)
        refused = follower.call(frames.LOCAL_READ, "I", 1)
        through_the_log = follower.call(frames.READ, "I", 1)

        assert local is not None
        assert (local[0], *local[1].take("Bq")) == (0, 1, 5)
        for answer in (refused, through_the_log):
            assert answer is not None
            status, fields = answer
            assert (status, fields.take("HB")) == (1, (7, cluster.leader()))
            assert "leader" in fields.text()


# Exactness


def digest(seed: int, variant: str = "raft-0.15.0") -> tuple[object, ...]:
    with simulator(seed, 5, variant) as cluster:
        storm(cluster, seed, 6, "ckpslwtd")
        said = [(kind, time, fields.content) for kind, time, fields in cluster.said]
        return cluster.end()["hash"], said, cluster.exits, cluster.violations


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_seed_is_the_same_run_in_another_process_and_another_order(variant: str) -> None:
    first = {seed: digest(seed, variant) for seed in (1, 2, 3)}
    again = {seed: digest(seed, variant) for seed in (3, 1, 2)}

    assert again == first
    assert len({found[0] for found in first.values()}) == 3


def test_a_new_seed_changes_what_comes_after_it_and_nothing_before() -> None:
    def lines(seed: int | None) -> tuple[list[bytes], int]:
        cluster, client = elected(trace=1)
        with cluster:
            client.write(1, 1)
            before = len(cluster.trace)
            if seed is not None:
                cluster.do(frames.RESEED, "Q", seed)
            for value in range(20):
                client.write(1, value)
            return cluster.trace, before

    plain, before = lines(None)
    other, _ = lines(5)

    assert other[:before] == plain[:before]
    assert other[before:] != plain[before:]
    assert lines(5)[0] == other


# Faults


def test_what_was_acknowledged_survives_the_power_failure_of_all() -> None:
    cluster, client = elected()
    with cluster:
        for value in range(40):
            assert client.write(value % 3, value)
        for node in range(3):
            cluster.kill(node, power=True)
        cluster.start()
        client.connect(cluster.await_leader())

        assert [client.read(key) for key in range(3)] == [39, 37, 38]
        assert [cluster.look(node).incarnation for node in range(3)] == [2, 2, 2]
        assert not cluster.violations


def test_unsynced_writes_are_lost_when_the_power_fails_and_a_part_of_them_when_killed() -> None:
    def crashed(seed: int, power: bool) -> tuple[int, int]:
        cluster, client = elected(seed, disk_us_min=50000, disk_us_max=50000)
        with cluster:
            leader = cluster.await_leader()
            for value in range(10):
                client.ask(frames.WRITE, "Iq", 1, value)
            cluster.run(5)
            return cluster.kill(leader, power=power)

    by_power = [crashed(seed, True) for seed in range(3)]
    by_kill = [crashed(seed, False) for seed in range(12)]

    assert all(lost > 0 and kept == 0 for lost, kept in by_power)
    assert {kept for _, kept in by_kill} > {0}


def test_a_paused_server_does_nothing_and_catches_up() -> None:
    cluster, client = elected()
    with cluster:
        follower = (cluster.await_leader() + 1) % 3
        cluster.do(frames.PAUSE, "B", follower)
        before = cluster.look(follower)
        for value in range(5):
            assert client.write(1, value)
        paused = cluster.look(follower)
        cluster.do(frames.RESUME, "B", follower)
        cluster.run(200)

        assert paused.running == 2
        assert paused.applied == before.applied
        assert cluster.look(follower).applied >= before.applied + 5


def test_a_paused_server_s_kernel_accepts_and_its_process_answers_later() -> None:
    cluster, _ = elected()
    with cluster:
        leader = cluster.await_leader()
        cluster.do(frames.PAUSE, "B", leader)
        other = Client(cluster)
        is_connected = other.connect(leader)
        answer = other.call(frames.LOCAL_READ, "I", 1, limit_ms=100)
        cluster.do(frames.RESUME, "B", leader)
        cluster.run(50)

        assert is_connected
        assert answer is None
        assert [kind for kind, _, _ in cluster.said] == [frames.RECEIVED]


def test_a_cut_holds_in_one_direction_alone() -> None:
    with simulator() as cluster:
        cluster.cut((0, 1))
        for source, destination in [(0, 1), (1, 0), (0, 2)]:
            cluster.do(frames.PROBE, "BB", source, destination)
        cluster.run(100)
        arrived = {fields.take("BB") for kind, _, fields in cluster.said if kind == frames.ARRIVED}

        assert arrived == {(1, 0), (0, 2)}
        assert cluster.traffic() == {(0, 1): (1, 0, 0, 0, 0, 0, 1)}


@pytest.mark.parametrize(
    ("impairment", "column", "share"),
    [
        ((0.3, 1, 0, 0, 0, 0, 0, 0, 0, 400), 1, 0.3),
        ((0.3, 5, 0, 0, 0, 0, 0, 0, 0, 400), 1, 0.3),
        ((0, 1, 0, 0, 0.3, 0, 0, 0, 0, 400), 2, 0.3),
        ((0, 1, 0, 0, 0, 0.3, 40, 0, 0, 400), 3, 0.3),
        ((0, 1, 0, 0, 0, 0, 0, 0.3, 0, 400), 4, 0.3),
        ((0, 1, 20, 5, 0, 0, 0, 0, 0, 400), 5, 1.0),
    ],
)
def test_an_impairment_strikes_its_share_of_packets(
    impairment: tuple[float, ...], column: int, share: float
) -> None:
    with simulator() as cluster:
        cluster.impair({(0, 1): impairment})
        for _ in range(1000):
            cluster.do(frames.PROBE, "BB", 0, 1)
        cluster.run(2000)
        traffic = cluster.traffic()[0, 1]
        times = [time for kind, time, _ in cluster.said if kind == frames.ARRIVED]

        assert traffic[0] == 1000
        assert traffic[column] == pytest.approx(1000 * share, abs=100)
        assert len(times) == 1000 - traffic[1] + traffic[2] - traffic[4]


def test_a_rate_spaces_packets_and_a_full_queue_drops_them() -> None:
    with simulator() as cluster:
        cluster.impair({(0, 1): (0, 1, 0, 0, 0, 0, 0, 0, 100, 50)})  # 1000 B take 10 ms.
        for _ in range(10):
            cluster.do(frames.PROBE, "BB", 0, 1)
        cluster.run(1000)
        times = [time for kind, time, _ in cluster.said if kind == frames.ARRIVED]

        assert len(times) == 6
        assert 50 * NS_PER_MS <= times[-1] - times[0] + 10 * NS_PER_MS <= 70 * NS_PER_MS
        assert cluster.traffic()[0, 1][1] == 4


@pytest.mark.parametrize(("kind", "call"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
def test_a_disk_fails_as_its_rule_says_and_hits_are_counted(kind: int, call: int) -> None:
    cluster, client = elected(pre_vote=0)
    with cluster:
        follower = (cluster.await_leader() + 1) % 3
        cluster.rule(follower, "bad", kind, call)
        if call == 2:
            cluster.isolate(follower)  # It asks for votes, and cannot store its own.
        for value in range(40):
            client.write(1, value)
        cluster.run(1000)
        hits = cluster.do(frames.DISK_HITS, "B", follower)
        assert hits.take("H") == 1
        assert hits.text() == "bad"
        assert hits.take("Q") > 0
        cluster.rule(follower, "bad", on=False)
        assert cluster.do(frames.DISK_HITS, "B", follower).take("H") == 0


def test_a_slow_disk_delays_and_loses_nothing() -> None:
    cluster, client = elected()
    with cluster:
        for node in range(3):
            cluster.rule(node, "slow", 0, 1, ms=100)
        begun = cluster.now
        assert client.write(1, 1)
        assert 100 * NS_PER_MS <= cluster.now - begun < 250 * NS_PER_MS


def test_a_clock_that_goes_fast_asks_for_votes_first_and_its_offset_is_measured() -> None:
    for seed in range(5):
        with simulator(seed) as cluster:
            cluster.do(frames.CLOCK, "Bdd", 1, 2.5, 10.0)
            cluster.start()
            cluster.run(100)
            offset = cluster.do(frames.CLOCK_LOOK, "B", 1).take("d")

            assert cluster.leader() == 1
            assert offset == pytest.approx(2.5 + 0.1 * 9)


def test_members_leave_come_back_and_leadership_is_handed_over() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        member = (leader + 1) % 3

        def change(number: int, what: int, role: int = 0) -> int:
            cluster.do(frames.CHANGE, "IBBBB", number, leader, what, member, role)
            cluster.run(1500)
            found = [
                fields.take("II") for kind, _, fields in cluster.said if kind == frames.CHANGED
            ]
            assert [done for done, _ in found] == [number]
            cluster.said.clear()
            return found[0][1]

        removed, without = change(1, 1), cluster.look(leader).members
        added = change(2, 0), change(3, 2, 1)
        client.write(1, 1)
        handed_over = change(4, 3)

        assert (removed, added, handed_over) == (0, (0, 0), 0)
        assert sorted(without) == sorted({0, 1, 2} - {member})
        assert cluster.leader() == member
        assert cluster.look(member).members == {0: 1, 1: 1, 2: 1}


def test_a_change_is_answered_when_its_process_ends() -> None:
    cluster, _ = elected()
    with cluster:
        leader = cluster.await_leader()
        cluster.isolate(leader)
        cluster.do(frames.CHANGE, "IBBBB", 1, leader, 1, (leader + 1) % 3, 0)
        cluster.run(1)
        cluster.kill(leader)
        cluster.run(1)

        (answer,) = [fields for kind, _, fields in cluster.said if kind == frames.CHANGED]
        assert answer.take("II") == (1, 0xFFFFFFFF)
        assert answer.text() == "the process ended"


def test_a_server_that_is_wiped_is_another_one_with_an_empty_disk() -> None:
    cluster, client = elected()
    with cluster:
        client.write(1, 1)
        node = (cluster.await_leader() + 1) % 3
        answer, why = cluster.ask(frames.WIPE, bytes([node]))
        cluster.kill(node)
        cluster.do(frames.WIPE, "B", node)
        look = cluster.look(node)

        assert (answer, why.text()) == (frames.REFUSED, "the server runs")
        assert (look.term, look.last, look.first) == (0, 0, 1)


def test_an_allocation_fails_once_and_is_counted() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        assert client.write(1, 0)
        cluster.do(frames.ALLOCATION, "BQ", leader, 1)
        first = client.call(frames.WRITE, "Iq", 1, 1)
        failed = cluster.do(frames.ALLOCATIONS, "B", leader).take("Q")
        second = client.write(1, 2)

        assert first is not None
        assert (first[0], first[1].take("H")) == (1, 1)
        assert failed == 1
        assert second


def test_a_server_that_is_asked_to_end_does_so_with_status_0() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        client.ask(frames.WRITE, "Iq", 1, 1)
        cluster.do(frames.STOP, "B", leader)
        cluster.run(1000)

        assert cluster.exits == [(leader, 0)]
        assert cluster.look(leader).running == 0
        assert [kind for kind, _, _ in cluster.said][-1] == frames.CLOSED


# Invariants, each seen to fail


def write_much(cluster: Simulator) -> None:
    client = Client(cluster)
    client.connect(cluster.await_leader())
    for value in range(20):
        client.write(1, value)


def leave_one_behind(cluster: Simulator) -> None:
    """A follower misses more than the log keeps, and is sent a snapshot."""
    follower = (cluster.await_leader() + 1) % 3
    cluster.isolate(follower)
    for _ in range(5):
        write_much(cluster)
    cluster.cut()
    cluster.run(2000)


def one_that_lacks_entries_leads(cluster: Simulator) -> None:
    leader = cluster.await_leader()
    follower = (leader + 1) % 3
    cluster.isolate(follower)
    write_much(cluster)
    cluster.cut()
    cluster.kill((follower + 1) % 3)
    cluster.cut(*((node, follower) for node in range(3) if node != follower and node != leader))
    cluster.kill(leader)
    cluster.start(leader)
    cluster.run(5000)


def nothing(cluster: Simulator) -> None:
    cluster.run(3000)


@pytest.mark.parametrize(
    ("mutant", "scenario", "broken"),
    [
        ("lose-acknowledged", write_much, {"stored-index", "durability"}),
        ("forget-vote", nothing, {"vote-not-stored"}),
        ("forget-term", nothing, {"term-not-stored"}),
        ("alter-entry", write_much, {"log-matching", "state-machine-safety"}),
        ("alter-snapshot", leave_one_behind, {"snapshot-differs"}),
        ("any-vote", one_that_lacks_entries_leads, {"leader-completeness"}),
        ("commit-back", write_much, {"commit-goes-back"}),
        ("free-twice", write_much, {"memory-safety"}),
        ("send-to-nobody", nothing, {"send-to-nobody"}),
    ],
)
def test_an_invariant_is_broken_by_what_breaks_it_and_by_nothing_else(
    mutant: str, scenario: Callable[[Simulator], None], broken: set[str]
) -> None:
    def violated(name: str) -> set[str]:
        for seed in range(6):
            with simulator(seed, **{"break": name}) as cluster:
                cluster.start()
                with contextlib.suppress(AssertionError, Ended):  # It may not work at all.
                    scenario(cluster)
                if broken <= (found := {name for name, _, _ in cluster.violations}):
                    return found
        return found

    assert violated(mutant) >= broken
    assert violated("nothing") == set()


def test_two_leaders_of_one_term_are_a_violation() -> None:
    found = set()
    for seed in range(20):
        options = {
            "break": "any-vote",
            "pre_vote": 0,
            "latency_us_min": 9000,
            "latency_us_max": 9000,
        }
        with simulator(seed, 5, **options) as cluster:
            cluster.start()
            with contextlib.suppress(Ended):  # A library may not survive it.
                cluster.run(3000)
            found |= {name for name, _, _ in cluster.violations}

    assert "election-safety" in found


# The end of a process, and of the simulator


def test_a_crash_in_a_server_s_code_is_said_and_ends_the_simulator() -> None:
    cluster, client = elected(**{"break": "crash"})
    with pytest.raises(Ended):
        client.call(frames.ADD, "q", 1)
    errors = cluster.close()

    assert [status for _, status in cluster.exits] == [-11]
    assert cluster.process.returncode == 0
    assert errors.startswith(f"n{cluster.exits[0][0] + 1}: ended by signal 11")


def test_the_simulator_ends_with_the_harness() -> None:
    cluster = simulator()
    cluster.start()

    assert cluster.close() == ""
    assert cluster.process.returncode == 0


# What comes in


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"no_such": 1}, "option no_such=1: there is no such option"),
        ({"election_ms": -1}, "option election_ms=-1: it must be a whole number within its limits"),
        ({"straggler": 2}, "option straggler=2: it must be a share, from 0 to 1"),
        ({"bootstrap": "x"}, "option bootstrap=x: it is `all` or `first`"),
        ({"heartbeat_ms": 300}, "heartbeat_ms must be less than election_ms"),
        ({"break": "x"}, "option break=x: there is no such way to break it"),
        ({"address.0": "x"}, "option address.0=x: there is no server of that number"),
    ],
)
def test_an_option_that_is_wrong_is_refused_in_words(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        simulator(**options)


def test_frames_that_are_wrong_are_refused_and_change_nothing() -> None:
    with simulator() as cluster:
        cluster.start()
        for kind in [*range(9, 60), 77, 200, 255]:
            answer, _ = cluster.ask(kind, b"\xff" * 5)
            assert answer == frames.REFUSED, kind
        rng = random.Random(7)
        for _ in range(2000):
            kind = rng.choice([kind for kind in range(60) if kind not in (2, 4)])
            cluster.ask(kind, rng.randbytes(rng.randrange(40)))
        cluster.run(10)


@pytest.mark.parametrize("header", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\x7f"])
def test_what_is_no_frame_ends_the_simulator_with_status_2(header: bytes) -> None:
    done = subprocess.run(
        [program("raft-0.15.0")], input=header, capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert b"bytes came: 1 to 67108864 can be" in done.stderr


@pytest.mark.parametrize("garbage", [b"\xff" * 100, b"\x05\0\0\0" + b"\x09" * 5, b"\0" * 8])
def test_a_client_that_sends_garbage_is_closed_and_the_server_goes_on(garbage: bytes) -> None:
    cluster, client = elected()
    with cluster:
        other = Client(cluster)
        other.connect(cluster.await_leader())
        cluster.do(frames.SEND, f"II{len(garbage)}s", other.number, len(garbage), garbage)
        cluster.run(100)

        (closed,) = [fields for kind, _, fields in cluster.said if kind == frames.CLOSED]
        assert closed.take("IB") == (other.number, 0)
        assert client.write(1, 1)


def test_frames_may_come_in_one_piece_or_byte_by_byte() -> None:
    words = struct.pack("<QBH", 1, 3, 0)
    pieces = [(frames.BEGIN, words), *((frames.START, bytes([node])) for node in range(3))]
    pieces += [(frames.ADVANCE, struct.pack("<Q", 10 * NS_PER_MS)), (frames.END, b"")]
    whole = b"".join(struct.pack("<IB", len(body) + 1, kind) + body for kind, body in pieces)

    def answers(size: int) -> bytes:
        with subprocess.Popen(
            [program("raft-0.15.0")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for at in range(0, len(whole), size):
                process.stdin.write(whole[at : at + size])
                process.stdin.flush()
            process.stdin.close()
            return process.stdout.read()

    assert answers(1) == answers(len(whole))


# What it tells


def test_the_trace_has_the_lines_that_reports_read() -> None:
    with simulator(trace=1) as cluster:
        storm(cluster, 3, 8, "ckw")
        cluster.end()
    lines = [json.loads(line) for line in cluster.trace]
    kinds = {line["kind"]: set(line) for line in lines}
    sent = {line["id"] for line in lines if line["kind"] == "send"}

    assert kinds["send"] == {"time", "kind", "id", "from", "to", "what", "term", "text"}
    assert kinds["receive"] == {"time", "kind", "id"}
    assert kinds["lost"] == {"time", "kind", "id", "why"}
    assert kinds["synced"] == {"time", "kind", "node", "to"}
    assert kinds["snapshot"] == {"time", "kind", "node", "index", "how"}
    assert kinds["server"] == {
        *("time", "kind", "node", "role", "term", "vote", "leader"),
        *("first", "last", "stored", "commit", "applied", "snapshot"),
    }
    assert {line["id"] for line in lines if line["kind"] in ("receive", "lost")} <= sent
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {line["why"] for line in lines if line["kind"] == "lost"} <= {
        "cut",
        "loss",
        "down",
        "late",
    }


# Its own code


def test_it_compiles_without_warnings() -> None:
    program("raft-0.15.0", *WARNINGS)


def test_sanitizers_find_nothing_in_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    found = libraries.simulator("raft-1.18.7", flags=flags)
    if isinstance(found, Missing):
        pytest.skip(found.reason)
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    for seed in range(3):
        with Simulator(found, seed, 5, **FAST, trace=1) as cluster:
            storm(cluster, seed, 6, "ckpslwtd")
            cluster.end()
            assert cluster.close() == ""
            assert cluster.process.returncode == 0
