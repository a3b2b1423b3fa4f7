"""The command `client-test`: whether the answers of a client can be believed."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import click

from dissever.commands.output import print_json, say
from dissever.commands.params import Duration, Nodes, Reference
from dissever.harness.bugs import is_bug
from dissever.harness.client import Client
from dissever.harness.cluster import Sockets
from dissever.harness.cluster.connecting import connect, in_time
from dissever.harness.forward import Forwarders
from dissever.harness.plan import Options
from dissever.harness.runner import CannotRun
from dissever.harness.store import CLIENT_LOGS
from dissever.harness.system import Ports, checked
from dissever.harness.values import quoted, reason, shorten
from dissever.systems import SYSTEMS, load
from dissever.systems.clients import ClientKind
from dissever.systems.clients.conformance import (
    Conversation,
    Finding,
    checks,
    conversation,
)
from dissever.systems.clients.gate import Gate
from dissever.systems.clients.kinds import Programs, named_kind
from dissever.systems.clients.objects import OBJECTS
from dissever.workloads import WORKLOADS

_DIAL_S: Final = 5.0
_LINES_MAX: Final = 10
_WORKLOADS: Final = tuple(OBJECTS)


@dataclass(frozen=True, slots=True)
class _Address:
    """Where one node serves clients."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class _AddressType(click.ParamType[Any]):
    """HOST:PORT."""

    name = "host:port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Address:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port[:6]) < 1 << 16:
            self.fail(
                f"expected HOST:PORT, such as 127.0.0.1:2379, got {quoted(value)}", param, ctx
            )
        return _Address(host.removeprefix("[").removesuffix("]"), int(port))


@click.command(name="client-test", short_help="Test whether a client's answers can be believed.")
@click.argument("client", nargs=-1, metavar="[CLIENT]")
@click.option(
    "--address",
    "-a",
    type=_AddressType(),
    help="Where a node of the database serves clients now. Only new keys are used.",
)
@click.option(
    "--system",
    "-s",
    type=Reference(SYSTEMS),
    help="Start this system for it. Without CLIENT its own client is tested.",
)
@click.option(
    "--nodes", "-n", type=Nodes(), default="3", show_default=True, help="How many it has."
)
@click.option(
    "--workload",
    "-w",
    type=click.Choice(_WORKLOADS),
    default="register",
    show_default=True,
    help="What the client is asked.",
)
@click.option(
    "--limit",
    type=Duration("operation_limit_s"),
    default="2s",
    show_default=True,
    help="How long an answer may take.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the findings as JSON, and only that.")
def client_test(
    client: tuple[str, ...],
    address: _Address | None,
    system: str | None,
    nodes: tuple[str, ...],
    workload: str,
    limit: float,
    is_json: bool,
) -> int:
    """
    Hold a scripted conversation with a client, while its connections pass, are refused, are reset
    and hang, and say which of its answers were wrong.

    CLIENT is a program that speaks the protocol of docs/clients.md, or a class: client.py:KvClient.
    A Python file that can be executed is a program, unless a name follows.

    The database must be up, and need not be contained: give the address of one of its nodes.

    \b
    dissever client-test ./myclient --address 127.0.0.1:2379
    dissever client-test --address 127.0.0.1:2379 -- ./myclient --verbose
    dissever client-test --system mykv.py
    dissever client-test mykv.py:KvClient --address 127.0.0.1:8080 --workload set

    Exit status: 0 every check passed, 1 some did not, 3 the client or the database cannot be
    started or reached, 64 wrong usage.
    """
    if (address is None) == (system is None):
        raise click.UsageError("expected either --address HOST:PORT or --system SYSTEM")
    if not client and system is None:
        raise click.UsageError(
            "expected a CLIENT: a program, or a class such as client.py:KvClient"
        )
    try:
        kind = named_kind(client) if client else _own_client(system or "")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not _serves(kind, workload):
        has = ", ".join(name for name in _WORKLOADS if _serves(kind, name))
        raise click.UsageError(f"expected a client for {workload}, got one for {has or 'none'}")
    if (missing := kind.probe()) is not None:
        raise click.ClickException(f"{missing.reason}; {missing.remedy}")
    with tempfile.TemporaryDirectory(prefix="dissever-client-") as folder:
        place = _at(address) if address else _started(system or "", nodes, workload, Path(folder))
        try:
            findings = asyncio.run(_findings(kind, place, workload, limit, Path(folder), is_json))
        except (OSError, CannotRun) as error:
            if is_bug(error):
                raise
            raise click.ClickException(reason(error)) from error
        words = _last_words(Path(folder))
    failed, number = sum(not each.is_passed for each in findings), len(findings)
    if is_json:
        print_json({"passed": not failed, "workload": workload, "checks": findings})
        return 1 if failed else 0
    if failed and words:
        say("\n".join(["its last words on stderr:", *(f"    {line}" for line in words)]))
    say(f"{number - failed} checks passed, {failed} failed{_rest(number, kind, workload)}")
    return 1 if failed else 0


def _serves(kind: ClientKind, workload: str) -> bool:
    """Whether clients of a kind are what a workload asks for."""
    asked = WORKLOADS[workload]
    has_methods = bool(asked.methods) and all(map(kind.has, asked.methods))
    is_whole = bool(asked.whole) and kind.has(asked.whole)
    return kind.stores is None or asked.store in kind.stores or has_methods or is_whole


@dataclass(frozen=True, slots=True)
class _Place:
    """A database that runs: the addresses of its nodes, and how to connect to their ports."""

    addresses: Mapping[str, str]
    ports: Sequence[int]
    dial: Callable[[str, int], Awaitable[socket.socket]]


def _own_client(reference: str) -> ClientKind:
    """The client of a system. Raises ValueError when it has none of its own."""
    system = load(reference)
    clients = getattr(system, "clients", None)
    if not callable(clients):
        raise ValueError(f"expected a CLIENT, since {system.name} names none of its own")
    kind: ClientKind = clients()
    return kind


@asynccontextmanager
async def _at(address: _Address) -> AsyncIterator[_Place]:
    """A node that somebody else runs. Raises OSError when it cannot be reached."""

    async def dial(node: str, port: int) -> socket.socket:
        return await in_time(connect(address.host, port), address.host, port, _DIAL_S)

    try:
        (await dial("n1", address.port)).close()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise OSError(f"nothing serves at {address}: {why}") from error
    yield _Place({"n1": address.host}, (address.port,), dial)


@asynccontextmanager
async def _started(
    reference: str, nodes: tuple[str, ...], workload: str, folder: Path
) -> AsyncIterator[_Place]:
    """A system that is started for it. Raises CannotRun, OSError or ValueError."""
    system = load(reference)
    options = checked(
        Options(system=reference, workload=workload, nodes=nodes, backend=system.backends[0]),
        system,
    )
    if (missing := system.probe(options)) is not None:
        raise CannotRun(f"{system.name} cannot run here: {missing.reason}; {missing.remedy}")
    async with system.deploy(options, folder / "nodes", Random(0)) as deployment:
        cluster: Any = deployment.cluster
        if not isinstance(deployment, Ports) or not isinstance(cluster, Sockets):
            raise CannotRun(f"{system.name} has no ports that clients connect to")
        yield _Place(
            {node: deployment.cluster.address(node) for node in nodes},
            deployment.client_ports,
            partial(cluster.dial, timeout_s=_DIAL_S),
        )


async def _findings(
    kind: ClientKind,
    place: AbstractAsyncContextManager[_Place],
    workload: str,
    limit_s: float,
    folder: Path,
    is_silent: bool,
) -> list[Finding]:
    """What every check found; each is printed as it comes."""
    findings = []
    async with place as where:
        dials = {
            (node, port): partial(where.dial, node, port)
            for node in where.addresses
            for port in where.ports
        }
        gate = Gate(where.addresses, dials)
        store, client = WORKLOADS[workload].store, WORKLOADS[workload].client

        async def opened() -> Client:
            forwarders = Forwarders(gate, gate.nodes[0], where.ports, {})
            made = await kind.open(forwarders, store=store, directory=folder)
            return made if isinstance(made, Client) else client(made)

        is_program = isinstance(kind, Programs)
        talk = Conversation(opened, gate, Random(), workload, limit_s)
        try:
            async for finding in conversation(talk, checks(workload, of_program=is_program)):
                findings.append(finding)
                if not is_silent:
                    _print(finding)
        finally:
            await gate.close()
    return findings


def _rest(number: int, kind: ClientKind, workload: str) -> str:
    """How many were not tried."""
    script = checks(workload, of_program=isinstance(kind, Programs))
    left = len(script) - number
    return f"; the other {left} need what failed, and were not tried" if left else ""


def _last_words(folder: Path) -> list[str]:
    """The last lines that programs said on stderr."""
    lines: list[str] = []
    for path in sorted(folder.glob(CLIENT_LOGS)):
        lines += path.read_text(errors="replace").splitlines()[-_LINES_MAX:]
    return [shorten(line, 200) for line in lines[-_LINES_MAX:]]


def _print(finding: Finding) -> None:
    if finding.is_passed:
        say(f"✓ {finding.check}{': ' if finding.came else ''}{finding.came}")
    else:
        say(f"✗ {finding.check}\n    expected {finding.expected}\n    got {finding.came}")
