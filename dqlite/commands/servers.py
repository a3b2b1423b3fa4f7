"""
Which cluster a command speaks to: the options `-s`, `-c`, `-k` and `--timeout`, and what they mean.

Source: go-dqlite 3.0.4, `cmd/dqlite/dqlite.go`.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connection import BlockingDial
from dqlite.client.connector import BlockingConnector, ConnectorOptions
from dqlite.client.stores import MemoryStore, NodeStore, default_store
from dqlite.errors import Error

_STORE = "file://"


class Cluster:
    """A cluster that commands are sent to; it keeps no connection."""

    def __init__(
        self, store: NodeStore, *, dial: BlockingDial | None = None, timeout_s: float
    ) -> None:
        """`timeout_s` holds for each request, and for a search for the leader."""
        self._dial = dial
        self._timeout_s = timeout_s
        options = ConnectorOptions(
            dial_blocking=dial, dial_timeout_s=timeout_s, request_timeout_s=timeout_s
        )
        self._connector = BlockingConnector(store, options)

    def leader(self) -> BlockingClient:
        """Connect to the leader; the caller closes. Raises NoLeader when there is none in time."""
        return self._connector.connect(timeout_s=self._timeout_s)

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


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make up a Cluster, which it gets as its first argument."""

    @click.option("-s", "--servers", required=True, metavar="SERVERS", help=_SERVERS_HELP)
    @click.option("-c", "--cert", type=_FILE, help="TLS certificate; also the CA of the nodes.")
    @click.option("-k", "--key", type=_FILE, help="Private key of the TLS certificate.")
    @click.option(
        "--timeout", "timeout_ms", type=click.IntRange(min=1), default=2000, show_default=True,
        metavar="MS", help="Limit of each request in milliseconds.",
    )  # fmt: skip
    @wraps(command)
    def wrapped(
        *args: Any, servers: str, cert: Path | None, key: Path | None, timeout_ms: int, **more: Any
    ) -> Any:
        with plain_errors():
            store = parse_servers(servers)
            dial = _tls_dial(cert, key)
            cluster = Cluster(store, dial=dial, timeout_s=timeout_ms / 1000)
            return command(cluster, *args, **more)

    return wrapped


_SERVERS_HELP = "Addresses of nodes with commas between them, or file://STORE."
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _tls_dial(cert: Path | None, key: Path | None) -> BlockingDial | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise click.UsageError("TLS needs both --cert and --key")
    raise click.UsageError("TLS comes with dqlite.app.tls")


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
