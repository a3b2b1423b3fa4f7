"""
Processes in the keeper's PID namespace: start them, find a host's, read what they are doing.

A process belongs to the host whose network namespace it is in, so one that became a daemon, in a
session of its own, is found too. Everything is read from /proc, so it is what the kernel says.

Source: proc(5).
"""

# ruff: noqa: PTH115, PTH123, PTH208 - Importing pathlib would take longer than all the rest.

import errno
import os
import signal
import stat
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import IO

from . import kernel

_REPORT_BYTES_MAX = 64
_EXEC_FAILED = 127
_SETTLE_S = 10.0
"""How long a signal may take to show: a thread that waits for a disk answers none before."""
_GLANCE_S = 0.002

CHANGES: dict[str, tuple[signal.Signals, Callable[[str], object]]] = {
    "end": (signal.SIGKILL, lambda states: states),
    "stop": (signal.SIGSTOP, lambda states: set(states) - {"T"}),
    "continue": (signal.SIGCONT, lambda states: "T" in states),
}
"""What processes should do: the signal, and from a process's `states` whether it has yet to."""


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: str,
    ns: int,
    streams: Sequence[IO[bytes]],
    outer_proc: int,
    rights: Collection[int] | None = None,
    as_nobody: bool = False,
) -> tuple[int, int]:
    """
    Start a program in a network namespace, as the leader of a session of its own.

    Args:
        rights: The capabilities that it keeps; None: all of ours, since it is a helper of ours.
        as_nobody: Whether it sees itself as an ordinary user.
        ns: A descriptor of the network namespace.
        streams: What becomes its stdin, stdout and stderr.
        outer_proc: A descriptor of the /proc that the harness sees.

    Returns:
        Its PID here and its PID as the harness sees it. The program is running: exec has happened.

    Raises:
        OSError: When it cannot be started, with the reason of exec(2).
    """
    hear, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(tell, os.readlink("self", dir_fd=outer_proc).encode() + b" ")
            os.setsid()
            kernel.enter_network(ns)
            if as_nobody:
                kernel.appear_as_nobody()
            if rights is not None:
                kernel.give_up_rights(rights)
            os.chdir(directory)
            for number, stream in enumerate(streams):
                os.dup2(stream.fileno(), number)
            for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(each, signal.SIG_DFL)
            os.execvpe(argv[0], list(argv), environment)
        except OSError as error:
            os.write(tell, str(error.errno or 0).encode())
        finally:
            os._exit(_EXEC_FAILED)
    os.close(tell)
    with os.fdopen(hear, "rb") as report:
        words = report.read(_REPORT_BYTES_MAX).split()
    if len(words) != 1:
        os.waitpid(pid, 0)
        number = int(words[-1]) if words else 0
        raise OSError(number, f"{os.strerror(number)}: {argv[0]}")
    return pid, int(words[0])


def own_file(path: str, flags: int) -> int:
    """
    Open a file in a folder that a node may change: for `open`.

    Raises:
        OSError: When the node has put a link there, which could lead anywhere, or a pipe.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"expected a plain file: {path}")
    os.set_blocking(descriptor, True)
    return descriptor


def inhabitants(ns_inode: int, helpers: Collection[int]) -> list[int]:
    """
    The PIDs of the processes in a network namespace.

    Args:
        ns_inode: Which network namespace.
        helpers: Sessions of the keeper's own commands there; their processes are left out.
    """
    name = f"net:[{ns_inode}]"
    return [pid for pid in everyone() if _network(pid) == name and session(pid) not in helpers]


def states(pid: int) -> str:
    """The state letters of a process's live threads, such as "SR"; "" when it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return ""
    letters = (_stat(f"/proc/{pid}/task/{thread}/stat")[:1] for thread in threads)
    return "".join(letter[0] for letter in letters if letter and letter[0] not in "ZX")


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to each; one that is gone already is passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def signal_until(what: str, pids: Callable[[], list[int]]) -> Generator[float, None, None]:
    """
    Send the signal of a change to those processes that have not made it, until none is left.

    A process in vfork(2) stops only after its child has called exec(2) or has ended, and a child
    that was stopped before does neither. So the children of a process that waits in the kernel run
    until it has stopped.

    Args:
        what: One of `CHANGES`.
        pids: Finds the processes: new ones may come.

    Yields:
        How many seconds to wait before it goes on.

    Raises:
        TimeoutError: When some are left after a while.
    """
    number, is_left = CHANGES[what]
    deadline = time.monotonic() + _SETTLE_S
    while targets := [pid for pid in pids() if is_left(states(pid))]:
        awaited = _awaited(pids()) if number is signal.SIGSTOP else []
        send([pid for pid in awaited if "T" in states(pid)], signal.SIGCONT)
        send([pid for pid in targets if pid not in awaited], number)
        if time.monotonic() > deadline:
            message = f"processes did not {what} within {_SETTLE_S:g} s"
            raise TimeoutError(errno.ETIMEDOUT, message)
        yield _GLANCE_S


def _awaited(pids: Collection[int]) -> list[int]:
    """Those of the processes whose parent, one of them too, waits in the kernel."""
    waiting = {pid for pid in pids if "D" in states(pid)}
    return [pid for pid in pids if parent(pid) in waiting] if waiting else []


def everyone() -> list[int]:
    """The PIDs of all processes that /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _network(pid: int) -> str:
    """The name of a process's network namespace; "" once it is a zombie or gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def session(pid: int) -> int:
    """The session that a process is in; 0 when it is gone."""
    fields = _stat(f"/proc/{pid}/stat")
    return int(fields[3]) if fields else 0


def parent(pid: int) -> int:
    """The PID of a process's parent: 0 when that is outside; -1 when the process is gone."""
    fields = _stat(f"/proc/{pid}/stat")
    return int(fields[1]) if fields else -1


def _stat(path: str) -> list[str]:
    """The fields of a stat file from the state letter on; none when it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
