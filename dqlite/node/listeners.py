"""
The socket that a node listens at: the library binds it, and this module has it listen.

The library listens in the thread that `dqlite_node_start` begins. Linux binds several sockets to
one address (SO_REUSEADDR) as long as none of them listens. If another one listens first, that
thread ends without a word, and `dqlite_node_start` waits for it for ever: in 1.11.1, and still in
1.18.7. So the socket listens before the node is started. Who comes too late gets an error, and
when the library listens once more, it always succeeds.

Source: `taskRun` in `dqlite/src/server.c`.
"""

import os
import re
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dqlite.errors import NodeError

_DEFAULT_PORT = 8080
_BACKLOG = 128
"""The library's own."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The library's socket; it closes it only if the node has started."""

    descriptor: int
    inode: int

    def close(self) -> None:
        """Close it, for a node that did not start: the address would stay in use."""
        with suppress(OSError):
            if os.fstat(self.descriptor).st_ino == self.inode:
                os.close(self.descriptor)


def listen(bind: Callable[[], str]) -> Listener:
    """
    Have the library bind its socket, and listen there. One thread at a time may call this.

    Args:
        bind: Binds, and returns the address as the library says it. What it raises is raised.

    Raises:
        NodeError: If somebody else listens there.
    """
    before = _sockets()
    bound = bind()
    made = [each for inode, each in _sockets().items() if inode not in before]
    found = next((each for each in made if _is_bound(each.descriptor, bound)), None)
    if found is None:
        raise NodeError(f"expected a socket of the library at {bound}, found none")
    opened = socket.socket(fileno=found.descriptor)
    try:
        opened.listen(_BACKLOG)
    except OSError as cause:
        found.close()
        raise NodeError(f"cannot listen at {bound}: {cause.strerror}", cause.errno or 0) from cause
    finally:
        opened.detach()
    return found


def why_not(bind: str) -> str:
    """Say why an address cannot be bound, of which the library says no more than that."""
    try:
        endpoint = _endpoint(bind)
    except ValueError:
        return "expected host:port with a numeric host, [ipv6]:port, or @name"
    target: Any
    family, target = socket.AF_UNIX, "\0" + str(endpoint)[1:]
    if not isinstance(endpoint, str):
        family = socket.AF_INET6 if endpoint[0].version == 6 else socket.AF_INET
        target = (str(endpoint[0]), endpoint[1])
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(target)
        except OSError as error:
            return error.strerror or str(error)
    return "this libdqlite does not take such addresses"


def _sockets() -> dict[int, Listener]:
    """Return the sockets of this process by inode: a descriptor's number may be used again."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            status = os.fstat(int(path.name))
            if stat.S_ISSOCK(status.st_mode):
                found[status.st_ino] = Listener(int(path.name), status.st_ino)
    return found


def _is_bound(descriptor: int, bound: str) -> bool:
    """Whether a socket has this address, and is neither listening nor connected."""
    opened = None
    try:
        opened = socket.socket(fileno=descriptor)
        is_listening = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
        if is_listening or opened.type != socket.SOCK_STREAM:
            return False
        name, wanted = _endpoint(opened.getsockname()), _endpoint(bound)
        with suppress(OSError):
            opened.getpeername()
            return False
    except (OSError, ValueError):  # closed by another thread, or of a family without addresses
        return False
    finally:
        if opened is not None:
            opened.detach()
    is_chosen_by_kernel = isinstance(wanted, tuple) and wanted[1] == 0
    return bool(name[0] == wanted[0] if is_chosen_by_kernel else name == wanted)


def _endpoint(name: Any) -> Any:
    """
    Where a socket is bound, by its own name or by the library's address: equal if it is one.

    Returns:
        `@name`, or an IP address and a port.

    Raises:
        ValueError: If the host is not numeric.
    """
    import ipaddress

    if isinstance(name, bytes):  # an abstract socket's
        return "@" + name[1:].decode(errors="replace")
    if isinstance(name, tuple):
        return ipaddress.ip_address(name[0]), name[1]
    if name.startswith("@"):
        return name
    host, colon, port = name.rpartition(":") if re.search(r"\]:|\..*:", name) else (name, "", "")
    return ipaddress.ip_address(host.strip("[]")), int(port) if colon else _DEFAULT_PORT
