"""`dqlite log`: what the raft files in a data directory hold."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dqlite.commands.formats import FORMATS, Format, format_rows
from dqlite.commands.members import ROLE_NAMES
from dqlite.commands.servers import plain_errors

if TYPE_CHECKING:
    from dqlite.node.files import Entry, RaftFiles
    from dqlite.wire.schema import Member

_COLUMNS = ("index", "term", "type", "bytes", "content")


@click.command(short_help="Show the raft log in a data directory.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="table",
    show_default=True,
    help="How entries are shown; tabular is another name of table.",
)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N entries.")
def log(directory: Path, format_name: str, last: int | None) -> None:
    """
    Show the raft log in the data directory of a node that does not run. It changes nothing.

    What stands around the entries (term and vote, snapshot, last entry) goes to standard error.

    \b
    Examples:
      dqlite log /srv/n1
      dqlite log /srv/n1 --last 20
      dqlite log /srv/n1 --format json
    """
    from collections import deque

    from dqlite.node import files

    with plain_errors():
        found = files.read(directory)
        _around(found)
        entries = deque(found.entries(), maxlen=last)
        rows = [(e.index, e.term, e.type.name, e.size, _content(e)) for e in entries]
    format = FORMATS[format_name]  # noqa: A001 - the field's word
    for line in format_rows(format, _COLUMNS, rows, is_exact=format is Format.CSV):
        click.echo(line)


def _around(found: "RaftFiles") -> None:
    metadata, end = found.metadata, found.last_entry()
    click.echo(f"term {metadata.term}, vote for {metadata.voted_for or 'nobody'}", err=True)
    if (snapshot := found.snapshot) is not None:
        click.echo(
            f"snapshot after entry {snapshot.index} of term {snapshot.term}, "
            f"{snapshot.size} bytes; members: {_members(snapshot.members)}",
            err=True,
        )
    click.echo(f"last entry: {end.index} of term {end.term}", err=True)


def _content(entry: "Entry") -> str:
    from dqlite.node.entries import EntryType, FramesCommand, OpenCommand

    if entry.type is EntryType.CHANGE:
        return _members(entry.members())
    if entry.type is not EntryType.COMMAND:
        return ""
    match command := entry.command():
        case FramesCommand():
            pages = ",".join(map(str, command.pages))
            return f"{command.database}: pages {pages} of {command.page_size} bytes"
        case OpenCommand():
            return f"open {command.database}"
        case _:
            return type(command).__name__.removesuffix("Command").lower()


def _members(members: "tuple[Member, ...]") -> str:
    return ", ".join(f"{each.id:x} {each.address} {ROLE_NAMES[each.role]}" for each in members)
