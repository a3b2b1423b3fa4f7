"""`dqlite tls`: an authority, and a certificate for each node of a cluster."""

from collections.abc import Sequence
from pathlib import Path

import click

from dqlite.commands.servers import plain_errors


@click.command(short_help="Make certificates for the nodes of a cluster.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.argument("nodes", nargs=-1, required=True)
@click.option("--name", default="dqlite", show_default=True, help="Of the cluster: a DNS name.")
@click.option("--days", default=825, show_default=True, help="How long they are valid.")
@click.option("--renew", is_flag=True, help="Replace certificates that are there.")
def tls(directory: Path, nodes: Sequence[str], name: str, days: int, renew: bool) -> None:
    """
    Make an authority (ca.crt, ca.key) and a certificate for each of the NODES, hosts or addresses.

    An authority that is in DIRECTORY already signs them, so nodes can be added later. A node needs
    ca.crt and its own two files, and nothing else.

    \b
    Examples:
      dqlite tls certificates 10.0.0.1 10.0.0.2 10.0.0.3
      dqlite tls certificates 10.0.0.4:9000
    """
    with plain_errors():
        try:
            from dqlite.app.certificates import write_material
        except ImportError as error:
            raise click.ClickException(str(error)) from error
        files = write_material(directory, nodes, name=name, days=days, renew=renew)
    for host, material in files.items():
        click.echo(f"{host}: {material.certfile} {material.keyfile}")
