"""
The program `dqlite-demo`: a node, and a key-value store over HTTP on top of it.

Exit status: 0 after a signal, 1 after an error (one line on standard error), 2 for wrong usage.

Source: go-dqlite 3.0.4, `cmd/dqlite-demo`.
"""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import click

from dqlite.app.app import App
from dqlite.commands import signals
from dqlite.commands.connections import Connections
from dqlite.commands.demo.metrics import Requests
from dqlite.commands.demo.service import KeyValues, key_values, operations
from dqlite.commands.nodes import app_options, log_to_stderr
from dqlite.commands.servers import plain_errors, sturdy_streams, tls_options
from dqlite.commands.web import Server
from dqlite.dbapi.database import Database
from dqlite.errors import Error

log = logging.getLogger(__name__)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-a", "--api", required=True, metavar="ADDRESS", help="Where the demo serves HTTP.")
@click.option("--ops", is_flag=True, help="Serve /health, /metrics, /cluster and /leader, too.")
@click.option("-v", "--verbose", is_flag=True, help="Log more than errors to standard error.")
@tls_options
@app_options("/tmp/dqlite-demo")
def cli(app: App, _directory: Path, api: str, ops: bool, verbose: bool) -> None:
    """
    Run a node of a demo cluster: a replicated key-value store over HTTP.

    PUT /KEY stores a value, GET /KEY reads it, at any node. SIGPWR, SIGINT, SIGQUIT and SIGTERM
    hand the roles of the node to others, and stop it; a second one skips the handover. TLS is for
    the nodes; HTTP stays plain.

    \b
    Examples:
      dqlite-demo --api 127.0.0.1:8001 --db 127.0.0.1:9001 &
      dqlite-demo --api 127.0.0.1:8002 --db 127.0.0.1:9002 --join 127.0.0.1:9001 &
      dqlite-demo --api 127.0.0.1:8003 --db 127.0.0.1:9003 --join 127.0.0.1:9001 &
      curl -X PUT -d my-value http://127.0.0.1:8001/my-key
      curl http://127.0.0.1:8002/my-key
    """
    log_to_stderr(logging.DEBUG if verbose else logging.ERROR)
    with plain_errors(), signals.blocked_signals(), contextlib.ExitStack() as undo:
        undo.callback(app.close)
        app.start()
        try:
            store = signals.unless_signalled(lambda: _open(app))
            undo.callback(store.close)
            server = _serve(app, store, api, ops=ops)
            click.echo(f"dqlite-demo: node {app.address} serves http://{api}", err=True)
            signals.wait()
            server.close()
            store.close()
            signals.unless_signalled(lambda: _hand_over(app))
        except signals.Signalled:
            log.info("stopped by a signal")


def _open(app: App) -> KeyValues:
    """Wait until the node belongs to a cluster, and open the database there."""
    app.ready()
    app.open("demo")  # waits for a leader
    database = Database(app.store, "demo", connector=app.connector_options, autocommit=True)
    return KeyValues(Connections(database))


def _serve(app: App, store: KeyValues, api: str, *, ops: bool) -> Server:
    requests = Requests()
    service = key_values(store)
    if ops:
        service = operations(app, requests, service)
    try:
        return Server(api, service, requests.observe)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot serve http://{api}: {error}") from error


def _hand_over(app: App) -> None:
    try:
        app.handover()
    except Error as error:  # the others elect a leader when this node is gone
        log.warning("no handover: %s", error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its status."""
    sturdy_streams()
    cli.main(args=arguments, prog_name="dqlite-demo")
