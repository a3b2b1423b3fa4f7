"""The commands about this machine: `doctor`, `heal`."""

from __future__ import annotations

import click
from rich.console import Console

from dissever.commands.diagnosis_view import tables
from dissever.commands.output import EXIT_FAILED, print_json, say, tell
from dissever.diagnosis import diagnose
from dissever.harness.cluster import ClusterLost, backends
from dissever.harness.cluster.backends import Backend


@click.command(short_help="What can run on this machine, and what would help.")
@click.option(
    "--json", "is_json", is_flag=True, help="Print what was found as JSON, and only that."
)
@click.option(
    "--fetch",
    is_flag=True,
    help="Fetch simulated libraries from Debian, and build what is missing.",
)
def doctor(is_json: bool, fetch: bool) -> int:
    """
    Try out what dissever needs, and name the remedy for what is missing.

    \b
    dissever doctor
    dissever doctor --fetch
    dissever doctor --json | jq '.machine[] | select(.available | not)'

    Exit status: 0 a system of your own can run here, in namespaces or in containers, 3 it cannot.
    """
    found = diagnose(may_build=fetch, begins=lambda name: tell(f"building the simulator {name} …"))
    if is_json:
        print_json(found)
    else:
        console = Console()
        for each in tables(found):
            console.print(each, highlight=False)
    return 0 if found.is_well else EXIT_FAILED


@click.command(short_help="Remove what killed runs left with the Docker engine.")
def heal() -> int:
    """
    Remove containers, networks and volumes of runs whose harness is gone. Other runs stay.

    Only a harness that was killed together with its reaper leaves anything, and the next run with
    `--backend containers` removes it, too. Namespaces leave nothing: the kernel removes them.
    """
    if (missing := backends.probe(Backend.CONTAINERS)) is not None:
        raise click.ClickException(f"{missing.reason}; {missing.remedy}")
    from dissever.harness.cluster import engine  # Needs the Docker SDK.

    say("\n".join(engine.heal()) or "nothing was left behind")
    return 0


@click.command(name="build-host", short_help="Build the image that nodes in containers need.")
@click.option(
    "--base",
    metavar="IMAGE",
    help="An image of Debian 12 or later, if the engine cannot pull debian:bookworm-slim.",
)
def build_host(base: str | None) -> int:
    """
    Build the image dissever/host, which holds the network of a node in a container. `--backend
    containers` and Compose files need it once. It takes a minute, and packages of Debian.

    \b
    dissever build-host
    dissever build-host --base registry.example.com/debian:bookworm-slim
    """
    try:
        from dissever.harness.cluster import engine  # Needs the Docker SDK.
    except ImportError as error:
        raise click.ClickException(f"{error}; pip install 'dissever[docker]'") from error
    try:
        say(f"{engine.HOST_IMAGE} is built: {engine.build_host(base)}")
    except ClusterLost as error:
        raise click.ClickException(str(error)) from error
    return 0
