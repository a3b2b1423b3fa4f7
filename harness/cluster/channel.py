"""
The harness's end of a keeper: starts it, sends requests, receives answers and events, sees it end.

Requests to a keeper, or to the agent of a pod, overlap, and answers come in any order.

The keeper is watched through a pidfd in the event loop, so that nothing here blocks or needs a
thread, and is given a pidfd of the harness, so that it ends with the harness however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, Final

from dissever.harness.cluster import ClusterLost

MESSAGE_BYTES_MAX = 1 << 20
"""No message of the keeper is longer. The kernel's limit for ours is about 200 KB."""

_KEEPER = Path(__file__).parent / "keeper" / "__main__.py"
_DESCRIPTORS_MAX = 64
_CLOSE_S = 10.0
_REASON_CHARS_MAX = 2000


_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
"""All that anything in a cluster has of the harness's environment, which may hold secrets."""

_ANSWER_S: Final = 30.0
"""Longer than anything takes there, apart from the time limit that a request names itself."""


def inherited() -> dict[str, str]:
    """What nodes, and the keeper and its helpers, have of the harness's environment."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def start_keeper(log: IO[bytes]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a keeper that writes what goes wrong to `log`; the caller closes and waits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    harness = os.pidfd_open(os.getpid())
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _KEEPER, str(theirs.fileno()), str(harness)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=inherited(),
            pass_fds=(theirs.fileno(), harness),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(harness)
    return process, ours


class Requests:
    """
    The requests that wait.

    Args:
        whom: Who answers, for messages.
        send: Sends one request, encoded as JSON.
    """

    def __init__(self, whom: str, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._whom = whom
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """
        Send a request, and wait for its result.

        Raises:
            ClusterLost: When there is no answer in time.
            OSError: Of the class of the errno in the answer.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        limit_s = _ANSWER_S + arguments.get("timeout_s", 0.0)
        try:
            async with asyncio.timeout(limit_s) as limit:
                await self._send(json.dumps({"id": number, "verb": verb, **arguments}).encode())
                return await answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ClusterLost(f"{self._whom}: no {verb} within {limit_s:g} s") from error
        finally:
            self._waiting.pop(number, None)

    def take(self, answer: dict[str, Any], extra: tuple[Any, ...] = ()) -> bool:
        """
        Give an answer to the one who waits for it; whether there was one.

        Args:
            extra: What came with the result; with it the result is a tuple of both.
        """
        future = self._waiting.get(answer["id"])
        if future is None or future.done():
            return False
        if "error" in answer:
            future.set_exception(OSError(*answer["error"]))
        else:
            future.set_result((answer["result"], *extra) if extra else answer["result"])
        return True

    def lose(self, error: ClusterLost) -> None:
        """No answer will come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


class Channel:
    """
    A keeper that runs. Belongs to the event loop it was made in.

    Args:
        log: Where the keeper's own stderr goes.
        hear: Is called with each event.
    """

    def __init__(self, log: Path, hear: Callable[[dict[str, Any]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._hear = hear
        self._requests = Requests("the keeper", self._say)
        self._sending = asyncio.Lock()
        self._gone = asyncio.Event()
        self._is_closed = False
        with log.open("ab") as file:
            self._process, self._socket = start_keeper(file)
        self._socket.setblocking(False)
        self._ended = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._socket, self._receive)
        self._loop.add_reader(self._ended, self._lose)

    async def request(self, verb: str, **arguments: Any) -> Any:
        """
        Ask the keeper, and wait for its result.

        Raises:
            ClusterLost: When the keeper is gone.
            OSError: Of the class of the errno that the keeper met.
        """
        return (await self.request_descriptors(verb, **arguments))[0]

    async def request_descriptors(self, verb: str, **arguments: Any) -> Any:
        """Ask the keeper; its result and the descriptors with it, which the caller closes."""
        if self._is_closed or self._gone.is_set():
            raise ClusterLost(self._reason())
        return await self._requests.ask(verb, **arguments)

    async def _say(self, message: bytes) -> None:
        """Send one message. To a keeper that is ending it is lost: `_lose` answers in its place."""
        async with self._sending:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await self._loop.sock_sendall(self._socket, message)

    async def close(self) -> None:
        """End the keeper, and with it everything it holds; wait until it is gone. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._socket)
            # A child of the harness may hold a copy: closing ours would not be the end of it.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        try:
            await asyncio.wait_for(self._gone.wait(), _CLOSE_S)
        except TimeoutError:
            self._process.kill()
            await self._gone.wait()

    def _receive(self) -> None:
        """Take one message. At its end the keeper is about to be gone: `_lose` has the reason."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._socket, MESSAGE_BYTES_MAX, _DESCRIPTORS_MAX
            )
        except BlockingIOError:
            return
        except ConnectionResetError:
            message, descriptors = b"", []
        if not message:
            self._loop.remove_reader(self._socket)
            return
        answer = json.loads(message)
        if "event" in answer:
            self._hear(answer)
            return
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        if not self._requests.take(answer, (descriptors,)):
            for descriptor in descriptors:
                os.close(descriptor)

    def _lose(self) -> None:
        """The keeper has ended: whatever waits for it fails."""
        self._loop.remove_reader(self._ended)
        os.close(self._ended)
        self._process.wait()
        self._gone.set()
        if not self._is_closed:
            self._loop.remove_reader(self._socket)
        self._requests.lose(ClusterLost(self._reason()))

    def _reason(self) -> str:
        if self._is_closed:
            return "the cluster was closed"
        with contextlib.suppress(OSError):
            if said := self._log.read_text(errors="replace").strip():
                return f"the keeper ended: {said[-_REASON_CHARS_MAX:]}"
        return f"the keeper ended with status {self._process.returncode}"
