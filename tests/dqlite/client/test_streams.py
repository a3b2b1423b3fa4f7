"""Results read part by part, by both clients: in order, ended early, failed, and silent."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.blocking import BlockingClient
from dqlite.client.client import Client
from dqlite.client.leader import find_leader
from dqlite.client.requests import LEAVE_BYTES_MAX
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Rows

PARTS = [codec.encode(Rows(("n",), ((i,), (i + 1,)), is_last=i == 4)) for i in (0, 2, 4)]
ALL = [(i,) for i in range(6)]
LONG = codec.encode(Rows(("b",), ((b"x" * 65_000,),), is_last=False))


class Server(threading.Thread):
    """One connection: QUERY_SQL is answered with given frames, all else by agreeing."""

    def __init__(self, end: socket.socket, frames: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.kinds: list[type] = []
        self._end = end
        self._frames = frames

    def run(self) -> None:
        with closing(self._end) as end, closing(end.makefile("rb")) as file:
            file.read(len(codec.HANDSHAKE))
            while start := file.read(codec.HEADER_BYTES):
                header = codec.decode_header(start)
                request = codec.decode_request(header, file.read(header.body_bytes))
                self.kinds.append(type(request))
                try:
                    end.sendall(b"".join(self._answer(request)))
                except OSError:
                    return

    def _answer(self, request: schema.Request) -> Iterator[bytes]:
        if isinstance(request, schema.QuerySql):
            yield from self._frames
        elif isinstance(request, schema.Open):
            yield codec.encode(schema.Database(0))
        else:
            yield codec.encode(schema.Empty())


@contextmanager
def served(frames: list[bytes]) -> Iterator[tuple[socket.socket, Server]]:
    ours, theirs = socket.socketpair()
    server = Server(theirs, frames)
    server.start()
    with closing(ours):
        yield ours, server
    server.join(timeout=5)


def blocking(
    frames: list[bytes], use: Callable[[BlockingClient], Any], timeout_s: float = 5
) -> Any:
    with served(frames) as (ours, server):
        client = BlockingClient.connect("a", dial=lambda _a, _t: ours, timeout_s=timeout_s)
        with client:
            client.open("test")
            return use(client), server.kinds[1:], client.is_open


def asynchronous(frames: list[bytes], use: Callable[[Client], Any], timeout_s: float = 5) -> Any:
    async def main() -> Any:
        with served(frames) as (ours, server):

            async def dial(_address: str) -> socket.socket:
                return ours

            async with await Client.connect("a", dial=dial, timeout_s=timeout_s) as client:
                await client.open("test")
                return await use(client), server.kinds[1:], client.is_open

    return asyncio.run(main())


def test_rows_come_in_order_however_many_parts_they_need() -> None:
    async def use(client: Client) -> Any:
        async with await client.stream_sql("SELECT n FROM t") as rows:
            return rows.columns, [row async for row in rows]

    def use_blocking(client: BlockingClient) -> Any:
        with client.stream_sql("SELECT n FROM t") as rows:
            return rows.columns, list(rows)

    expected = ((("n",), ALL), [schema.QuerySql], True)

    assert asynchronous(PARTS, use) == expected
    assert blocking(PARTS, use_blocking) == expected


def test_parts_can_be_taken_whole() -> None:
    async def use(client: Client) -> Any:
        rows = await client.stream_sql("SELECT n FROM t")
        return [await rows.next_part() for _ in range(5)]

    def use_blocking(client: BlockingClient) -> Any:
        rows = client.stream_sql("SELECT n FROM t")
        return [rows.next_part() for _ in range(5)]

    expected = [((0,), (1,)), ((2,), (3,)), ((4,), (5,)), (), ()]

    assert asynchronous(PARTS, use)[0] == expected
    assert blocking(PARTS, use_blocking)[0] == expected


def test_early_end_asks_for_no_more_and_the_connection_serves_on() -> None:
    async def use(client: Client) -> Any:
        async with await client.stream_sql("SELECT n FROM t") as rows:
            first = await anext(rows)
        return first, (await client.query_sql("SELECT n FROM t")).rows

    def use_blocking(client: BlockingClient) -> Any:
        with client.stream_sql("SELECT n FROM t") as rows:
            first = next(rows)
        return first, client.query_sql("SELECT n FROM t").rows

    kinds = [schema.QuerySql, schema.Interrupt, schema.QuerySql]
    expected = (((0,), tuple(ALL)), kinds, True)

    assert asynchronous(PARTS, use) == expected
    assert blocking(PARTS, use_blocking) == expected


def test_end_after_the_last_part_asks_for_nothing() -> None:
    def use(client: BlockingClient) -> Any:
        with client.stream_sql("SELECT n FROM t") as rows:
            return next(rows)

    assert blocking(PARTS[2:], use) == ((4,), [schema.QuerySql], True)


def test_early_end_of_a_long_result_drops_the_connection() -> None:
    frames = [LONG] * (LEAVE_BYTES_MAX // len(LONG) + 30)

    async def use(client: Client) -> None:
        async with await client.stream_sql("SELECT b FROM t"):
            pass

    def use_blocking(client: BlockingClient) -> None:
        client.stream_sql("SELECT b FROM t").close()

    assert asynchronous(frames, use)[2] is False
    assert blocking(frames, use_blocking)[2] is False


def test_failure_after_some_rows_ends_the_stream_and_not_the_connection() -> None:
    frames = [PARTS[0], codec.encode(Failure(1, "integer overflow"))]

    async def use(client: Client) -> Any:
        rows = await client.stream_sql("SELECT n FROM t")
        with pytest.raises(errors.StatementError, match="integer overflow"):
            async for _ in rows:
                pass
        return await rows.next_part()

    def use_blocking(client: BlockingClient) -> Any:
        rows = client.stream_sql("SELECT n FROM t")
        with pytest.raises(errors.StatementError, match="integer overflow"):
            list(rows)
        return rows.next_part()

    expected = ((), [schema.QuerySql], True)

    assert asynchronous(frames, use) == expected
    assert blocking(frames, use_blocking) == expected


def test_silence_between_parts_is_a_timeout_and_closes() -> None:
    async def use(client: Client) -> None:
        rows = await client.stream_sql("SELECT n FROM t")
        client.timeout_s = 5
        with pytest.raises(errors.TimedOut):
            async for _ in rows:
                pass

    def use_blocking(client: BlockingClient) -> None:
        rows = client.stream_sql("SELECT n FROM t")
        with pytest.raises(errors.TimedOut):
            list(rows)

    assert asynchronous(PARTS[:1], use, timeout_s=0.5)[2] is False
    assert blocking(PARTS[:1], use_blocking, timeout_s=0.5)[2] is False


def test_other_requests_are_refused_while_a_stream_is_open() -> None:
    async def use(client: Client) -> Any:
        async with await client.stream_sql("SELECT n FROM t") as rows:
            with pytest.raises(errors.Refused, match="in flight"):
                await client.leader()
            return [row async for row in rows]

    def use_blocking(client: BlockingClient) -> Any:
        with client.stream_sql("SELECT n FROM t") as rows:
            with pytest.raises(errors.Refused, match="in flight"):
                client.leader()
            return list(rows)

    assert asynchronous(PARTS, use)[0] == ALL
    assert blocking(PARTS, use_blocking)[0] == ALL


def test_reader_that_pauses_holds_the_server_back() -> None:
    """The parts that the caller did not ask for stay in the kernel."""
    frames = [LONG] * 200 + [codec.encode(Rows(("b",), ((b"",),)))]

    async def use(client: Client) -> int:
        await client.stream_sql("SELECT b FROM t")
        await asyncio.sleep(0.1)
        return len(client._connection._link.session._buffer)

    held, _, _ = asynchronous(frames, use)

    assert held < 20 * len(LONG)


@pytest.mark.cluster
def test_real_result_is_read_in_parts_and_left_early(program: Any) -> None:
    program.start(1)
    address = program.addresses[1]
    count = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
        " SELECT i FROM n"
    )

    async def main() -> None:
        async with await find_leader([address], timeout_s=5, deadline_s=10) as client:
            await client.open("test")
            async with await client.stream_sql(count.format(5000)) as rows:
                assert [row async for row in rows] == [(i,) for i in range(1, 5001)]
            async with await client.stream_sql(count.format(4098)) as rows:
                assert await anext(rows) == (1,)
            assert client.is_open
            assert (await client.query_sql("SELECT 7")).rows == ((7,),)
            async with await client.stream_sql(count.format(1_000_000)) as rows:
                assert await anext(rows) == (1,)
            assert not client.is_open

    asyncio.run(main())
    with BlockingClient.connect(address, timeout_s=5) as client:
        client.open("test")
        with client.stream_sql(count.format(5000)) as rows:
            assert len(list(rows)) == 5000
        statement = client.prepare(count.format(4098).replace("1 UNION", "? UNION"))
        with client.stream(statement, (1,)) as rows:
            assert next(rows) == (1,)
        assert client.query(statement, (4000,)).rows[0] == (4000,)
