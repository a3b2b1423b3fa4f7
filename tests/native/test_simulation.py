"""The simulator of real libraries is exact, its faults take hold, and its invariants can fail."""

from __future__ import annotations

import contextlib
import json
import random
import re
import struct
import subprocess
from collections.abc import Callable

import pytest

from dissever.harness.missing import Missing
from dissever.systems.raft import libraries

from . import simulator_driver as frames
from .simulator_driver import (
    NS_PER_MS,
    Client,
    Ended,
    Simulator,
    elected,
    program,
    simulator,
    storm,
)

VARIANTS = ("raft-0.15.0", "raft-0.22.1", "raft-1.18.7")
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror")


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


def test_a_seed_is_the_same_run_whatever_a_compiler_makes_of_our_code() -> None:
    """libraft 0.22.1 sends a field that it never set: what lay on the stack before."""

    def trace(seed: int, *flags: str) -> list[bytes]:
        built = program("raft-0.22.1", *flags)
        with Simulator(built, seed, 5, **frames.FAST, trace=1) as cluster:
            storm(cluster, seed, 6, "cp")
            return cluster.trace

    unset = str(0xAAAAAAAAAAAAAAAA).encode()
    for seed in (10, 13, 14):
        plain = trace(seed)
        assert any(unset in line for line in plain)
        assert trace(seed, "-O0") == plain


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


def test_who_leads_a_term_that_has_passed_need_not_have_what_came_later() -> None:
    """A candidate is paused before it reads its votes, and counts them after the next election."""

    def late_leader(seed: int) -> set[str] | None:
        options = {"pre_vote": 0, "latency_us_min": 9000, "latency_us_max": 9000, "trace": 1}
        with simulator(seed, **options) as cluster:
            cluster.start()
            while not (asking := [n for n in range(3) if cluster.look(n).role == 2]):
                cluster.run(1)
            cluster.do(frames.PAUSE, "B", asking[0])
            cluster.run(3000)
            if cluster.look(leader := cluster.await_leader()).term == cluster.look(asking[0]).term:
                return None
            client = Client(cluster)
            client.connect(leader)
            assert client.write(1, 1)
            cluster.do(frames.RESUME, "B", asking[0])
            cluster.run(1000)
            led = f'"node": "n{asking[0] + 1}", "role": "leader"'.encode()
            return (
                {name for name, _, _ in cluster.violations}
                if any(led in line for line in cluster.trace)
                else None
            )

    found = [broken for seed in range(10) if (broken := late_leader(seed)) is not None]

    assert found
    assert not set().union(*found)


def test_a_violation_at_an_index_shows_what_the_logs_hold_there() -> None:
    with simulator(1, **{"break": "alter-entry"}) as cluster:
        cluster.start()
        with contextlib.suppress(AssertionError):
            write_much(cluster)
        named = [name for name, _, _ in cluster.violations].index("log-matching")
        details = json.loads(cluster.details[named])

    logs = details["logs"]
    entries = {node: {entry[0]: entry[1:] for entry in log} for node, log in logs.items()}
    assert set(logs) == {"n1", "n2", "n3"}
    assert len(details["nodes"]) >= 2
    held = [entries[node][details["index"]] for node in details["nodes"]]
    assert held[0] != held[1]
    assert held[0][1].startswith("write 1 ")


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
        with Simulator(found, seed, 5, **frames.FAST, trace=1) as cluster:
            storm(cluster, seed, 6, "ckpslwtd")
            cluster.end()
            said = cluster.close().splitlines()
            assert [line for line in said if "fully support makecontext" not in line] == []
            assert cluster.process.returncode == 0
