"""Forwarders pass bytes, ends and resets on, one connection to one, and know what they passed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from dissever.harness.cluster.backends import NAMESPACES, Backend
from dissever.harness.cluster.connecting import connected, in_time, reset_on_close
from dissever.harness.forward import Forwarders, Traffic, written

PORT = 8080

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class LocalCluster:
    """Two nodes; `n1` is a server of the test, `n2` refuses."""

    backend: Backend = NAMESPACES
    nodes = ("n1", "n2")

    def __init__(self, port: int) -> None:
        self._port = port
        self.is_silent = False

    def address(self, node: str) -> str:
        return f"10.77.0.{1 + self.nodes.index(node)}"

    def directory(self, node: str) -> Path:
        raise AssertionError(node)

    async def close(self) -> None:
        pass

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        if self.is_silent:
            await in_time(asyncio.Event().wait(), node, port, timeout_s)  # type: ignore[arg-type]
        port = self._port if node == "n1" and port == PORT else 1
        return await connected(socket.socket(), ("127.0.0.1", port))


class Site:
    """A server, and forwarders that lead to it."""

    def __init__(self, port: int) -> None:
        self.cluster = LocalCluster(port)
        self.traffic: dict[tuple[str, int], Traffic] = {}
        self.forwarders = self.more()

    def more(self) -> Forwarders:
        return Forwarders(self.cluster, "n1", (PORT,), self.traffic)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        endpoint = self.forwarders.endpoint
        return await asyncio.open_connection(endpoint.host, endpoint.port)


@contextlib.asynccontextmanager
async def site(serve: Serve) -> AsyncIterator[Site]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    made = Site(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        made.forwarders.reset()
        server.close()
        await asyncio.sleep(0)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - What is waited for happens in the code under test.
        await asyncio.sleep(0.001)


def test_bytes_come_back_and_are_counted() -> None:
    async def test() -> None:
        async with site(echo) as it:
            reader, writer = await it.connect()
            writer.write(b"hello")

            assert await reader.readexactly(5) == b"hello"
            assert it.traffic == {("n1", PORT): Traffic(1, 0, 0, 5, 5)}
            assert written(it.traffic, "n1")["8080"]["sent_bytes"] == 5
            assert written(it.traffic, "n2") == {}
            writer.close()

    run(test)


def test_a_half_closed_connection_goes_on_the_other_way() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read()
        writer.write(got[::-1] * 100_000)
        await writer.drain()

    async def test() -> None:
        async with site(answer_at_the_end) as it:
            reader, writer = await it.connect()
            writer.write(b"abc")
            writer.write_eof()

            assert await reader.read() == b"cba" * 100_000
            writer.close()

    run(test)


def test_a_reset_of_the_node_resets_the_driver() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        reset_on_close(sock)
        writer.transport.abort()

    async def test() -> None:
        async with site(reset) as it:
            reader, writer = await it.connect()
            writer.write(b"x")

            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    run(test)


def test_a_reset_of_the_driver_resets_the_connection_to_the_node() -> None:
    seen: list[type[BaseException]] = []

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(100):
                pass
        except ConnectionError as error:
            seen.append(type(error))

    async def test() -> None:
        async with site(watch) as it:
            _, writer = await it.connect()
            writer.write(b"x")
            await until(lambda: bool(it.traffic) and it.traffic["n1", PORT].sent_bytes == 1)
            sock = writer.get_extra_info("socket")
            reset_on_close(sock)
            writer.transport.abort()
            await until(lambda: bool(seen))

            assert seen == [ConnectionResetError]

    run(test)


def test_a_driver_whose_node_refuses_is_reset_and_nothing_passed() -> None:
    async def test() -> None:
        async with site(echo) as it:
            mark = it.forwarders.mark()
            port = it.forwarders.endpoint.port_of(PORT, "n2")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"never seen")

            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            assert it.traffic["n2", PORT] == Traffic(refused=1)
            it.forwarders.reset()
            assert it.forwarders.passed_nothing_since(mark)

    run(test)


def test_a_sender_waits_for_a_receiver_that_does_not_read() -> None:
    go_on = asyncio.Event()

    async def sleepy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reader.read()

    async def test() -> None:
        async with site(sleepy) as it:
            _, writer = await it.connect()
            block = bytes(1 << 20)
            sock = writer.get_extra_info("socket")
            sent, before = 0, -1
            while sent != before:  # Until nothing more goes, in none of a few turns.
                before = sent
                for _ in range(50):
                    with contextlib.suppress(BlockingIOError):
                        sent += sock._sock.send(block)
                    await asyncio.sleep(0.002)

            assert sent < 64 << 20
            held = it.traffic["n1", PORT].sent_bytes
            go_on.set()
            await until(lambda: it.traffic["n1", PORT].sent_bytes == sent)
            assert held <= sent
            writer.close()

    run(test)


def test_what_went_before_the_mark_is_not_of_the_operation() -> None:
    async def test() -> None:
        async with site(echo) as it:
            reader, writer = await it.connect()
            writer.write(b"old")
            await reader.readexactly(3)
            mark = it.forwarders.mark()

            assert not it.forwarders.received_since(mark)
            it.forwarders.reset()
            assert it.forwarders.passed_nothing_since(mark)
            writer.close()

    run(test)


def test_one_byte_that_was_passed_on_is_enough_not_to_know() -> None:
    async def test() -> None:
        async with site(echo) as it:
            mark = it.forwarders.mark()
            reader, writer = await it.connect()
            writer.write(b"x")
            await reader.readexactly(1)
            it.forwarders.reset()

            assert not it.forwarders.passed_nothing_since(mark)
            assert it.forwarders.received_since(mark)
            writer.close()

    run(test)


def test_without_a_connection_there_is_no_evidence() -> None:
    async def test() -> None:
        async with site(echo) as it:
            mark = it.forwarders.mark()
            it.forwarders.reset()

            assert not it.forwarders.passed_nothing_since(mark)

    run(test)


def test_after_a_reset_no_byte_of_the_driver_is_passed_on() -> None:
    got: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            got.append(data)

    async def test() -> None:
        async with site(collect) as it:
            mark = it.forwarders.mark()
            endpoint = it.forwarders.endpoint
            driver = socket.create_connection((endpoint.host, endpoint.port))
            await until(lambda: bool(it.traffic) and it.traffic["n1", PORT].connections == 1)
            driver.send(b"late")  # It lies in our socket's buffer: the loop had no turn since.
            it.forwarders.reset()

            assert it.forwarders.passed_nothing_since(mark)
            await asyncio.sleep(0.01)
            with pytest.raises(ConnectionError):
                driver.recv(1)
            driver.close()
            assert got == []

    run(test)


def test_a_reset_while_the_node_is_dialled_ends_the_driver() -> None:
    async def test() -> None:
        async with site(echo) as it:
            it.cluster.is_silent = True
            reader, writer = await it.connect()
            await until(lambda: it.forwarders.mark().open == 1)
            it.forwarders.reset()

            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await asyncio.sleep(0.01)

    run(test)


def test_a_connection_that_waits_to_be_accepted_was_one_of_the_client() -> None:
    async def test() -> None:
        async with site(echo) as it:
            mark = it.forwarders.mark()
            endpoint = it.forwarders.endpoint
            with socket.create_connection((endpoint.host, endpoint.port)) as driver:
                driver.send(b"x")  # The loop had no turn since.
                it.forwarders.reset()

                assert it.forwarders.passed_nothing_since(mark)
                with pytest.raises(ConnectionError):
                    driver.recv(1)

    run(test)


def test_a_reset_leaves_the_forwarders_of_other_clients_alone() -> None:
    async def test() -> None:
        async with site(echo) as it:
            reader, writer = await it.connect()
            other = it.more()
            assert other.endpoint.port != it.forwarders.endpoint.port
            other.reset()
            writer.write(b"still")

            assert await reader.readexactly(5) == b"still"
            with pytest.raises(ConnectionError):
                _ = other.endpoint.address
            writer.close()

    run(test)


def test_an_address_of_the_cluster_is_translated() -> None:
    async def test() -> None:
        async with site(echo) as it:
            endpoint = it.forwarders.endpoint

            assert endpoint.translate("10.77.0.1", PORT) == ("127.0.0.1", endpoint.port)
            assert endpoint.translate("n1", PORT) == ("127.0.0.1", endpoint.port)
            assert endpoint.address == f"127.0.0.1:{endpoint.port}"
            assert endpoint.nodes["n1"] == endpoint.address
            assert list(endpoint.dialable()["n2"]) == [f"10.77.0.2:{PORT}"]
            with pytest.raises(ValueError, match=r"expected an address .* got '10.9.9.9'"):
                endpoint.translate("10.9.9.9", PORT)
            with pytest.raises(ValueError, match="expected a node out of n1, n2, got 'n3'"):
                endpoint.port_of(PORT, "n3")

    run(test)


def test_many_threads_ask_for_one_address() -> None:
    async def test() -> None:
        async with site(echo) as it:
            ports: list[int] = []

            def ask() -> None:
                ports.append(it.forwarders.endpoint.port)
                with socket.create_connection(("127.0.0.1", ports[0])) as driver:
                    driver.sendall(b"hi")
                    assert driver.recv(2) == b"hi"

            threads = [threading.Thread(target=ask) for _ in range(20)]
            for thread in threads:
                thread.start()
            await until(lambda: not any(thread.is_alive() for thread in threads))

            assert len(ports) == 20
            assert len(set(ports)) == 1
            assert it.traffic["n1", PORT].connections == 20

    run(test)


def test_a_port_of_a_client_that_is_gone_leads_to_no_other() -> None:
    """A driver that still dials it would send an operation that was called fail."""

    async def main() -> None:
        had = set[int]()
        for _ in range(400):
            site = Site(1)
            had.add(site.forwarders.endpoint.port)
            site.forwarders.reset()

        assert len(had) == 400

    asyncio.run(main())
