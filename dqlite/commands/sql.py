"""
`dqlite shell`, which is also what `dqlite -s SERVERS DATABASE [COMMAND]` runs.

With a command, or with a pipe as input, it prints what a program can read and ends with the first
error. On a terminal it is a prompt.
"""

import sys

import click

from dqlite import statements
from dqlite.commands.dots import run_dot
from dqlite.commands.formats import FORMATS
from dqlite.commands.servers import Cluster, cluster_options
from dqlite.commands.shell import Shell
from dqlite.commands.texts import whole

_NAMES = """
SELECT name FROM sqlite_master UNION
SELECT columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
LIMIT 10000
"""
_NAMES_CHANGE = (("CREATE",), ("ALTER",), ("DROP",))


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Run SQL and dot-commands; the word may be left out.",
)
@click.argument("database")
@click.argument("command", required=False)
@click.option(
    "-f", "--format", "format_name", type=click.Choice(list(FORMATS)), default="pipe",
    show_default=True, help="How rows are shown; tabular is another name of table.",
)  # fmt: skip
@cluster_options
def shell(cluster: Cluster, database: str, command: str | None, format_name: str) -> None:
    """
    Run SQL and dot-commands on a DATABASE of a cluster.

    COMMAND is a dot-command or SQL statements. Without one, they are read from the standard input:
    from a terminal with a prompt, else until the first error. Exit status: 0, 1 after an error, 2
    for wrong usage.

    \b
    Examples:
      dqlite -s 127.0.0.1:9001,127.0.0.1:9002 demo
      dqlite -s 127.0.0.1:9001 demo "SELECT * FROM model"
      dqlite -s file:///srv/demo/cluster.yaml demo .cluster
      dqlite -s 127.0.0.1:9001 -f csv demo < report.sql > report.csv
    """
    running = Shell(
        cluster,
        database,
        click.echo,
        format=FORMATS[format_name],
        is_exact=not sys.stdout.isatty(),
    )
    try:
        if command is not None:
            run(running, command)
        elif sys.stdin.isatty():
            _converse(running)
        else:
            for text in whole(sys.stdin):
                run(running, text)
    except EOFError:  # .exit
        pass
    finally:
        running.close()


def run(shell: Shell, text: str) -> None:
    """Run a dot-command or a script; raises click.ClickException, and EOFError to leave."""
    if text.lstrip().startswith("."):
        run_dot(shell, text.strip())
    else:
        shell.run_sql(text)


def _converse(shell: Shell) -> None:
    """Read and run until the end of the input; an error is shown and ends nothing."""
    from dqlite.commands.prompt import Words, prompt_session  # takes longer than one command does

    words = Words()
    session = prompt_session(words)
    click.echo(".help lists the commands; SQL ends with a semicolon; Ctrl-D leaves.")
    text = "CREATE"  # the names to complete are not known yet
    while True:
        try:
            if statements.tokens_of(text)[:1] in _NAMES_CHANGE and not shell.is_in_transaction:
                words.names = _names(shell)
            text = session.prompt()
            run(shell, text)
        except KeyboardInterrupt:  # at the prompt: what was typed is dropped
            text = ""
        except click.ClickException as error:
            error.show()


def _names(shell: Shell) -> tuple[str, ...]:
    """The tables and columns of the database."""
    rows = shell.ask(_NAMES)
    return tuple(str(name) for (name,) in rows.rows) if rows is not None else ()
