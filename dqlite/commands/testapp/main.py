"""
The program `python -m dqlite.testapp`: what the Jepsen test of dqlite starts on each node.

It takes the place of that test's own application, whose flags and HTTP interface it has; so the
test can be run against Python nodes. Flags may be written as Go's, with one dash.

Exit status: 0 after a signal and for a node that was removed, 1 after an error, 2 for wrong usage.

Source: jepsen.dqlite, `resources/app.go`.
"""

import contextlib
import logging
import resource
from collections.abc import Sequence
from pathlib import Path

import click

from dqlite.app.app import App
from dqlite.app.roles import RolesConfig
from dqlite.commands import signals
from dqlite.commands.connections import Connections
from dqlite.commands.nodes import log_to_stderr
from dqlite.commands.servers import plain_errors, sturdy_streams
from dqlite.commands.testapp.service import SCHEMA, application, resolve
from dqlite.commands.web import Server
from dqlite.dbapi.database import Database
from dqlite.dbapi.options import Settings
from dqlite.errors import Error
from dqlite.node.bindings import Capability, load
from dqlite.node.options import NodeOptions, SnapshotParams

log = logging.getLogger(__name__)

DATABASE = "app"
TIMEOUT_LATENCIES = 100
"""Of a request: enough for a few elections, each of which takes 15 latencies or more."""

SCHEMA_TIMEOUT_S = 30.0
HANDOVER_TIMEOUT_S = 1.0

_ROLES = RolesConfig()
_ROLES_INTERVAL_S = 1.0
_SNAPSHOTS = SnapshotParams(threshold=128, trailing=1024)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-dir", "--dir", "directory", required=True, help="For the data of the node.",
    type=click.Path(file_okay=False, path_type=Path),
)  # fmt: skip
@click.option("-node", "--node", "name", required=True, metavar="NAME", help="Of this node.")
@click.option(
    "-cluster", "--cluster", required=True, metavar="NAMES",
    help="Of all nodes, with commas between them. The first one founds the cluster.",
)  # fmt: skip
@click.option(
    "-latency", "--latency", "latency_ms", default=5, show_default=True, metavar="MS",
    type=click.IntRange(min=1), help="Of the network, one way.",
)  # fmt: skip
@click.option(
    "-disk", "--disk", type=bool, default=False, metavar="BOOL",
    help="Keep databases on disk (deprecated by dqlite).",
)  # fmt: skip
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(1, 65534),
    help="Of the HTTP interface; the node has the next one.",
)  # fmt: skip
def cli(directory: Path, name: str, cluster: str, latency_ms: int, disk: bool, port: int) -> None:
    """
    Run a node behind the HTTP interface of the Jepsen test of dqlite.

    A node whose directory holds a file `removed` ends at once. One whose directory holds a file
    `rejoin` joins through all other nodes, and not only through those before it. SIGTERM and SIGINT
    hand the roles of the node to others, within a second, and stop it.

    \b
    Example, on one machine:
      python -m dqlite.testapp -dir /tmp/1 -node 127.0.0.1 -cluster 127.0.0.1,127.0.0.2 &
      python -m dqlite.testapp -dir /tmp/2 -node 127.0.0.2 -cluster 127.0.0.1,127.0.0.2 &
      curl -d '[[:append 1 2] [:r 1 nil]]' http://127.0.0.2:8080/append
    """
    log_to_stderr(logging.INFO)
    nodes = [each for each in cluster.split(",") if each]
    if name not in nodes:
        raise click.UsageError(f"the node {name} is none of {cluster}")
    if (directory / "removed").exists():
        log.info("this node was removed")
        return
    with plain_errors():
        directory.mkdir(parents=True, exist_ok=True)
        host = resolve(name)
        options = NodeOptions(
            network_latency_ms=latency_ms,
            snapshot_params=_SNAPSHOTS,
            disk_mode=disk,
            auto_recovery=False if Capability.AUTO_RECOVERY in load().capabilities() else None,
        )
        app = App(
            directory,
            address=_address(host, port + 1),
            cluster=[_address(each, port + 1) for each in _to_join(directory, name, nodes)],
            roles_interval_s=_ROLES_INTERVAL_S,
            node_options=options,
        )
        _run(app, _address(host, port), nodes, TIMEOUT_LATENCIES * latency_ms / 1000)


def _run(app: App, api: str, nodes: Sequence[str], timeout_s: float) -> None:
    """Serve until a signal comes."""
    with signals.blocked_signals(), contextlib.ExitStack() as undo:
        undo.callback(app.close)
        app.start()
        try:
            signals.unless_signalled(lambda: _create(app))
            connections = Connections(
                Database(
                    app.store, DATABASE, connector=app.connector_options, autocommit=True,
                    timeout_s=timeout_s, busy_timeout_s=timeout_s,
                )
            )  # fmt: skip
            undo.callback(connections.close)
            server = _serve(app, connections, api, nodes, timeout_s)
            log.info("node %s serves http://%s", app.address, api)
            signals.wait()
            server.close()
            with contextlib.suppress(Error):  # the others elect a leader when this node is gone
                app.handover(HANDOVER_TIMEOUT_S)
        except signals.Signalled:
            log.info("stopped by a signal")


def _create(app: App) -> None:
    """Wait until the node belongs to a cluster, and create the table unless another node did."""
    app.ready()
    settings = Settings(autocommit=True, busy_timeout_s=SCHEMA_TIMEOUT_S)
    with contextlib.closing(app.open(DATABASE, settings=settings).connect()) as connection:
        connection.execute(SCHEMA)


def _serve(
    app: App, connections: Connections, api: str, nodes: Sequence[str], timeout_s: float
) -> Server:
    service = application(app, connections, nodes, _ROLES, timeout_s)
    try:
        return Server(api, service, lambda *_: None)
    except OSError as error:
        raise click.ClickException(f"cannot serve http://{api}: {error}") from error


def _to_join(directory: Path, name: str, nodes: Sequence[str]) -> list[str]:
    """The nodes that stand before this one, or all others when it comes back to the cluster."""
    if (directory / "rejoin").exists():
        return [each for each in nodes if each != name]
    return list(nodes[: nodes.index(name)])


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _allow_core_dumps() -> None:
    """As large as may be: the test collects them."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its status."""
    sturdy_streams()
    _allow_core_dumps()
    cli.main(args=arguments, prog_name="dqlite.testapp")
