"""
Answers with a few bytes changed give an answer or a ProtocolError, soon, in little memory.

The suite takes some thousands. The million takes some minutes:

    DQLITE_MUTATED_FRAMES=1000000 pytest -s --timeout 7200 tests/dqlite/wire/test_mutated_frames.py
"""

import os
import resource
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from dqlite.errors import ProtocolError
from dqlite.values import Iso8601, UnixTime
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Member, Role, Rows
from dqlite.wire.session import FRAMES_A_STEP, Session, State
from dqlite.wire.tuples import STEP_VALUES

COUNT = int(os.environ.get("DQLITE_MUTATED_FRAMES", "3000"))

TRACED_EVERY = 10
"""The memory of every tenth frame is traced, which takes its time."""

WORDS = (0, 1, 2, 7, 0xFF, 2**16, 2**31, 2**32 - 1, 2**32, 2**61, 2**63, 2**64 - 8, 2**64 - 1)
"""Lengths and counts that tempt a reader."""

ROW = (-2, 1.5, "hello", b"abc", None, True, Iso8601("2024-01-02"), UnixTime(7))
SELECT = schema.QuerySql(0, "SELECT 1")

CONVERSATIONS: tuple[tuple[schema.Request, tuple[schema.Response, ...]], ...] = (
    (SELECT, (Rows(tuple("abcdefgh"), (ROW, ROW)),)),
    (SELECT, (Rows(("a", "b"), ((1, 2),) * 40, is_last=False), Rows(("a", "b"), ((3, 4),)))),
    (SELECT, (Rows(("a",), (), is_last=False),) * 3),
    (SELECT, (Rows(tuple(map(str, range(40))), (tuple(range(40)),)),)),
    (SELECT, (Failure(1, "no such table: t"),)),
    (schema.Leader(), (schema.LeaderNode(1, "127.0.0.1:9001"),)),
    (schema.Register(), (schema.Welcome(15_000),)),
    (schema.Cluster(), (schema.Members((Member(1, "a:1", Role.VOTER),) * 3),)),
    (schema.Cluster(0), (schema.Addresses((schema.LeaderNode(1, "a:1"),) * 3),)),
    (schema.Open("test"), (schema.Database(0),)),
    (schema.Prepare(0, "SELECT ?", 1), (schema.Statement(0, 1, 1, 8, 1),)),
    (schema.ExecSql(0, "x"), (schema.Result(1, 1),)),
    (schema.Finalize(0, 0), (schema.Empty(),)),
    (schema.Dump("t"), (schema.Files((schema.File("t", bytes(64)), schema.File("t-wal", b""))),)),
    (schema.Describe(), (schema.Metadata(0, 0),)),
)


def mutated(rng: Random, data: bytes) -> bytes:
    """One to four changes: of bits, bytes, words, or of what there is at all."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(out)) if out else 0
        word = at // 8 * 8
        match rng.randrange(8):
            case 0 if out:
                out[at] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at] = rng.randrange(256)
            case 2 | 3:
                out[word : word + 8] = rng.choice(WORDS).to_bytes(8, "little")
            case 4:
                del out[at:]
            case 5:
                del out[word : word + 8]
            case 6:
                out[word:word] = out[rng.randrange(len(out) + 1) :][:64]
            case 7 if len(out) >= 8:  # announce the length that is there
                out[:4] = ((len(out) - 8) // 8 % 2**32).to_bytes(4, "little")
    return bytes(out)


def pieces(rng: Random, data: bytes) -> Iterator[bytes]:
    """The bytes as they may arrive."""
    size = rng.choice([len(data), len(data), 1 + len(data) // 2, 8, 7])
    for start in range(0, len(data), max(size, 1)):
        yield data[start : start + size]


def outcome(rng: Random, request: schema.Request, data: bytes) -> str:
    """What a session makes of it: anything but a ProtocolError escapes, and fails the test."""
    session = Session()
    in_parts = rng.random() < 0.3
    session.send(request, in_parts=in_parts)
    if isinstance(request, schema.QuerySql) and rng.random() < 0.1:
        session.leave(0)
    steps_max = 2 + len(data) // 8  # each step takes a frame or decodes some values
    steps = 0
    try:
        for piece in pieces(rng, data):
            answer = session.receive(piece)
            while (session.has_work or answer is not None) and steps <= steps_max:
                steps += 1
                if session.state is State.IDLE:
                    break
                answer = session.proceed()
    except ProtocolError:
        assert session.state is State.CLOSED
        return "refused"
    assert steps <= steps_max
    return "answered" if session.state is State.IDLE else "waiting"


def peak_bytes(work: Callable[[], object]) -> int:
    """How much more memory than before is held at some moment of the work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_mutated_answers_are_answers_or_refused_soon_and_in_little_memory() -> None:
    rng = Random(14)
    found: Counter[str] = Counter()
    for i in range(COUNT):
        request, answers = rng.choice(CONVERSATIONS)
        data = mutated(rng, b"".join(map(codec.encode, answers)))
        if i % TRACED_EVERY:
            found[outcome(rng, request, data)] += 1
        else:
            held = peak_bytes(partial(outcome, rng, request, data))
            assert held < 100_000 + 100 * len(data)
    held_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{COUNT} mutated frames: {dict(found)}, at most {held_bytes >> 20} MiB of memory")

    assert found.keys() == {"answered", "refused", "waiting"}
    assert min(found.values()) > COUNT // 100  # the mutations are neither harmless nor hopeless


def test_values_of_a_step_are_far_below_a_second_of_work() -> None:
    """What the limit of steps above stands for."""
    assert STEP_VALUES * FRAMES_A_STEP <= 1_000_000
