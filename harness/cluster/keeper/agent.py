"""
The agent: PID 1 of a container that is a node's host; requests come on stdin, answers on stdout.

A node is two containers, as a pod is: a host, which holds the network and runs this, and the node's
own, which joins the host's network and PID namespaces and can be of any image. So the agent sees
and signals all processes of the node, reads from /proc what the kernel says of them, and outlives
them. It ends when stdin ends, and then the kernel ends them all.

As a guest it is not PID 1: it joins the namespaces of a container that somebody else made, and ends
with it. It signals nobody there, and when stdin ends it takes back what faults left of rules.

A line is one JSON object: a request `{"id", "verb", ...}`, whose verb is one of our methods, is
answered `{"id", "result"}` or `{"id", "error": [errno, text]}`. Requests overlap. Any exception but
OSError is our mistake, and ends the host with its traceback.
"""

# ruff: noqa: ASYNC220, ASYNC230, PTH115, PTH123, PTH208 - These calls take a millisecond at most.

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from . import cgroups, messages, processes
from .network import PROBE_PORT

_GLANCE_S = 0.002
_RESEND_S = 0.02
_LINGER_S = 1.0
"""How long probes go on after their time, for destinations that have begun a little later."""
_PROBES_KEPT = 1000
_MESSAGE_BYTES_MAX = 1 << 24
_RELAYED_BYTES = 1 << 16
_LISTENING = "0A"
_BOUND = "07"
_CGROUPS = "/cgroup"
"""Where the groups of the engine's machine are mounted; our cgroup namespace is that machine's."""

_TABLES = "dissever"
"""How the names of all tables of ours begin."""

RELAY_PORT = 9
"""The port of discard, RFC 863: no system listens there. TCP, as that of probes is UDP."""


def main() -> None:
    """Answer requests until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(_Agent().run())


class _Agent:
    def __init__(self) -> None:
        self._is_guest = os.getpid() != 1
        self._helpers: set[int] = set()
        """PID, and so session, of each command and helper of ours."""
        self._kept: list[subprocess.Popen[bytes]] = []
        self._arrived: deque[tuple[str, str]] = deque(maxlen=_PROBES_KEPT)
        """(token, source) of each datagram that came; a request may come after its datagrams."""
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._probe.bind(("0.0.0.0", PROBE_PORT))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._probe, self._arrive)
        if not self._is_guest:
            await asyncio.start_server(_relay, "0.0.0.0", RELAY_PORT)
        requests = asyncio.StreamReader(limit=_MESSAGE_BYTES_MAX)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
        while line := await requests.readline():
            request = json.loads(line)
            task = asyncio.create_task(self._answer(request.pop("id"), request))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        if self._is_guest:
            await self.tidy()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            sys.excepthook(type(error), error, error.__traceback__)
            os._exit(1)

    async def _answer(self, number: int, request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": number}
        try:
            answer["result"] = await getattr(self, request.pop("verb"))(**request)
        except OSError as error:
            answer["error"] = [error.errno, error.strerror]
        os.write(sys.stdout.fileno(), messages.encoded(answer) + b"\n")

    # --- the node's processes -------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """The states of the main process's threads; "" when there is none."""
        main = self._main()
        return {"states": processes.states(main) if main else ""}

    async def signal_group(self, number: int) -> None:
        """Send a signal to the main process's group."""
        if main := self._main():
            processes.send([-main], signal.Signals(number))

    async def kill(self) -> None:
        """SIGKILL to all, until none is left."""
        await _until("end", self._all)
        self._reap()

    async def pause(self) -> None:
        await _until("stop", self._all)

    async def resume(self) -> None:
        await _until("continue", self._all)

    async def readings(self) -> dict[str, Any] | None:
        """What the kernel says of the main process's groups; None when there is none."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It may end meanwhile.
            if main := self._main():
                with open(f"/proc/{main}/cgroup") as groups:
                    return cgroups.readings_in(_CGROUPS, groups.read())
        return None

    def _all(self) -> list[int]:
        """Every process here but this one and its commands."""
        return [
            pid
            for pid in processes.everyone()
            if pid != 1 and processes.session(pid) not in self._helpers
        ]

    def _main(self) -> int | None:
        """The process whose parent is outside, as of all here only the engine's child is."""
        if self._is_guest:
            return 1
        return next((pid for pid in self._all() if processes.parent(pid) == 0), None)

    def _reap(self) -> None:
        """Orphans have become ours; commands are waited for where they were started."""
        for pid in self._all():
            if processes.parent(pid) == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    # --- commands of ours -----------------------------------------------------------------------

    async def command(self, argv: Sequence[str], stdin: str) -> dict[str, Any]:
        """Run a command here, and wait for it."""
        with subprocess.Popen(
            argv,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            # At once, or a fault of processes that comes in between would strike it.
            self._helpers.add(process.pid)
            out, err = await asyncio.to_thread(process.communicate, stdin.encode())
            self._helpers.discard(process.pid)
        return {
            "exit_status": process.returncode,
            "stdout": out.decode(errors="replace"),
            "stderr": err.decode(errors="replace"),
        }

    async def spawn(self, argv: Sequence[str], log: str) -> int:
        """Start a helper that runs until the host ends; what it says is appended to `log`."""
        with open(log, "ab") as file:
            process = subprocess.Popen(
                argv,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._helpers.add(process.pid)
        self._kept.append(process)
        return process.pid

    async def tidy(self) -> None:
        """End our helpers, and take back every rule of ours on the network of this host."""
        for helper in self._kept:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(helper.pid, signal.SIGKILL)
        tables = (await self.command(["nft", "list", "tables"], ""))["stdout"].splitlines()
        ours = [words for each in tables if (words := each.split())[-1].startswith(_TABLES)]
        if ours:
            deletes = "".join(f"delete {' '.join(words)}\n" for words in ours)
            await self.command(["nft", "-f", "-"], deletes)
        for line in (await self.command(["tc", "qdisc", "show"], ""))["stdout"].splitlines():
            _, kind, handle, _, device, *where = line.split()
            # The kernel's own have no handle, and are not at the root of a device of a container.
            if where[:1] == ["root"] and handle != "0:" and kind != "noqueue":
                await self.command(["tc", "qdisc", "delete", "dev", device, "root"], "")

    async def serves(self, pid: int, timeout_s: float) -> bool:
        """Wait until a helper listens on a port; whether it does in time."""
        deadline = time.monotonic() + timeout_s
        while not self._is_serving(pid):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_RESEND_S)
        return True

    def _is_serving(self, helper: int) -> bool:
        """Whether a process of the helper's session listens, or is bound for datagrams."""
        open_files = []
        for pid in processes.everyone():
            if processes.session(pid) == helper:
                with contextlib.suppress(OSError):
                    folder = f"/proc/{pid}/fd"
                    open_files += [os.readlink(f"{folder}/{each}") for each in os.listdir(folder)]
        tables = {"tcp": _LISTENING, "tcp6": _LISTENING, "udp": _BOUND, "udp6": _BOUND}
        return any(
            fields[3] == state and f"socket:[{fields[9]}]" in open_files
            for name, state in tables.items()
            for fields in _sockets(name)
        )

    # --- the network ----------------------------------------------------------------------------

    async def listens(self, port: int) -> bool:
        """Whether a process listens on a TCP port."""
        return any(
            fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
            for fields in (*_sockets("tcp"), *_sockets("tcp6"))
        )

    async def reach(
        self, token: str, targets: Sequence[str], sources: Sequence[str], timeout_s: float
    ) -> list[str]:
        """
        Send datagrams to the targets until `hush`, and wait for those of the sources.

        Returns:
            The sources whose datagrams of this token have arrived, by the time all have, at most
            after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        if targets:
            self._senders[token] = asyncio.create_task(
                self._send(token, targets, deadline + _LINGER_S)
            )
        missing = set(sources) - self._sources(token)
        while missing and time.monotonic() < deadline:
            await asyncio.sleep(_GLANCE_S)
            missing -= self._sources(token)
        return sorted(set(sources) - missing)

    async def hush(self, token: str) -> None:
        """Send no more datagrams of this token."""
        if sender := self._senders.pop(token, None):
            sender.cancel()

    async def _send(self, token: str, targets: Sequence[str], until: float) -> None:
        while time.monotonic() < until:
            for target in targets:
                with contextlib.suppress(OSError):  # One that cannot be sent will not arrive.
                    self._probe.sendto(token.encode(), (target, PROBE_PORT))
            await asyncio.sleep(_RESEND_S)
        self._senders.pop(token, None)

    def _sources(self, token: str) -> set[str]:
        return {source for heard, source in self._arrived if heard == token}

    def _arrive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                token, (source, _) = self._probe.recvfrom(64)
                came = token.decode(errors="replace"), source
                if came not in self._arrived:
                    self._arrived.append(came)


def _sockets(table: str) -> list[list[str]]:
    """The fields of each socket in a table of the kernel's; none where there is no such table."""
    with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as file:
        return [line.split() for line in file.readlines()[1:]]
    return []


async def _relay(outer: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    """
    Relay a connection to any port of this host, since only a few ports can be published.

    Its first line is the number of the port, or an address and a port. The first byte of the answer
    is the errno of the connection to that port, 0 when it stands; all other bytes are passed on.
    """
    address, _ = back.get_extra_info("sockname")
    try:
        *elsewhere, port = (await outer.readline()).decode(errors="replace").split()
        host = elsewhere[0] if elsewhere else address
        inner, on = await asyncio.open_connection(host, int(port))
    except (OSError, ValueError) as error:
        back.write(bytes([getattr(error, "errno", None) or errno.EINVAL]))
        back.close()
        return
    back.write(b"\0")
    await asyncio.gather(_pass_on(outer, on, back), _pass_on(inner, back, on))
    for writer in (on, back):
        writer.close()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: asyncio.StreamWriter
) -> None:
    """Pass bytes on, and their end; when one connection breaks, the other one does too."""
    try:
        while data := await reader.read(_RELAYED_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()
        other.transport.abort()


async def _until(what: str, pids: Callable[[], list[int]]) -> None:
    """As `processes.signal_until`."""
    for wait_s in processes.signal_until(what, pids):
        await asyncio.sleep(wait_s)
