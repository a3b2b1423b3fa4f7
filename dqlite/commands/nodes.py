"""
The node that a program runs: its log, and its options, of which the command gets an App.

Source: go-dqlite 3.0.4, `cmd/dqlite-demo`, `cmd/dqlite-benchmark`.
"""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dqlite.app.app import App
from dqlite.app.tls import Tls
from dqlite.commands.servers import plain_errors
from dqlite.node.options import NodeOptions

_OPTIONS = (
    click.option("-d", "--db", required=True, metavar="ADDRESS",
                 help="Where other nodes and clients reach the node."),
    click.option("-j", "--join", multiple=True, metavar="ADDRESSES",
                 help="Nodes of the cluster to join; commas, or several times. None founds one."),
    click.option("--disk", is_flag=True, help="Keep databases on disk (deprecated by dqlite)."),
    click.option("--block-size", type=int, metavar="BYTES", help="Of a write to the log."),
    click.option("--busy-timeout", "busy_timeout_ms", type=click.IntRange(min=0), metavar="MS",
                 help="How long a writer waits for another."),
    click.option("--network-latency", "network_latency_ms", type=int, metavar="MS",
                 help="One way; elections start after 15 times it."),
    click.option("--no-auto-recovery", is_flag=True,
                 help="Do not set damaged files aside at start: it hides data loss."),
    click.option("--failure-domain", type=int, metavar="NUMBER",
                 help="A tag; voters are spread over domains."),
    click.option("--voters", default=3, show_default=True, help="How many members should vote."),
    click.option("--standbys", default=3, show_default=True, help="How many should be stand-by."),
)  # fmt: skip


def app_options(default_dir: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Give a command the options of a node, and two arguments: the App, and its directory.

    The App is not started yet.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "-D", "--dir", "parent", default=default_dir, show_default=True,
            type=click.Path(file_okay=False, path_type=Path),
            help="The node's data stands in DIR/<address of the node>.",
        )  # fmt: skip
        @wraps(command)
        def wrapped(
            *,
            db: str,
            join: Sequence[str],
            parent: Path,
            voters: int,
            standbys: int,
            disk: bool,
            no_auto_recovery: bool,
            block_size: int | None,
            busy_timeout_ms: int | None,
            network_latency_ms: int | None,
            failure_domain: int | None,
            transport: Tls | None = None,
            **more: Any,
        ) -> Any:
            directory = _directory(parent, db)
            try:
                options = NodeOptions(
                    disk_mode=disk,
                    auto_recovery=False if no_auto_recovery else None,
                    block_size=block_size,
                    busy_timeout_ms=busy_timeout_ms,
                    network_latency_ms=network_latency_ms,
                    failure_domain=failure_domain,
                )
                app = App(
                    directory,
                    address=db,
                    cluster=[each for some in join for each in some.split(",") if each],
                    voters=voters,
                    standbys=standbys,
                    transport=transport,
                    node_options=options,
                )
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            return command(app, directory, **more)

        for option in reversed(_OPTIONS):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def log_to_stderr(level: int) -> None:
    """
    Log to standard error from a level on.

    Without this, Python prints warnings there. Those of an App say that it tries again, as it does
    in every election.
    """
    logging.basicConfig(level=level, format="%(asctime)s %(name)s: %(message)s")


def _directory(parent: Path, address: str) -> Path:
    """Return the directory of the node at an address, which exists then."""
    if "/" in address or address in ("", ".", ".."):
        raise click.UsageError(f"expected an address, got {address!r}")
    directory = parent / address
    with plain_errors():
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return directory
