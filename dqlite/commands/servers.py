"""
Which cluster a command speaks to: the options `-s`, `-c`, `-k` and `--timeout`, and what they mean.

Source: go-dqlite 3.0.4, `cmd/dqlite/dqlite.go`.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.searching import ConnectorOptions
from dqlite.client.stores import MemoryStore, NodeStore, default_store
from dqlite.errors import Error

if TYPE_CHECKING:
    from dqlite.app.tls import Tls

_STORE = "file://"


class Cluster:
    """
    A cluster that commands are sent to; it keeps no connection.

    Attributes:
        store: The nodes that the user named.
        transport: TLS; None for plain connections.
    """

    def __init__(
        self, store: NodeStore, *, transport: "Tls | None" = None, timeout_s: float
    ) -> None:
        """`timeout_s` holds for each request, and for a search for the leader."""
        self.store = store
        self.transport = transport
        self._dial = transport.dial if transport is not None else None
        self._timeout_s = timeout_s
        options = ConnectorOptions(
            dial_blocking=self._dial, dial_timeout_s=timeout_s, request_timeout_s=timeout_s
        )
        self._connector = BlockingConnector(store, options)

    def leader(self, search_s: float | None = None) -> BlockingClient:
        """
        Connect to the leader; the caller closes. Raises NoLeader when there is none in time.

        Args:
            search_s: How long it is looked for; None: as long as a request may take.
        """
        return self._connector.connect(timeout_s=search_s or self._timeout_s)

    def node(self, address: str) -> BlockingClient:
        """Connect to one node; the caller closes. Raises NotSent when it does not answer."""
        return BlockingClient.connect(address, dial=self._dial, timeout_s=self._timeout_s)


def parse_servers(text: str) -> NodeStore:
    """
    Return the store that `-s` names: addresses with commas between them, or `file://` and a path.

    Raises:
        click.BadParameter: If there is no address, or no such file.
    """
    if text.startswith(_STORE):
        path = Path(text.removeprefix(_STORE))
        if not path.is_file():
            raise click.BadParameter(f"there is no node store {path}")
        return default_store(path)
    addresses = [address for part in text.split(",") if (address := part.strip())]
    if not addresses:
        raise click.BadParameter("expected addresses with commas between them, or file://STORE")
    if any(address.startswith(_STORE) for address in addresses):
        raise click.BadParameter("a file:// store stands alone")
    return MemoryStore.of(addresses)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of TLS, and the argument `transport`, None without them."""

    @click.option("-c", "--cert", type=_FILE, help="TLS certificate.")
    @click.option("-k", "--key", type=_FILE, help="Private key of the TLS certificate.")
    @click.option("--ca", type=_FILE, help="Certificates of who signs [default: the certificate].")
    @wraps(command)
    def wrapped(
        *args: Any, cert: Path | None, key: Path | None, ca: Path | None, **more: Any
    ) -> Any:
        return command(*args, transport=_transport(cert, key, ca), **more)

    return wrapped


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make up a Cluster, which it gets as its first argument."""

    @click.option(
        "-s", "--servers", required=True, metavar="SERVERS",
        help="Addresses of nodes with commas between them, or file://STORE.",
    )  # fmt: skip
    @tls_options
    @click.option(
        "--timeout", "timeout_ms", type=click.IntRange(min=1), default=2000, show_default=True,
        metavar="MS", help="Limit of each request in milliseconds.",
    )  # fmt: skip
    @wraps(command)
    def wrapped(
        *args: Any, servers: str, transport: "Tls | None", timeout_ms: int, **more: Any
    ) -> Any:
        with plain_errors():
            store = parse_servers(servers)
            cluster = Cluster(store, transport=transport, timeout_s=timeout_ms / 1000)
            return command(cluster, *args, **more)

    return wrapped


def _transport(cert: Path | None, key: Path | None, ca: Path | None) -> "Tls | None":
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        raise click.UsageError("TLS needs both --cert and --key")
    from dqlite.app.tls import simple_tls_config

    with plain_errors():
        return simple_tls_config(cert, key, ca)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """End with one line and status 1 where a node, a file or the network does not play along."""
    try:
        yield
    except Error as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:  # click ends quietly: nobody reads any more
        raise
    except OSError as error:
        raise click.ClickException(str(error)) from error


def sturdy_streams() -> None:
    """
    Let no standard stream end a program.

    One that the caller closed (`>&-`) leads nowhere. A terminal that lacks a character shows its
    number. Bytes of the input that are no text are kept as they are, and refused as SQL.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            setattr(sys, name, open(descriptor, "w" if descriptor else "r"))  # noqa: PTH123, SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if descriptor else "surrogateescape")
