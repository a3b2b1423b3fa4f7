"""The command `serve`: the runs in a browser."""

from __future__ import annotations

import errno
import signal
import threading
import webbrowser
from pathlib import Path
from typing import Final

import click

from dissever.commands.choosing import FOLDER
from dissever.commands.output import say, tell
from dissever.web import Server, Site

PORT: Final = 8642


@click.command(short_help="Show the runs that are kept in a browser.")
@FOLDER
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Where to listen; 0: any port that is free.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open a browser.")
def serve(folder: Path, port: int, is_opened: bool) -> int:
    """
    Show the runs of a folder in a browser: runs/ by default. Filter them, compare two, and watch
    one that goes on.

    \b
    dissever serve
    dissever serve /srv/runs --port 0 --open
    ssh -L 8642:127.0.0.1:8642 test-machine        then, there: dissever serve

    It listens on 127.0.0.1 alone and changes nothing. Every user of this machine can connect.
    Ctrl-C ends it.
    """
    try:
        server = Server(port, Site(folder).answer)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} is taken: --port 0 finds a free one"
        else:
            why = f"port {port}: {error.strerror or error}"
        raise click.ClickException(why) from error
    before = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        server.start()
        say(f"{server.url} shows the runs in {folder}; Ctrl-C ends it")
        if is_opened and not webbrowser.open(server.url):
            tell("no browser could be opened")
        threading.Event().wait()
    except KeyboardInterrupt:
        tell("ended")
    finally:
        signal.signal(signal.SIGHUP, before)
        server.close()
    return 0
