"""A connection against peers that answer, stay silent, or go away."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from dqlite.client.connection import Attach, Connection, Dial, connect
from dqlite.errors import ConnectionLost, NotLeader, NotSent, ProtocolError, Refused, TimedOut
from dqlite.wire import codec, schema

SILENT = b""
INSERT = schema.ExecSql(0, "INSERT INTO t VALUES (1)")


async def request(connection: Connection, timeout_s: float = 5) -> schema.Response:
    return await connection.request(INSERT, timeout_s=timeout_s)


def test_answer_is_returned_and_the_connection_stays_open(peers: Any) -> None:
    async def main() -> None:
        dial = peers({"a": lambda _: schema.Result(1, 1)}).dial
        connection = await connect("a", dial=dial, timeout_s=5)

        assert [await request(connection) for _ in range(3)] == [schema.Result(1, 1)] * 3
        assert connection.is_open
        connection.close()

    asyncio.run(main())


def test_failure_is_raised_by_its_code_and_the_connection_stays_open(peers: Any) -> None:
    async def main() -> None:
        dial = peers({"a": lambda _: schema.Failure(10250, "not leader")}).dial
        connection = await connect("a", dial=dial, timeout_s=5)
        with pytest.raises(NotLeader):
            await request(connection)

        assert connection.is_open
        connection.close()

    asyncio.run(main())


def test_dial_may_attach_the_connection_instead_of_giving_a_socket(peers: Any) -> None:
    async def main() -> None:
        servers = peers({"a": lambda _: schema.Result(1, 1)})

        async def dial(address: str) -> Attach:
            opened = await servers.dial(address)
            return lambda make: asyncio.get_running_loop().create_connection(make, sock=opened)

        connection = await connect("a", dial=dial, timeout_s=5)

        assert await request(connection) == schema.Result(1, 1)
        connection.close()

    asyncio.run(main())


def test_dial_that_cannot_attach_is_not_sent() -> None:
    async def attach(make: Callable[[], asyncio.Protocol]) -> NoReturn:
        raise ConnectionRefusedError(111, "Connection refused")

    async def dial(_address: str) -> Attach:
        return attach

    with pytest.raises(NotSent, match="refused"):
        asyncio.run(connect("a", dial=dial, timeout_s=5))


def test_refused_dial_is_not_sent(peers: Any) -> None:
    with pytest.raises(NotSent, match="refused"):
        asyncio.run(connect("a", dial=peers({}).dial, timeout_s=5))


def test_dial_that_hangs_is_not_sent() -> None:
    async def dial(_address: str) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(NotSent):
        asyncio.run(connect("a", dial=dial, timeout_s=0.01))


@pytest.mark.parametrize("address", ["", "host", "host:port", "127.0.0.1:"])
def test_malformed_address_is_not_sent(address: str) -> None:
    with pytest.raises(NotSent):
        asyncio.run(connect(address, timeout_s=5))


def test_end_of_stream_before_the_first_byte_is_not_sent() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def main() -> None:
        connection = await connect("a", dial=given(ours), timeout_s=5)
        theirs.close()
        while connection.is_open:  # noqa: ASYNC110 - there is no event of the loss to wait for
            await asyncio.sleep(0)
        with pytest.raises(NotSent):
            await request(connection)

    asyncio.run(main())


def test_end_of_stream_after_the_first_byte_is_indeterminate(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: None}).dial, timeout_s=5)
        with pytest.raises(ConnectionLost):
            await request(connection)

        assert not connection.is_open
        with pytest.raises(NotSent):
            await request(connection)

    asyncio.run(main())


def test_end_of_stream_within_an_answer_is_indeterminate() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def main() -> None:
        connection = await connect("a", dial=given(ours), timeout_s=5)
        theirs.sendall(codec.encode(schema.Result(1, 1))[:-1])
        task = asyncio.ensure_future(request(connection))
        theirs.close()
        with pytest.raises(ConnectionLost):
            await task

    asyncio.run(main())


def test_silence_after_the_first_byte_is_indeterminate_and_closes(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: SILENT}).dial, timeout_s=5)
        with pytest.raises(TimedOut):
            await request(connection, timeout_s=0.01)

        assert not connection.is_open

    asyncio.run(main())


def test_garbage_is_a_protocol_error_and_closes(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: b"HTTP/1.1"}).dial, timeout_s=5)
        with pytest.raises(ProtocolError):
            await request(connection)

        assert not connection.is_open

    asyncio.run(main())


def test_cancelled_request_closes_the_connection(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: SILENT}).dial, timeout_s=5)
        task = asyncio.ensure_future(request(connection))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not connection.is_open

    asyncio.run(main())


def test_close_during_a_request_is_indeterminate(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: SILENT}).dial, timeout_s=5)
        task = asyncio.ensure_future(request(connection))
        await asyncio.sleep(0)
        connection.close()
        connection.close()
        with pytest.raises(ConnectionLost):
            await task

    asyncio.run(main())


def test_request_during_another_is_refused(peers: Any) -> None:
    async def main() -> None:
        connection = await connect("a", dial=peers({"a": lambda _: SILENT}).dial, timeout_s=5)
        task = asyncio.ensure_future(request(connection))
        await asyncio.sleep(0)
        with pytest.raises(Refused):
            await request(connection)

        assert not task.done()
        connection.close()
        with pytest.raises(ConnectionLost):
            await task

    asyncio.run(main())


def test_lost_request_is_never_sent_again(peers: Any) -> None:
    async def main() -> None:
        servers = peers({"a": lambda _: None})
        connection = await connect("a", dial=servers.dial, timeout_s=5)
        with pytest.raises(ConnectionLost):
            await request(connection)

        assert servers.received == [("a", INSERT)]

    asyncio.run(main())


def given(opened: socket.socket) -> Dial:
    async def dial(_address: str) -> socket.socket:
        return opened

    return dial
