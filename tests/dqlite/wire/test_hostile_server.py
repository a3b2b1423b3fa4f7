"""A server is an adversary: whatever it answers, a request ends in time, with an error."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterable
from random import Random
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.client import Client
from dqlite.client.leader import find_leader
from dqlite.wire import codec, schema
from dqlite.wire.codec import HEADER_BYTES
from dqlite.wire.schema import Failure, Request, Rows
from dqlite.wire.session import Session, State
from dqlite.wire.tuples import STEP_VALUES

GARBAGE = 1_500
SELECT = schema.QuerySql(0, "SELECT n FROM t")
MAX = b"\xff" * 8
ONE = (1).to_bytes(8, "little")
NEGATIVE = (-8 % 2**64).to_bytes(8, "little")


def frame(type_: int, body: bytes, words: int | None = None) -> bytes:
    length = len(body) // 8 if words is None else words
    return length.to_bytes(4, "little") + bytes([type_, 0, 0, 0]) + body


def integers(count: int, *, is_last: bool = True) -> bytes:
    """A part of a result: a column of one number."""
    end = (b"\xff" if is_last else b"\xee") * 8
    return frame(7, ONE + b"n".ljust(8, b"\0") + (ONE + ONE) * count + end)


class Server:
    """Answers everything with the same pieces, and then is silent; counts what it could send."""

    def __init__(self, pieces: Iterable[bytes], gap_s: float = 0) -> None:
        self.sent = 0
        self._pieces = pieces
        self._gap_s = gap_s
        self._tasks: list[asyncio.Task[None]] = []

    async def dial(self, _address: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self._tasks.append(asyncio.create_task(self._serve(theirs)))
        return ours

    async def _serve(self, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.closing(end), contextlib.suppress(ConnectionError):
            await loop.sock_recv(end, 65_536)
            for piece in self._pieces:
                await loop.sock_sendall(end, piece)
                self.sent += len(piece)
                await asyncio.sleep(self._gap_s)
            await loop.sock_recv(end, 1)


async def ask(server: Server, request: str = "query", timeout_s: float = 5) -> Any:
    async with await Client.connect("a", dial=server.dial, timeout_s=timeout_s) as client:
        client._database = 0
        match request:
            case "dump":
                return await client.dump("test")
            case "leader":
                return await client.leader()
            case "cluster":
                return await client.cluster()
        return await client.query_sql("SELECT n FROM t")


ANSWERS = {
    "no such type": frame(77, ONE),
    "body of no bytes": frame(7, b"", words=0),
    "body longer than any": frame(7, ONE, words=2**32 - 1),
    "type of another answer": frame(8, ONE),
    "huge count of columns": frame(7, MAX + MAX),
    "columns of which none comes": frame(7, (2000).to_bytes(8, "little") + MAX),
    "name of a column without end": frame(7, ONE + b"n" * 64_000),
    "row without columns": frame(7, bytes(8) + ONE),
    "type that no value has": frame(7, ONE + b"n".ljust(8, b"\0") + b"\x07".ljust(8, b"\0") * 2),
    "blob of negative length": frame(
        7, ONE + b"n".ljust(8, b"\0") + b"\x04".ljust(8, b"\0") + NEGATIVE + MAX
    ),
    "blob longer than the body": frame(
        7, ONE + b"n".ljust(8, b"\0") + b"\x04".ljust(8, b"\0") + b"\xff\xff\xff".ljust(8, b"\0")
    ),
    "text without end": frame(7, ONE + b"n".ljust(8, b"\0") + b"\x03".ljust(8, b"\0") + MAX * 99),
    "failure without end": frame(0, ONE + b"x" * 800_000),
    "result without end word": frame(7, ONE + b"n".ljust(8, b"\0") + (ONE + ONE) * 10),
    "answer twice": integers(1) * 2,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_malformed_answer_is_a_protocol_error(answer: bytes) -> None:
    with pytest.raises(errors.ProtocolError):
        asyncio.run(ask(Server([answer])))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("cluster", frame(3, MAX + MAX)),
        ("cluster", frame(3, ONE + ONE + b"a".ljust(8, b"\0") + (9).to_bytes(8, "little"))),
        ("leader", frame(1, ONE + b"n1" * 4)),
        ("leader", frame(1, ONE, words=codec.PLAIN_BYTES_MAX // 8 + 1)),
        ("dump", frame(9, MAX)),
        ("dump", frame(9, (2).to_bytes(8, "little") + b"test".ljust(8, b"\0") + NEGATIVE)),
    ],
    ids=["members", "role", "address", "long-address", "files", "file-length"],
)
def test_so_is_one_to_another_request(request_: str, answer: bytes) -> None:
    with pytest.raises(errors.ProtocolError):
        asyncio.run(ask(Server([answer]), request_))


@pytest.mark.parametrize(
    "names",
    [
        ("../../test", "test-wal"),
        ("/etc/passwd", "test-wal"),
        ("test", "test-wal", "x"),
        ("test", "test"),
        ("test",),
        ("test\n", "test-wal"),
        (),
    ],
)
def test_names_of_a_dump_are_the_two_that_there_are(names: tuple[str, ...]) -> None:
    body = bytearray(len(names).to_bytes(8, "little"))
    for name in names:
        text = name.encode() + b"\0"
        body += text + bytes(-len(text) % 8) + bytes(8)
    answer = codec.encode(schema.Files(())) if not names else frame(9, bytes(body))
    with pytest.raises(errors.ProtocolError):
        asyncio.run(ask(Server([answer]), "dump"))


def test_garbage_of_any_kind_is_an_error_and_nothing_else() -> None:
    rng = Random(10)

    async def main() -> None:
        for _ in range(GARBAGE):
            answer = garbled(rng)
            with contextlib.suppress(errors.DqliteError):  # Any other exception is a finding.
                await ask(Server([answer, b""]), rng.choice(["query", "dump", "cluster"]), 0.005)

    asyncio.run(main())


def garbled(rng: Random) -> bytes:
    """Bytes without a sense, or an answer with a few bytes changed, cut or repeated."""
    if rng.random() < 0.3:
        return frame(rng.randrange(12), rng.randbytes(8 * rng.randrange(1, 9)))
    files = (schema.File("test", b"x" * 9), schema.File("test-wal", b""))
    sound: list[schema.Response] = [
        Rows(("a", "b"), ((1, "x"), (None, b"y"))),
        Rows(("a",), (), is_last=False),
        Failure(5, "busy"),
        schema.Files(files),
        schema.Members((schema.Member(1, "a", schema.Role.VOTER),)),
    ]
    answer = bytearray(codec.encode(rng.choice(sound)))
    for _ in range(rng.randrange(1, 4)):
        answer[rng.randrange(len(answer))] = rng.choice([0, 1, 0x7F, 0xEE, 0xFF])
    cut = answer[: rng.randrange(1, len(answer))] if rng.random() < 0.2 else answer
    return bytes(cut) * rng.choice([1, 1, 1, 2])


def test_endless_parts_end_at_the_limit_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "ROWS_BYTES_MAX", 1 << 16)
    server = Server(itertools.repeat(frame(7, bytes(8) + b"\xee" * 8)))
    with pytest.raises(errors.ProtocolError, match="more than 65536 bytes"):
        asyncio.run(ask(server))

    assert server.sent < 1 << 20


def test_parts_without_rows_take_no_memory() -> None:
    session = Session()
    session.send(SELECT)
    part = integers(0, is_last=False)
    for _ in range(100):
        assert session.receive(part) is None

    assert session._rows == []
    assert session.receive(integers(1)) == Rows(("n",), ((1,),))


def test_header_is_refused_before_its_body_is_awaited() -> None:
    for header in (
        frame(9, b"", words=4),  # Files to a query.
        frame(7, b"", words=codec.ROWS_BYTES_MAX // 8 + 1),
        frame(0, b"", words=codec.ROWS_BYTES_MAX // 8 + 1),
    ):
        session = Session()
        session.send(SELECT)
        with pytest.raises(errors.ProtocolError):
            session.receive(header)

        assert session.state is State.CLOSED


def test_a_million_rows_of_one_number_are_still_an_answer() -> None:
    assert len(integers(1_000_000)) - HEADER_BYTES <= codec.ROWS_BYTES_MAX


def test_large_part_is_decoded_in_steps() -> None:
    session = Session()
    session.send(SELECT)
    steps = 0
    answer = session.receive(integers(10 * STEP_VALUES))
    while answer is None:
        assert session.has_work
        answer = session.proceed()
        steps += 1

    assert steps >= 10
    assert isinstance(answer, Rows)
    assert len(answer.rows) == 10 * STEP_VALUES
    assert not session.has_work


def test_many_small_parts_are_decoded_in_steps() -> None:
    session = Session()
    session.send(SELECT)
    answer = session.receive(integers(1, is_last=False) * 1000 + integers(1))
    steps = 0
    while answer is None and session.has_work:
        answer = session.proceed()
        steps += 1

    assert steps >= 10
    assert isinstance(answer, Rows)
    assert len(answer.rows) == 1001


def test_deadline_holds_while_an_answer_is_decoded() -> None:
    """Decoding would take seconds."""
    with pytest.raises(errors.TimedOut):
        asyncio.run(ask(Server([integers(900_000)]), timeout_s=0.05))


def test_deadline_holds_for_an_answer_that_drips() -> None:
    drops = (bytes([each]) for each in integers(1000))
    with pytest.raises(errors.TimedOut):
        asyncio.run(ask(Server(drops, gap_s=0.001), timeout_s=0.05))


def test_deadline_holds_while_nothing_but_empty_parts_comes() -> None:
    server = Server(itertools.repeat(integers(0, is_last=False)), gap_s=0.001)
    with pytest.raises(errors.TimedOut):
        asyncio.run(ask(server, timeout_s=0.05))


def test_others_have_their_turn_while_an_answer_is_decoded() -> None:
    turns = itertools.count()

    async def tick() -> None:
        while True:
            next(turns)
            await asyncio.sleep(0)

    async def main() -> Rows:
        async with background(tick()):
            answer: Rows = await ask(Server([integers(20 * STEP_VALUES)]), timeout_s=60)
            return answer

    answer = asyncio.run(main())

    assert len(answer.rows) == 20 * STEP_VALUES
    assert next(turns) > 20


@contextlib.asynccontextmanager
async def background(coroutine: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(coroutine)
    try:
        yield
    finally:
        task.cancel()


TEXTS = {
    "escape": "\x1b[2J\x1b[31mowned",
    "line": "line\nline",
    "long": "x" * 500_000,
    "bidirectional": "\u202e\x07\x9b",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_of_a_server_is_one_printable_line_of_limited_length(text: str) -> None:
    with pytest.raises(errors.DqliteError) as raised:
        asyncio.run(ask(Server([codec.encode(Failure(1, text))])))

    said = str(raised.value)
    assert said.isprintable()
    assert len(said) < 2 * errors.MESSAGE_CHARS_MAX


def test_failure_after_rows_is_found_however_long_they_are() -> None:
    body = integers(50_000)[HEADER_BYTES:] + codec.encode(Failure(5, "busy"))[HEADER_BYTES:]
    with pytest.raises(errors.Busy, match="busy"):
        asyncio.run(ask(Server([frame(0, body)])))


def test_chain_of_redirects_ends(peers: Any) -> None:
    def next_one(request: Request) -> schema.Response:
        assert isinstance(request, schema.Leader)
        return schema.LeaderNode(1, f"n{next(numbers)}")

    numbers = itertools.count(2)
    servers = peers({f"n{i}": next_one for i in range(100)})

    async def main() -> None:
        with pytest.raises(errors.NoLeader):
            await find_leader(["n1"], dial=servers.dial, timeout_s=5)

    asyncio.run(main())

    assert len(servers.received) == 2
