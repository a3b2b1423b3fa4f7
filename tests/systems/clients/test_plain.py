"""Clients that are plain classes: what they raise means fail only if nothing can have been sent."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Client, Completion, Invocation, NotApplied
from dissever.harness.cluster.backends import COMPOSE, CONTAINERS, NAMESPACES, Backend
from dissever.harness.cluster.connecting import connected, reset_on_close
from dissever.harness.forward import Endpoint, Forwarders
from dissever.harness.history import Type
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.plan import stream
from dissever.systems.clients import blocked, plain
from dissever.systems.clients.plain import PlainClients
from dissever.workloads.transactions import Reading, TransactionClient


class Server:
    """
    The node `n1`: answers each line with itself, but `reset` is reset, `mute` gets nothing.

    While `is_down` it refuses. `heard` is every line that came.
    """

    backend: Backend = NAMESPACES
    nodes = ("n1",)
    past = 0
    """Its port, for who passes the forwarder by."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.is_down = False
        self.port = 0

    def address(self, node: str) -> str:
        return "10.77.0.1"

    def directory(self, node: str) -> Path:
        raise AssertionError(node)

    async def close(self) -> None:
        pass

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        return await connected(socket.socket(), ("127.0.0.1", 1 if self.is_down else self.port))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := (await reader.readline()).decode():
                self.heard.append(line.strip())
                if line == "reset\n":
                    sock = writer.get_extra_info("socket")
                    reset_on_close(sock)
                    writer.transport.abort()
                elif line != "mute\n":
                    writer.write(line.encode())
        writer.close()


class Driver:
    """As drivers are: connects when it is first needed, and again when it was disconnected."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.link: socket.socket | None = None

    def say(self, text: str) -> str:
        if self.link is None:
            self.link = socket.create_connection((self.endpoint.host, self.endpoint.port))
        try:
            self.link.sendall(f"{text}\n".encode())
            answer = self.link.recv(100).decode()
        except OSError:
            self.close()
            raise
        if not answer:
            self.close()
            raise ConnectionError("the server closed the connection")
        return answer.strip()

    def close(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None


class Base:
    """A register whose operations are lines."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.driver = Driver(endpoint)

    def read(self, key: Any) -> Any:
        return self.driver.say(str(key))

    def write(self, key: Any, value: Any) -> None:
        self.driver.say(f"{key}={value}")

    def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        return self.driver.say(f"{key}:{old}:{new}") != ""

    def close(self) -> None:
        self.driver.close()


def use(made: type, act: Callable[[Any, Server], Awaitable[Any]], *, store: str = "") -> Any:
    """Give a client of the class to a function, with the server that it talks to."""

    async def main() -> Any:
        server = Server()
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        kind = PlainClients(made)
        client = None
        try:
            async with asyncio.timeout(20):
                forwarders = Forwarders(server, "n1", (80,), {})
                client = await kind.open(forwarders, store=store, directory=Path())
                return await act(client, server)
        finally:
            if client is not None:
                await client.close()
            listener.close()
            await asyncio.sleep(0.01)

    return asyncio.run(main())


def test_blocking_methods_run_in_a_thread_of_the_client() -> None:
    class Kv(Base):
        def __init__(self, endpoint: Endpoint) -> None:
            super().__init__(endpoint)
            self.made_in = threading.current_thread()

        def read(self, key: Any) -> Any:
            assert threading.current_thread() is self.made_in
            assert self.made_in is not threading.main_thread()
            return super().read(key)

    async def act(client: Any, server: Server) -> None:
        assert await client.read("7") == "7"
        assert await client.compare_and_set(1, 2, 3) is True
        assert server.heard == ["7", "1:2:3"]

    use(Kv, act)


def test_async_methods_run_on_the_event_loop() -> None:
    class Kv:
        def __init__(self, endpoint: Endpoint) -> None:
            self.endpoint = endpoint
            asyncio.get_running_loop()

        async def read(self, key: int) -> str:
            reader, writer = await asyncio.open_connection(self.endpoint.host, self.endpoint.port)
            writer.write(f"{key}\n".encode())
            answer = await reader.readline()
            writer.close()
            return answer.decode().strip()

        async def write(self, key: int, value: int) -> None: ...

        async def compare_and_set(self, key: int, old: int, new: int) -> bool:
            return False

    async def act(client: Any, server: Server) -> None:
        assert await client.read(7) == "7"

    use(Kv, act)


def test_an_async_method_that_blocks_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(blocked, "BLOCKED_S", 0.05)

    class Kv(Base):
        async def read(self, key: Any) -> Any:
            while not caplog.messages:
                time.sleep(0.01)  # noqa: ASYNC251 - It is the mistake.

    async def act(client: Any, server: Server) -> None:
        await client.read(1)

    use(Kv, act)

    assert "read has blocked the harness for 0.05 s" in caplog.messages[0]
    assert f"{__file__}, line " in caplog.messages[0]


def test_a_connection_that_is_refused_is_not_applied_and_the_client_goes_on() -> None:
    async def act(client: Any, server: Server) -> None:
        server.is_down = True
        with pytest.raises(NotApplied, match="nothing was sent: "):
            await client.write(1, 2)
        server.is_down = False
        await client.write(1, 3)

        assert server.heard == ["1=3"]

    use(Base, act)


@pytest.mark.parametrize("backend", [CONTAINERS, COMPOSE])
def test_where_a_driver_may_pass_the_forwarder_by_nothing_is_concluded(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As drivers of clusters do: they ask a node for the others, and connect to these."""

    class Wandering(Base):
        def write(self, key: Any, value: Any) -> None:
            with socket.create_connection(("127.0.0.1", Server.past)) as link:
                link.sendall(f"{key}={value}\n".encode())
            raise ConnectionResetError("the answer did not come")

    async def act(client: Any, server: Server) -> None:
        await client.read("7")  # So that a connection of the forwarder is there.
        monkeypatch.setattr(Server, "past", server.port)
        with pytest.raises(ConnectionResetError):
            await client.write(1, 2)
        await asyncio.sleep(0.05)
        assert server.heard == ["7", "1=2"]

    async def refused(client: Any, server: Server) -> None:
        server.is_down = True
        with pytest.raises(NotApplied, match="nothing was sent: "):
            await client.write(1, 2)

    monkeypatch.setattr(Server, "backend", backend)
    use(Wandering, act)
    monkeypatch.setattr(Base, "uses_endpoint_only", True, raising=False)
    use(Base, refused)


def test_a_reset_after_something_was_sent_is_unknown() -> None:
    async def act(client: Any, server: Server) -> None:
        with pytest.raises(ConnectionError):
            await client.read("reset")

        assert server.heard == ["reset"]

    use(Base, act)


def test_a_request_that_was_half_written_is_unknown() -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            link = socket.create_connection((self.driver.endpoint.host, self.driver.endpoint.port))
            link.sendall(b"half")  # Never a whole line.
            link.settimeout(0.2)
            with link:
                return link.recv(1)

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(TimeoutError):
            await client.read(1)

        assert server.heard in ([], ["half"])

    use(Kv, act)


def test_a_connection_of_before_that_was_reset_before_anything_was_sent_is_not_applied() -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            if key == "sulk":
                raise OSError("the driver found its connection closed")
            return super().read(key)

    async def act(client: Any, server: Server) -> None:
        await client.read("hello")
        with pytest.raises(NotApplied, match="found its connection closed"):
            await client.read("sulk")
        assert await client.read("again") == "again"

        assert server.heard == ["hello", "again"]

    use(Kv, act)


def test_without_any_connection_there_is_no_evidence() -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            raise OSError("it went some other way")

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(OSError, match="some other way"):
            await client.read(1)

    use(Kv, act)


def test_a_driver_that_connects_again_inside_of_an_operation_is_unknown_once_it_sent() -> None:
    class Kv(Base):
        def write(self, key: Any, value: Any) -> None:
            for _ in range(3):
                with contextlib.suppress(ConnectionError):
                    self.driver.say("reset")
            raise OSError("three tries")

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(OSError, match="three tries"):
            await client.write(1, 2)

        assert server.heard == ["reset"] * 3

    use(Kv, act)


def test_a_background_thread_cannot_send_after_an_operation_was_called_not_applied() -> None:
    class Kv(Base):
        def write(self, key: Any, value: Any) -> None:
            endpoint = self.driver.endpoint
            link = socket.create_connection((endpoint.host, endpoint.port))

            def later() -> None:
                with contextlib.suppress(OSError), link:
                    time.sleep(0.05)
                    link.sendall(b"late\n")
                    link.recv(1)
                with contextlib.suppress(OSError):  # Nor by way of a new connection.
                    Driver(endpoint).say("late")

            self.thread = threading.Thread(target=later)
            self.thread.start()
            raise OSError("queued for later")

    async def act(client: Any, server: Server) -> None:
        made = client._session._made
        with pytest.raises(NotApplied, match="queued for later"):
            await client.write(1, 2)
        await asyncio.to_thread(made.thread.join)
        await asyncio.sleep(0.02)

        assert server.heard == []

    use(Kv, act)


def test_errors_that_the_class_names_are_not_applied() -> None:
    class Refused(Exception):
        pass

    class Kv(Base):
        not_applied = (Refused,)

        def read(self, key: Any) -> Any:
            self.driver.say("sent")
            raise Refused("read only")

        def write(self, key: Any, value: Any) -> None:
            self.driver.say("sent")
            raise NotApplied("full", 28)

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(NotApplied, match="read only"):
            await client.read(1)
        with pytest.raises(NotApplied, match="full") as caught:
            await client.write(1, 2)
        assert caught.value.code == 28

    use(Kv, act)


def test_a_mistake_in_the_code_stays_one() -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            return self.no_such_thing  # type: ignore[attr-defined]

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(AttributeError, match="no_such_thing"):
            await client.read(1)

    use(Kv, act)


def test_a_method_that_hides_that_it_is_async_is_a_mistake() -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            return asyncio.sleep(0)

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(
            TypeError, match=r"Kv.read gave a coroutine: define it with `async def`"
        ):
            await client.read(1)

    use(Kv, act)


@pytest.mark.parametrize(
    ("store", "method", "gives", "message"),
    [
        ("registers", "read", "5", r"Kv.read: expected an int, or None .*, got '5'"),
        ("registers", "read", 5.0, r"Kv.read: expected an int"),
        ("registers", "read", False, r"Kv.read: expected an int"),
        ("registers", "compare_and_set", None, r"expected True if the value was set, .* got None"),
        ("registers", "compare_and_set", {"done": 0}, r"expected True if the value was set"),
        ("elements", "elements", "123", r"Kv.elements: expected a list of ints, got '123'"),
        ("elements", "elements", ["1"], r"Kv.elements: expected a list of ints"),
        ("", "digest", None, r"Kv.digest: expected a text, bytes or a number, got None"),
    ],
)
def test_value_of_another_kind_is_a_mistake_in_the_client(
    store: str, method: str, gives: object, message: str
) -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            return gives

        def compare_and_set(self, key: Any, old: Any, new: Any) -> Any:
            return gives

        def add(self, element: int) -> None:
            pass

        def elements(self) -> Any:
            return gives

        def digest(self) -> Any:
            return gives

    arguments = {"read": (1,), "compare_and_set": (1, 2, 3)}.get(method, ())

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(TypeError, match=message):
            await getattr(client, method)(*arguments)

    use(Kv, act, store=store)


@pytest.mark.parametrize("kind", ["generator", "async generator", "future"])
def test_operation_that_is_still_to_be_done_is_a_mistake_in_the_client(kind: str) -> None:
    async def later() -> Any:
        yield 1

    def one_after_another() -> Any:
        yield 1

    gives: dict[str, Any] = {
        "generator": one_after_another(),
        "async generator": later(),
        "future": concurrent.futures.Future(),
    }

    class Kv(Base):
        def write(self, key: Any, value: Any) -> Any:
            return gives[kind]

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(TypeError, match=r"Kv.write gave a (generator|future)"):
            await client.write(1, 2)

    use(Kv, act)


@pytest.mark.parametrize(
    "error", [StopIteration(3), asyncio.CancelledError("driver"), SystemExit(3)]
)
def test_odd_things_that_are_raised_reach_the_caller(error: BaseException) -> None:
    class Kv(Base):
        def read(self, key: Any) -> Any:
            raise error

    async def act(client: Any, server: Server) -> None:
        with pytest.raises((RuntimeError, asyncio.CancelledError, SystemExit)):
            await client.read(1)

    use(Kv, act)


def test_a_blocked_call_ends_when_the_client_is_closed() -> None:
    ended = threading.Event()

    class Kv(Base):
        def read(self, key: Any) -> Any:
            try:
                return super().read(key)
            finally:
                ended.set()

    async def act(client: Any, server: Server) -> None:
        call = asyncio.create_task(client.read("mute"))
        while server.heard != ["mute"]:  # noqa: ASYNC110 - The server is a list of lines.
            await asyncio.sleep(0.001)
        call.cancel()
        await client.close()

        assert await asyncio.to_thread(ended.wait, 5)

    use(Kv, act)


def test_clients_that_never_return_are_bounded_and_end_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain, "THREADS_MAX", 3)
    monkeypatch.setattr(plain, "CLOSE_LIMIT_S", 0.01)
    go_on = threading.Event()

    class Kv(Base):
        def read(self, key: Any) -> Any:
            go_on.wait()

    async def main() -> list[Any]:
        kind = PlainClients(Kv)
        server = Server()
        errors: list[Any] = []

        async def open_client(_: str) -> Client:
            store = await kind.open(
                Forwarders(server, "n1", (80,), {}), store="registers", directory=Path()
            )
            return _Reading(store)

        history = await interpret(
            [Invocation("read") for _ in range(5)],
            open_client=open_client,
            nodes=["n1"],
            concurrency=1,
            nemeses={},
            rng=stream(0, "generator"),
            record=lambda _: None,
            limits=TimeLimits(operation_s=0.4),
        )
        errors += [event.error for event in history if event.type is not Type.INVOKE]
        return errors

    try:
        errors = asyncio.run(main())
    finally:
        go_on.set()

    assert [each[0] for each in errors] == ["time-limit"] * 3 + ["no-client"] * 2
    assert errors[-1][1] == "3 blocking clients never returned: no more are made"


class _Reading:
    def __init__(self, store: Any) -> None:
        self._store = store

    async def invoke(self, invocation: Invocation) -> Completion:
        return invocation.ok(await self._store.read(0))

    async def close(self) -> None:
        await self._store.close()


def test_a_class_with_invoke_takes_operations_as_they_are() -> None:
    class Kv:
        def __init__(self, endpoint: Endpoint) -> None:
            self.driver = Driver(endpoint)

        def invoke(self, invocation: Invocation) -> Completion:
            return invocation.ok(self.driver.say(invocation.f))

        def close(self) -> None:
            self.driver.close()

    async def act(client: Any, server: Server) -> None:
        assert isinstance(client, Client)
        assert await client.invoke(Invocation("enqueue", 3)) == Completion(Type.OK, "enqueue")
        await client.close()
        server.is_down = True
        completion = await client.invoke(Invocation("enqueue", 3))
        assert completion.type is Type.FAIL

    use(Kv, act)


def test_the_stores_follow_from_the_methods() -> None:
    class Elements:
        def add(self, element: int) -> None: ...

        def elements(self) -> list[int]:
            return []

    assert PlainClients(Base).stores == ("registers",)
    assert PlainClients(Elements).stores == ("elements",)
    assert PlainClients(Base).has("read")
    assert not PlainClients(Base).has("is_leader")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (type("Empty", (), {}), "expected Empty to have the methods of a store .* found none"),
        (7, "expected a class or a Program as the client, got 7"),
    ],
)
def test_what_is_no_client_is_one_clear_line(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlainClients(made)


def test_one_class_of_exceptions_may_be_named_and_nothing_else() -> None:
    class One(Base):
        not_applied = ConnectionRefusedError

    class Text(Base):
        not_applied = ("OSError",)

    assert PlainClients(One).says_not_applied(ConnectionRefusedError())
    with pytest.raises(ValueError, match=r"Text.not_applied to be classes .*, got 'OSError'"):
        PlainClients(Text)


class Steps:
    """Transactions of lines; `rollback` is refused where none was begun."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.driver = Driver(endpoint)
        self.is_begun = False

    def begin(self) -> None:
        self.driver.say("begin")
        self.is_begun = True

    def read_list(self, key: int) -> Any:
        return [len(self.driver.say(f"read {key}"))]

    def append(self, key: int, value: int) -> None:
        self.driver.say("reset" if value == 13 else f"append {key} {value}")

    def commit(self) -> None:
        self.driver.say("commit")

    def rollback(self) -> None:
        assert self.is_begun
        self.driver.say("rollback")

    def close(self) -> None:
        self.driver.close()


TRANSACTION = Invocation("txn", [["append", 1, 2], ["r", 1, None]])


def test_transaction_is_made_step_by_step() -> None:
    async def act(client: Any, server: Server) -> None:
        completion = await TransactionClient(client, Reading.LISTS).invoke(TRANSACTION)

        assert (completion.type, completion.value[1]) == (Type.OK, ["r", 1, [6]])
        assert server.heard == ["begin", "append 1 2", "read 1", "commit"]

    use(Steps, act, store="transactions")


@pytest.mark.parametrize("refused", ["append", "commit"])
def test_step_of_which_nothing_was_sent_fails_the_transaction_without_a_rollback(
    refused: str,
) -> None:
    """Its connections are reset, and the transaction is gone with them."""

    class Kv(Steps):
        def _fail(self) -> None:
            self.driver.close()
            raise ConnectionError("not connected")

    setattr(Kv, refused, lambda self, *_: self._fail())

    async def act(client: Any, server: Server) -> None:
        completion = await TransactionClient(client, Reading.LISTS).invoke(TRANSACTION)

        assert completion.type is Type.FAIL
        assert "nothing was sent" in completion.error[1]
        assert "rollback" not in server.heard

    use(Kv, act, store="transactions")


def test_step_that_was_sent_and_not_answered_leaves_the_outcome_open() -> None:
    asked = Invocation("txn", [["append", 1, 13]])

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(ConnectionResetError):
            await TransactionClient(client, Reading.LISTS).invoke(asked)
        assert server.heard == ["begin", "reset"]

    use(Steps, act, store="transactions")


@pytest.mark.parametrize("answer", [None, "[1]", {1}, [1.0], [True]])
def test_list_that_is_none_is_a_mistake_in_the_client(answer: Any) -> None:
    class Kv(Steps):
        def read_list(self, key: int) -> Any:
            return answer

    async def act(client: Any, server: Server) -> None:
        with pytest.raises(TypeError, match="expected a list of ints, in their order"):
            await TransactionClient(client, Reading.LISTS).invoke(TRANSACTION)

    use(Kv, act, store="transactions")
