"""
`dqlite recover`: the six steps that make a cluster of what survived of one.

Source: `dqlite/include/dqlite.h`, `dqlite_node_recover_ext`; go-dqlite, `ReconfigureMembershipExt`.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from dqlite.client.stores import YamlStore, load_yaml, parse_member
from dqlite.commands.formats import printable
from dqlite.commands.servers import plain_errors
from dqlite.errors import NodeError
from dqlite.wire.schema import Member, Role

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(short_help="Make a cluster of the nodes that survived.")
@click.argument("directories", nargs=-1, required=True, type=_DIRECTORY)
@click.option(
    "--cluster",
    "cluster_yaml",
    metavar="YAML",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The new members, as in a cluster.yaml. Default: voters, by each info.yaml.",
)
@click.option(
    "--backup",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where copies of all directories go; a new folder each time.",
)
@click.option("--dry-run", is_flag=True, help="Look and report; change nothing.")
def recover(
    directories: Sequence[Path], cluster_yaml: Path | None, backup: Path, dry_run: bool
) -> None:
    """
    Make a cluster of what survived of one whose majority is lost.

    DIRECTORIES are the data directories of the survivors, gathered on one machine, and empty ones
    of new members. No node may run, and no lost node may ever come back with its old directory.
    What only a lost node held is lost. Begin with --dry-run. If it is interrupted, run it again.

    \b
    Examples:
      dqlite recover /srv/n1 /srv/n2 --backup /srv/backup --dry-run
      dqlite recover /srv/n1 /srv/n2 --backup /srv/backup
      dqlite recover /srv/n1 /srv/new --cluster members.yaml --backup /srv/backup
    """
    from dqlite.node.recovery import recover_cluster

    with plain_errors():
        members = YamlStore(cluster_yaml).get() if cluster_yaml else _from_info(directories)
        try:
            recover_cluster(
                directories,
                members,
                backup=backup,
                dry_run=dry_run,
                report=lambda line: click.echo(printable(line)),
            )
        except ValueError as error:
            raise click.ClickException(str(error)) from error


def _from_info(directories: Sequence[Path]) -> tuple[Member, ...]:
    """The members whose directories these are, all of them voters."""
    members = []
    for directory in directories:
        path = directory / "info.yaml"
        try:
            found = parse_member(load_yaml(path), str(path))
        except FileNotFoundError:
            raise NodeError(f"{path} is missing: name the members with --cluster") from None
        members.append(Member(found.id, found.address, Role.VOTER))
    return tuple(members)
