"""
The program `dqlite`: a subcommand where the first word names one, else the shell.

So `dqlite -s SERVERS DATABASE [COMMAND]` works as go-dqlite's does, and a database called `recover`
is reached by writing `-s` first. `python -m dqlite` is the same program.

Exit status: 0, 1 after an error (one line on standard error), 2 for wrong usage.
"""

from collections.abc import Sequence

import click

from dqlite.commands.copies import backup, restore
from dqlite.commands.log import log
from dqlite.commands.material import tls
from dqlite.commands.recover import recover
from dqlite.commands.servers import sturdy_streams
from dqlite.commands.sql import shell


class _Line(click.Group):
    """A group whose default command is the shell."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Route a line that begins with no subcommand to the shell."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [shell.name or "shell", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show both lines."""
        formatter.write_usage(ctx.command_path, "-s SERVERS DATABASE [COMMAND] [OPTIONS]")
        formatter.write_usage(
            ctx.command_path, "SUBCOMMAND [ARGUMENTS] [OPTIONS]", prefix="   or: "
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of the shell, and the subcommands."""
        with click.Context(shell, info_name=ctx.command_path) as of_shell:
            click.Command.format_options(shell, of_shell, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_Line, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """
    Shell and tools of dqlite, a replicated SQLite.

    \b
    Examples:
      dqlite -s 127.0.0.1:9001,127.0.0.1:9002 demo
      dqlite -s 127.0.0.1:9001 demo "SELECT * FROM model"
      dqlite -s 127.0.0.1:9001 demo .cluster
    """


for _command in (shell, backup, restore, recover, log, tls):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its status."""
    sturdy_streams()
    cli.main(args=arguments, prog_name="dqlite")
