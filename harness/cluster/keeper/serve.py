"""
PID 1 of a cluster: answers the harness's requests, reaps, and sees probes arrive. One thread.

The control socket is SOCK_SEQPACKET: a message is one JSON object, and descriptors belong to the
message they come with. A request `{"id", "verb", ...}` is answered `{"id", "result"}` or
`{"id", "error": [errno, text]}`; `{"event": "exit", ...}` comes unasked. Requests overlap. Only
OSErrors are answered: any other exception is our mistake, and ends the cluster with its traceback.
"""

# ruff: noqa: PTH103, PTH123 - As in nodes.py.

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from . import kernel, messages, network, processes
from .cgroups import Groups
from .nodes import Node, Task

_MESSAGE_BYTES_MAX = 1 << 20
_PATIENCE_S = 3600.0
_RESEND_S = 0.02
_SCRATCH_BYTES = 1 << 24
_SETTLE_S = 10.0


def serve(control: int, outer_proc: int, groups: Groups) -> None:
    """Answer requests until the harness closes the socket."""
    with socket.socket(fileno=control) as channel, contextlib.suppress(_HarnessGone):
        _Server(channel, outer_proc, groups).run()


class _HarnessGone(Exception):
    """The harness closed the control socket: no error, but how every cluster ends."""


class _Server:
    def __init__(self, channel: socket.socket, outer_proc: int, groups: Groups) -> None:
        self._groups = groups
        self._channel = channel
        self._outer_proc = outer_proc
        self._home = -1
        self._nodes: dict[str, Node] = {}
        self._tasks: dict[int, tuple[Task, float]] = {}
        self._helpers: dict[int, int | None] = {}
        """PID, and so session, of each command of ours -> its exit status once reaped."""
        self._probes: dict[tuple[str, bytes], bool] = {}
        """(destination, datagram) -> whether it arrived, while somebody waits for it."""
        self._numbers = itertools.count()
        self._readers: dict[int, Callable[[], None]] = {}
        self._poller = select.poll()

    def run(self) -> None:
        self._listen(self._channel.fileno(), self._receive)
        self._watch_children()
        while True:
            waits = [wait for _, wait in self._tasks.values()]
            ready = self._poller.poll(min(waits, default=_PATIENCE_S) * 1000)
            for descriptor, _ in ready:
                self._readers[descriptor]()
            self._reap()
            for number in tuple(self._tasks):
                self._step(number)

    def _listen(self, descriptor: int, reader: Callable[[], None]) -> None:
        self._readers[descriptor] = reader
        self._poller.register(descriptor, select.POLLIN)

    def _watch_children(self) -> None:
        """Have SIGCHLD wake the poll; reaping itself is left to the loop."""
        hear, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._listen(hear, lambda: _drain(hear))

    def _receive(self) -> None:
        try:
            message = self._channel.recv(_MESSAGE_BYTES_MAX)
        except ConnectionResetError:
            message = b""
        if not message:
            raise _HarnessGone
        request = json.loads(message)
        number = request.pop("id")
        verb = request.pop("verb")
        if verb in _OF_NODES:
            task: Task = getattr(self._nodes[request.pop("node")], verb)(**request)
        else:
            task = _VERBS[verb](self, **request)
        self._tasks[number] = task, 0.0

    def _step(self, number: int) -> None:
        """Let a task go on, and answer when it is done."""
        task, _ = self._tasks[number]
        try:
            self._tasks[number] = (task, next(task))
            return
        except StopIteration as done:
            answer = {"id": number, "result": done.value}
        except OSError as error:
            answer = {"id": number, "error": [error.errno, error.strerror]}
        del self._tasks[number]
        sockets = answer["result"] if isinstance(answer.get("result"), _Sockets) else _Sockets()
        if sockets:
            answer["result"] = len(sockets)
        self._send(answer, sockets)
        for each in sockets:
            each.close()

    def _send(self, message: dict[str, Any], sockets: Sequence[socket.socket] = ()) -> None:
        try:
            descriptors = [each.fileno() for each in sockets]
            socket.send_fds(self._channel, [messages.encoded(message)], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise _HarnessGone from None

    def _reap(self) -> None:
        """Take note of every child that has ended, ours and orphans."""
        with contextlib.suppress(ChildProcessError):
            while (child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._ended(child[0], os.waitstatus_to_exitcode(child[1]))

    def _ended(self, pid: int, exit_status: int) -> None:
        if pid in self._helpers:
            self._helpers[pid] = exit_status
        for name, node in self._nodes.items():
            if node.pid == pid:
                node.ended(exit_status)
                self._send(
                    {
                        "event": "exit",
                        "node": name,
                        "incarnation": node.incarnation,
                        "exit_status": exit_status,
                        "is_asked": node.is_ending,
                    }
                )

    def _open(
        self,
        nodes: Sequence[dict[str, str]],
        bridge: str,
        ip: str,
        disk_bytes: int | None,
        faultfs: str | None,
        mapped: bool = False,
    ) -> Task:
        """
        Make the network and the disks, once, and see every host reach every other.

        That also fills their tables of neighbours: from then on a probe that is late is lost.

        Args:
            disk_bytes: The size of each node's own disk; None: its data is on the machine's.
            faultfs: The program that each node's data goes through; None: none.
            mapped: Whether files can be mapped there.
        """
        names = [node["name"] for node in nodes]
        self._home, ns = network.new_namespaces(len(nodes))
        made = yield from self._command([ip, "-batch", "-"], network.links(bridge, ns), self._home)
        if made["exit_status"]:
            raise OSError(0, f"{ip}: {made['stderr'].strip()}")
        hosts = network.settle(self._home, names, [node["address"] for node in nodes], ns)
        for node, host in zip(nodes, hosts, strict=True):
            self._nodes[host.name] = Node(
                host, node["directory"], self._outer_proc, self._helpers, self._groups
            )
            self._listen(host.probe.fileno(), lambda host=host: self._arrive(host))  # type: ignore[misc]
            if disk_bytes is not None:
                kernel.mount_tmpfs(self._nodes[host.name].disk, disk_bytes)
            if faultfs is not None:
                yield from self._mount_faultfs(faultfs, node["directory"], mapped=mapped)
        arrived = yield from self._reach(list(itertools.permutations(names, 2)), _SETTLE_S)
        if not all(arrived):
            raise OSError(0, "hosts of a new cluster do not reach each other")

    def _mount_faultfs(self, program: str, directory: str, *, mapped: bool) -> Task:
        """It serves from the background, in the bridge's network: no fault of a node's hits it."""
        folder = f"{directory}/faultfs"
        os.makedirs(folder, exist_ok=True)
        kernel.mount_tmpfs(folder, _SCRATCH_BYTES)  # Its socket ends with us.
        argv = [program, "mount", f"{directory}/data", f"{folder}/sock"]
        argv += ["mapped"] if mapped else []
        done = yield from self._command(argv, "", self._home)
        if done["exit_status"]:
            raise OSError(0, f"{done['stderr'].strip()}")

    def _keep(self, nodes: Sequence[str], cp: str) -> Task:
        """Copy what is on nodes' own disks to where it is found once the cluster is gone."""
        for node in nodes:
            each = self._nodes[node]
            argv = [cp, "-a", f"{each.disk}/.", f"{each.folder}/."]
            yield from self._command(argv, "", self._home)

    def _run(self, node: str, argv: Sequence[str], stdin: str) -> Task:
        """Run a command on a node's host."""
        return self._command(argv, stdin, self._nodes[node].host.ns)

    def _command(self, argv: Sequence[str], stdin: str, ns: int) -> Task:
        """Run a command of ours in a network namespace, and wait for it."""
        with contextlib.ExitStack() as stack:
            given, out, err = streams = [
                stack.enter_context(open(os.memfd_create(name), "w+b"))
                for name in ("stdin", "stdout", "stderr")
            ]
            given.write(stdin.encode())
            given.seek(0)
            pid, _ = self._begin(argv, ns, streams)
            while self._helpers[pid] is None:
                yield _PATIENCE_S
            return {"exit_status": self._helpers.pop(pid), "stdout": _all(out), "stderr": _all(err)}

    def _spawn(self, node: str, argv: Sequence[str], log: str) -> Task:
        """Start a helper of ours on a node's host, and leave it running."""
        yield from ()
        with open("/dev/null", "rb") as nothing, open(log, "ab") as said:
            return self._begin(argv, self._nodes[node].host.ns, (nothing, said, said))[1]

    def _begin(self, argv: Sequence[str], ns: int, streams: Sequence[IO[bytes]]) -> tuple[int, int]:
        """Start a process of ours: as `processes.spawn`."""
        pid, outer_pid = processes.spawn(
            argv,
            environment=os.environ,
            directory="/",
            ns=ns,
            streams=streams,
            outer_proc=self._outer_proc,
        )
        self._helpers[pid] = None
        return pid, outer_pid

    def _scratch(self, path: str) -> Task:
        """Lay an empty disk over a folder, for us alone: what is put there ends with us."""
        yield from ()
        kernel.mount_tmpfs(path, _SCRATCH_BYTES)

    def _reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Task:
        """Send a datagram for each pair, again and again, until all have arrived or time is up."""
        number = next(self._numbers)
        keys = [(pair[1], f"{number} {i}".encode()) for i, pair in enumerate(pairs)]
        self._probes.update(dict.fromkeys(keys, False))
        deadline = time.monotonic() + timeout_s
        again = 0.0
        while (now := time.monotonic()) < deadline and not all(self._probes[key] for key in keys):
            if now >= again:
                self._launch(pairs, keys)
                again = now + _RESEND_S
            yield min(again, deadline) - now
        return [self._probes.pop(key) for key in keys]

    def _launch(self, pairs: Sequence[tuple[str, str]], keys: Sequence[tuple[str, bytes]]) -> None:
        """Send the datagrams that have not arrived yet. One that cannot be sent has not arrived."""
        for (source, destination), key in zip(pairs, keys, strict=True):
            if not self._probes[key]:
                address = self._nodes[destination].host.address, network.PROBE_PORT
                with contextlib.suppress(OSError):
                    self._nodes[source].host.probe.sendto(key[1], address)

    def _arrive(self, host: network.Host) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                key = (host.name, host.probe.recv(64))
                if key in self._probes:
                    self._probes[key] = True

    def _sockets(self, count: int) -> Task:
        """Fresh TCP sockets that connect from where the bridge is."""
        yield from ()
        return _Sockets(socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count))


class _Sockets(tuple[socket.socket, ...]):
    """A result that travels as descriptors."""

    __slots__ = ()


def _all(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(_MESSAGE_BYTES_MAX).decode(errors="replace")


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)


_VERBS: dict[str, Callable[..., Task]] = {
    "open": _Server._open,
    "scratch": _Server._scratch,
    "run": _Server._run,
    "spawn": _Server._spawn,
    "keep": _Server._keep,
    "reach": _Server._reach,
    "sockets": _Server._sockets,
}

_OF_NODES = {"start", "stop", "kill", "pause", "resume", "status", "limit", "readings", "lift"}
"""Verbs that a node answers."""
