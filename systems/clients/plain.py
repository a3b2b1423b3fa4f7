"""
Clients that are plain classes with methods, blocking or `async`, as any driver's user writes them.

A class is made with an `Endpoint`. If none of its methods is `async`, it lives in a daemon thread
of its own: it is made there, and called there. Otherwise it lives on the harness's event loop,
which a method must not block.

Evidence decides the outcome. When a method raises, the client's connections are reset. If not one
byte was passed on to a node since the operation began, the operation had no effect and cannot have
one later: `NotApplied`. Every other exception leaves the outcome unknown, unless the class names it
in `not_applied`, or raises `NotApplied` itself. In containers, a driver can also reach nodes by the
addresses that they tell it. So nothing is concluded there, unless the class says that it
`uses_endpoint_only`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from dissever.harness.bugs import is_bug
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.forward import Forwarders
from dissever.harness.missing import Missing
from dissever.harness.values import quoted, reason
from dissever.systems.clients import blocked, stores_of
from dissever.systems.clients.shapes import check_done, check_shape

__all__ = ["PlainClients"]

log = logging.getLogger(__name__)

THREADS_MAX: Final = 500
"""
Of blocking clients that live, or were given up and never returned. A client is refused beyond it.
"""

CLOSE_LIMIT_S: Final = 1.0

_NO_OPERATIONS: Final = frozenset({"close", "digest", "is_leader", "ping", "tick"})
"""What a client is asked that is no operation of a workload."""

_Result: TypeAlias = tuple[Any, BaseException | None]


class PlainClients:
    """Makes clients of a plain class; a `ClientKind`."""

    def __init__(self, made: Callable[..., Any]) -> None:
        """
        `made`: a class, called with an `Endpoint`.

        Raises:
            ValueError: When it is none.
        """
        if not inspect.isclass(made):
            raise ValueError(f"expected a class or a Program as the client, got {quoted(made)}")
        self._class = made
        methods = [m for name, m in inspect.getmembers(made) if not name.startswith("_")]
        self._is_async = any(map(inspect.iscoroutinefunction, methods))
        self._is_watched = False
        self._threads: set[_Thread] = set()
        self._not_applied = _not_applied(made)
        if self.stores == () and not self._has_operations():
            raise ValueError(
                f"expected {made.__name__} to have the methods of a store (read, write and"
                " compare_and_set, add and elements, or begin, commit and rollback), those that a"
                " workload of yours calls, or invoke; found none of them"
            )

    @property
    def stores(self) -> tuple[str, ...] | None:
        return None if self.has("invoke") else stores_of(self.has)

    def _has_operations(self) -> bool:
        """Whether it has a method that a workload may call."""
        return any(self.has(name) for name in dir(self._class) if name not in _NO_OPERATIONS)

    def has(self, method: str) -> bool:
        return not method.startswith("_") and callable(getattr(self._class, method, None))

    def named(self, method: str) -> str:
        """What messages call a method: `Client.read`."""
        return f"{self._class.__name__}.{method}"

    def probe(self) -> Missing | None:
        return None

    async def open(self, forwarders: Forwarders, *, store: str, directory: Path) -> Any:
        kind = _Invoking if self.has("invoke") else PlainClient
        return await kind.opened(self, forwarders, store)

    async def session(self, forwarders: Forwarders) -> _Session:
        """A client that is made now. Raises what making it raises; it is closed then."""
        if self._is_async and not self._is_watched:
            self._is_watched = True
            blocked.watch(inspect.getfile(self._class))
        session = _Session(forwarders, None if self._is_async else self._thread(forwarders))
        try:
            await session.make(self._class)
        except BaseException:
            forwarders.reset()
            await session.close()
            raise
        return session

    def _thread(self, forwarders: Forwarders) -> _Thread:
        if len(self._threads) >= THREADS_MAX:
            forwarders.reset()
            raise OSError(f"{THREADS_MAX} blocking clients never returned: no more are made")
        return _Thread(f"client of {forwarders.endpoint.node}", self._threads)

    def sees_all(self, forwarders: Forwarders) -> bool:
        """
        Whether all that a client sends passes its forwarders.

        Elsewhere a driver may follow the addresses that nodes tell it, past the forwarders, so the
        class has to say that its driver does not.
        """
        is_promised = getattr(self._class, "uses_endpoint_only", False) is True
        return is_promised or forwarders.cluster.backend.is_apart

    def says_not_applied(self, error: BaseException) -> bool:
        """Whether it is one of those that the class names."""
        return isinstance(error, self._not_applied)


def _not_applied(made: type) -> tuple[type[BaseException], ...]:
    """Raises ValueError when a class names what is no class of exceptions."""
    named = getattr(made, "not_applied", ())
    kinds = named if isinstance(named, tuple | list) else (named,)
    for kind in kinds:
        if not (inspect.isclass(kind) and issubclass(kind, BaseException)):
            expected = f"expected {made.__name__}.not_applied to be classes of exceptions"
            raise ValueError(f"{expected}, got {quoted(kind)}")
    return tuple(kinds)


class PlainClient:
    """
    The store that a plain class is: each of its methods, made `async`.

    After an operation of which nothing was sent, a new object of the class is made.
    """

    def __init__(self, kind: PlainClients, forwarders: Forwarders, store: str) -> None:
        """Of no use before `opened`, which is what to call."""
        self._kind = kind
        self._store = store
        self._forwarders = forwarders
        self._session: _Session | None = None

    @classmethod
    async def opened(cls, kind: PlainClients, forwarders: Forwarders, store: str) -> PlainClient:
        client = cls(kind, forwarders, store)
        client._session = await kind.session(forwarders)
        return client

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if not self._kind.has(method):
            raise AttributeError(f"the client has no method {method}")

        async def call(*arguments: Any) -> Any:
            if method == "rollback" and self._session is None:
                return None  # The transaction went with its connections.
            answer = await self._call(method, arguments)
            check_shape(self._store, method, answer, self._kind.named(method))
            return answer

        return call

    async def close(self) -> None:
        """Reset its connections at once, so that a blocked call ends; then close it."""
        self._forwarders.reset()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        session = await self._opened()
        mark = self._forwarders.mark()
        try:
            return await session.call(method, arguments)
        except NotApplied:
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if is_bug(error) or (task is not None and task.cancelling()):
                raise
            if self._kind.says_not_applied(error):
                raise NotApplied(reason(error)) from error
            self._forwarders.reset()
            sees_all = self._kind.sees_all(self._forwarders)
            if sees_all and self._forwarders.passed_nothing_since(mark):
                await self.close()
                raise NotApplied(f"nothing was sent: {reason(error)}") from error
            raise

    async def _opened(self) -> _Session:
        if self._session is None:
            self._forwarders = self._forwarders.renewed()
            try:
                self._session = await self._kind.session(self._forwarders)
            except Exception as error:
                if is_bug(error):
                    raise
                raise NotApplied(f"no client: {reason(error)}") from error
        return self._session


class _Invoking(PlainClient):
    """A client whose class takes the operations of any workload itself."""

    async def invoke(self, invocation: Invocation) -> Completion:
        try:
            completion: Completion = await self._call("invoke", (invocation,))
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])
        return completion


class _Session:
    """One object of the user's class, where it lives: in a thread, or on the event loop."""

    def __init__(self, forwarders: Forwarders, thread: _Thread | None) -> None:
        """`thread`: where it lives; None: on the event loop."""
        self._forwarders = forwarders
        self._thread = thread
        self._made: Any = None

    async def make(self, kind: Callable[..., Any]) -> None:
        self._made = await self._do(kind, self._forwarders.endpoint)

    async def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return await self._do(getattr(self._made, method), *arguments)

    async def close(self) -> None:
        """Close what was made; what does not end in time is left behind."""
        try:
            if callable(ending := getattr(self._made, "close", None)):
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await self._do(ending)
        except (Exception, SystemExit) as error:  # It is of no more use either way.
            if is_bug(error):
                raise
            log.debug("closing a client: %s", reason(error))
        finally:
            if self._thread is not None:
                self._thread.end()

    async def _do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._thread is not None:
            answer = await self._thread.run(function, arguments)
        else:
            answer = function(*arguments)
            answer = await answer if inspect.isawaitable(answer) else answer
        check_done(answer, getattr(function, "__qualname__", repr(function)))
        return answer


class _Thread:
    """A daemon thread that does one thing after another; it keeps no program from ending."""

    def __init__(self, name: str, alive: set[_Thread]) -> None:
        """`alive`: it is in this set until it has ended."""
        self._alive = alive
        alive.add(self)
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._live, name=name, daemon=True).start()

    async def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """What the function returns or raises."""
        future: asyncio.Future[_Result] = self._loop.create_future()
        self._work.put((future, function, arguments))
        answer, error = await future
        if error is not None:
            raise error
        return answer

    def end(self) -> None:
        """Once it has done what it was given."""
        self._work.put(None)

    def _live(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                future, function, arguments = work
                result: _Result
                try:
                    result = function(*arguments), None
                except BaseException as error:
                    result = None, error
                self._loop.call_soon_threadsafe(_settle, future, result)
                del work, future, function, arguments, result
        except RuntimeError:  # The event loop has ended: nobody waits any more.
            pass
        finally:
            self._alive.discard(self)


def _settle(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)
