"""`dqlite backup` and `dqlite restore`: a database of a cluster to a file, and back."""

from pathlib import Path

import click

from dqlite.client.blocking import BlockingClient
from dqlite.commands.servers import Cluster, cluster_options

ELECTION_S = 60.0
"""How long the next leader is waited for, when one was lost in the middle of a restoration."""

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Write a database to an SQLite file.")
@click.argument("database")
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace a file that is there.")
@cluster_options
def backup(cluster: Cluster, database: str, file: Path, replace: bool) -> None:
    """
    Write DATABASE, as the leader has it, to FILE: one clean SQLite file of mode 0600.

    Nobody is stopped meanwhile. The whole file comes in one answer: --timeout holds for it.

    \b
    Examples:
      dqlite backup -s 127.0.0.1:9001 demo demo.db
      dqlite backup -s file:///srv/cluster.yaml --timeout 60000 --replace demo demo.db
    """
    from dqlite.app import backup as copies

    with cluster.leader() as leader:
        size = copies.backup(leader, database, file, replace=replace)
    click.echo(f"{file}: {size} bytes")


@click.command(short_help="Fill a database from an SQLite file or a script.")
@click.argument("database")
@click.argument("file", type=_FILE)
@cluster_options
def restore(cluster: Cluster, database: str, file: Path) -> None:
    """
    Fill DATABASE, which is new or empty, from FILE: an SQLite file, or a script of SQL.

    A script, or a file up to 2 MiB, is committed in one transaction or not at all. A larger file is
    restored in parts, which go on with the next leader if one is lost. If the command is
    interrupted or fails, run it again.

    \b
    Examples:
      dqlite restore -s 127.0.0.1:9001 demo demo.db
      dqlite restore -s 127.0.0.1:9001 demo dump.sql
    """
    from dqlite.app import restoration

    def next_leader() -> BlockingClient:
        return cluster.leader(ELECTION_S)

    with cluster.leader() as leader:
        restoration.restore(leader, database, file, next_leader=next_leader)
