"""
The address of a node as text: `host:port`, `[ipv6]:port`, or `@name` for an abstract unix socket.

Source: go-dqlite `internal/protocol/dial.go`.
"""


def split(address: str) -> tuple[str, int]:
    """
    Return host (an IPv6 address without its brackets) and port of an address that is no `@name`.

    Raises:
        ValueError: If it has no host, or no port from 0 to 65535.
    """
    host, colon, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not is_port or "\0" in address:
        raise ValueError(f"expected host:port, [ipv6]:port or @name, got {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)
