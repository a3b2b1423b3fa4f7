"""
A client that is a program: one JSON line asks it, one JSON line is its answer.

The protocol stands in docs/clients.md. Only a well-formed `ok` or `fail` says something about the
database. Whatever else comes, or does not come, is info, with the reason in the error. The program
is ended then, with all of its process group, and the next process of the run gets a new one.

The program ends with the harness, however that ends: its stdin ends, and where there is setpriv(1)
the kernel kills it. It is reaped only after its group was killed: until then the number of the
group cannot belong to anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.history import Key, Type
from dissever.harness.missing import Missing
from dissever.harness.values import quoted
from dissever.harness.vocabulary import NONSENSE
from dissever.systems.clients.answers import Ended, Nonsense, completion, error_of, parsed, request
from dissever.systems.clients.pipes import Lines, Log, TooLong

__all__ = ["Address", "Nonsense", "Program", "ProgramClient"]

ANSWER_BYTES_MAX: Final = 16 << 20
"""Of one line. A read of a set carries all of it."""

LOG_BYTES_MAX: Final = 1 << 20
"""Of one log file. What a program says beyond it is dropped."""

GRACE_S: Final = 0.5
"""How long a program may take to exit once its stdin has ended."""

_GLANCE_S: Final = 0.005

_END_S: Final = 0.5
"""How long the end of a program that closed its stdout, and of its stderr, is waited for."""


class Address(Protocol):
    """What a program learns of where to connect; an `Endpoint` is one."""

    @property
    def node(self) -> str:
        """The node that the client belongs to."""

    @property
    def address(self) -> str:
        """Where the node's first client port can be dialled: `127.0.0.1:41234`."""

    def dialable(self) -> Mapping[str, Mapping[str, str]]:
        """
        Node -> `host:port` in the cluster, for each client port -> where that can be dialled.

        The nodes, and the ports of each, come in their order.
        """


class Program:
    """
    A client that is a program, such as `client = Program("./myclient --fast")`.

    Args:
        command: Words, or one text. A text is split as a shell would do it, and then `{python}`
            in it is the interpreter of the harness, and `{here}` the folder of the system's file.
            That folder is the program's working directory.
        abilities: Which of the optional requests it answers: `ping`, `is_leader`, `tick`, `digest`.
    """

    def __init__(self, command: str | Sequence[str], *, abilities: Sequence[str] = ()) -> None:
        self.command = command
        self.abilities = tuple(abilities)
        self._numbers: dict[Path, set[int]] = {}

    def __repr__(self) -> str:
        return f"Program({self.command!r})"

    def argv(self, here: Path) -> list[str]:
        """
        The words of the command.

        Raises:
            ValueError: When there are none, or one has a name in braces that is not known.
        """
        try:
            argv = list(self.command)
            if isinstance(self.command, str):
                words = shlex.split(self.command)
                argv = [word.format(python=sys.executable, here=here) for word in words]
        except (LookupError, ValueError) as error:
            expected = "expected a command with no other names than {python} and {here} in braces"
            raise ValueError(f"{expected}, got {quoted(self.command)}: {error!r}") from error
        if not argv:
            raise ValueError(f"expected the command of a client, got {quoted(self.command)}")
        return argv

    def probe(self, here: Path) -> Missing | None:
        """Why it cannot be started, or None. It is started for that, and ended at once."""
        try:
            trial = _started(self.argv(here), here, subprocess.DEVNULL)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            reason = f"the client {quoted(self.command)} cannot be started in {here}: {why}"
            return Missing(reason, "name a program that can be executed there")
        _kill_group(trial.pid)
        trial.wait()
        return None

    async def open(
        self, endpoint: Address, *, store: str, here: Path, directory: Path
    ) -> ProgramClient:
        """
        Start it, and have it answer that it is ready for the operations of one process.

        Args:
            store: What the workload asks for, such as `registers`.
            here: The folder of the system's file.
            directory: The folder of the node, where what it says on stderr is `client-<n>.log`.

        Raises:
            OSError: When it cannot be started.
            NotApplied: When it answers that it is not ready.
            Nonsense: When it ends, or its answer is none.
        """
        argv, used = self.argv(here), self._numbers.setdefault(directory, set())
        number = next(each for each in range(1, len(used) + 2) if each not in used)
        log = Log(directory / f"client-{number}.log", LOG_BYTES_MAX)
        client = ProgramClient(_started([*_guard(), *argv], here, subprocess.PIPE), log, store)
        used.add(number)
        client.on_end = lambda: used.discard(number)
        try:
            await client.greet(endpoint)
        except BaseException:
            await asyncio.shield(client.close())
            raise
        return client


class ProgramClient:
    """
    A program that runs: a `Client` for the operations of any workload.

    `on_end` is called once, when the program has been ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Log, store: str) -> None:
        self._process = process
        self._log = log
        self._store = store
        self._answers = Lines(ANSWER_BYTES_MAX)
        self._number = 0
        self._is_waiting = False
        self._closing: asyncio.Task[None] | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self.on_end: Callable[[], object] = lambda: None

    async def greet(self, endpoint: Address) -> None:
        """Connect its streams, and have it open its node. Raises as `Program.open` does."""
        loop = asyncio.get_running_loop()
        process = self._process
        self._stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
        self._transports.append(self._stdin)
        out, _ = await loop.connect_read_pipe(lambda: self._answers, process.stdout)
        self._transports.append(out)
        err, _ = await loop.connect_read_pipe(lambda: self._log, process.stderr)
        self._transports.append(err)
        known = endpoint.dialable()
        value = {
            "node": endpoint.node,
            "address": endpoint.address,
            "nodes": {node: next(iter(ports.values())) for node, ports in known.items()},
            "translate": {
                inner: outer for ports in known.values() for inner, outer in ports.items()
            },
            "store": self._store,
        }
        answer = await self._ask(Invocation("open", value))
        if answer["type"] != Type.OK.value:
            raise NotApplied(f"the client is not ready: {error_of(answer)}")

    async def invoke(self, invocation: Invocation) -> Completion:
        """Apply an operation. The program is ended after nonsense."""
        try:
            return completion(await self._ask(invocation), invocation, self._store)
        except Nonsense as error:
            code = "program" if isinstance(error, Ended) else NONSENSE
            return invocation.info([code, str(error)])

    async def ask(self, f: str, key: Key | None = None) -> Any:
        """
        The value of a request that belongs to no operation, such as `is_leader`.

        Raises:
            NotApplied: When it answers fail or info, with the error that it gives.
            Nonsense: When its answer is none; the program is ended then.
        """
        answer = await self._ask(Invocation(f, key=key))
        if answer["type"] != Type.OK.value:
            raise NotApplied(str(error_of(answer)))
        return answer.get("value")

    @property
    def unasked(self) -> bytes:
        """What it has said and was not asked for."""
        return self._answers.waiting

    async def exits(self, limit_s: float) -> bool:
        """Whether it exits in time when its stdin ends. It is of no more use then."""
        if self._stdin is not None:
            self._stdin.close()
        return await self._has_exited(limit_s)

    async def close(self) -> None:
        """
        End the program and whatever is left of its process group.

        One that waits for a request may exit by itself: its stdin ends. Idempotent.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _ask(self, invocation: Invocation) -> dict[str, Any]:
        """One request, one answer. Without an answer the program is of no more use."""
        assert self._stdin is not None
        number, self._number = self._number, self._number + 1
        was_waiting, self._is_waiting = self._is_waiting, True
        if was_waiting:
            raise Nonsense("the program was asked again after it had not answered")
        if early := self.unasked:
            raise Nonsense(f"expected nothing before the next request, got {quoted(early)}")
        self._stdin.write(request(number, invocation))
        try:
            answer = parsed(await self._answers.next(), number)
        except TooLong:
            raise Nonsense(f"expected at most {ANSWER_BYTES_MAX:,} bytes in an answer") from None
        except EOFError:
            raise Ended(await self._why_it_ended()) from None
        self._is_waiting = False
        return answer

    async def _why_it_ended(self) -> str:
        part = self._answers.waiting
        what = f"got {quoted(part)} without the end of a line" if part else "got none"
        how = "it closed its stdout"
        if await self._has_exited(_END_S):
            how = f"it ended with {_end_of(self._process.pid)}"
            await _until(lambda: self._log.has_ended, _END_S)
        said = f"; its last words: {quoted(self._log.last_line)}" if self._log.last_line else ""
        return f"expected an answer, {what}: {how}{said}"

    async def _has_exited(self, limit_s: float) -> bool:
        """Wait for its end; whether it came in time. It is not reaped."""
        return await _until(lambda: _end_of(self._process.pid) is not None, limit_s)

    async def _close(self) -> None:
        try:
            if self._stdin is not None and not self._is_waiting:
                await self.exits(GRACE_S)
            _kill_group(self._process.pid)
            await self._has_exited(GRACE_S)
        finally:
            self._process.poll()
            for transport in self._transports:
                transport.close()
            streams = self._process.stdin, self._process.stdout, self._process.stderr
            for stream in streams[len(self._transports) :]:
                if stream is not None:
                    stream.close()
            self.on_end()


async def _until(is_so: Callable[[], bool], limit_s: float) -> bool:
    """Wait until it is so; whether that came in time."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_GLANCE_S)
    return True


def _started(argv: Sequence[str], here: Path, streams: int) -> subprocess.Popen[bytes]:
    """The program, as the leader of a session of its own. Raises OSError when it cannot be."""
    return subprocess.Popen(
        argv, cwd=here, stdin=streams, stdout=streams, stderr=streams, start_new_session=True
    )


def _kill_group(pid: int) -> None:
    """Kill the group of a leader that was not reaped yet."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _end_of(pid: int) -> str | None:
    """How a program that was not reaped yet has ended; None: it has not."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if end is None:
        return None
    return f"{'status' if end.si_code == os.CLD_EXITED else 'signal'} {end.si_status}"


@cache
def _guard() -> tuple[str, ...]:
    """The words before a command that have the kernel end it when the harness ends."""
    words = (shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL")
    try:
        trial = subprocess.run([*words, "true"], capture_output=True, check=False)
    except OSError:
        return ()
    return words if trial.returncode == 0 else ()
