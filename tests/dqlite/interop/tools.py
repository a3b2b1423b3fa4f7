"""
Go's tools, our nodes and our clients, side by side, for tests.

`scripts/interop-tools` puts Go's tools and a libdqlite 1.18.7 into the user's cache. Tests install
nothing: what is missing skips them, with the command that gets it.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import pytest

from dqlite import Client, DqliteError, Member, Role, find_leader, library_identity

Answer = TypeVar("Answer")

CACHE: Final = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dissever" / "interop"
)
IS_WHOLE: Final = os.environ.get("DQLITE_INTEROP") == "all"
"""Whether every combination is tried, instead of one for each version."""

GO_VERSIONS: Final = ("1.11.5", "3.0.4")
SAMPLE: Final = GO_VERSIONS if IS_WHOLE else GO_VERSIONS[-1:]
"""For what another test shows with the other version, too."""

LIBRARY_OF: Final = {"1.11.5": "1.11.1", "3.0.4": "1.18.7"}
"""The libdqlite that a version of Go's tools runs on here."""

NUMBER_OF_1_11_1: Final = 11_000
"""What it says of itself: its authors did not count on."""

LIMIT_S: Final = 40.0
"""How long a cluster may take to do what is awaited; an election takes some 3 s by default."""


def go_tool(version: str, name: str) -> str:
    """The path of a tool of go-dqlite: `dqlite`, `dqlite-demo` or `dqlite-benchmark`."""
    environment(LIBRARY_OF[version])
    path = CACHE / f"go-{version}" / name
    if not path.exists():
        pytest.skip(f"{path} is missing: scripts/interop-tools go-{version}")
    return str(path)


def environment(library: str) -> dict[str, str]:
    """What makes our node load a version of libdqlite: 1.11.1 is the system's."""
    if library == "1.11.1":
        if library_identity().version_number != NUMBER_OF_1_11_1:
            pytest.skip("libdqlite 1.11.1, of Debian 12, is not the library of this machine")
        return dict(os.environ)
    path = CACHE / f"libdqlite-{library}" / "libdqlite.so"
    if not path.exists():
        pytest.skip(f"{path} is missing: scripts/interop-tools libdqlite-{library}")
    return {**os.environ, "DQLITE_LIB": str(path)}


def ours(module: str) -> tuple[str, ...]:
    """The words that run a command of ours, whether its script is installed or not."""
    return (sys.executable, "-c", f"from dqlite.commands.{module} import main; main()")


def free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def until(attempt: Callable[[], Answer]) -> Answer:
    """Return the first answer that is true; what was raised or answered last is the reason."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        try:
            answer = attempt()
        except (OSError, http.client.HTTPException, DqliteError) as error:
            reason: object = error
        else:
            if answer:
                return answer
            reason = answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {LIMIT_S:.0f} s: {reason!r}")
        time.sleep(0.05)


@dataclass
class Running:
    """A process that serves dqlite at `db`, and, if it is a demo, HTTP at `api`."""

    process: subprocess.Popen[bytes]
    db: str
    directory: Path
    log: Path
    api: str | None = None

    def stop(self) -> int:
        """SIGTERM: a demo hands over its leadership. Return the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=LIMIT_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def request(self, method: str, key: str, body: str | None = None) -> tuple[int, str]:
        """Ask the demo. Return status and text without a line end: Go's 1.11.5 adds one."""
        assert self.api is not None
        with closing(http.client.HTTPConnection(self.api, timeout=10)) as connection:
            connection.request(method, f"/{key}", body)
            response = connection.getresponse()
            return response.status, response.read().decode().rstrip("\n")

    def put(self, key: str, value: str) -> None:
        until(lambda: self.request("PUT", key, value)[1] == "done")

    def get(self, key: str) -> str:
        """The value, once the demo has one; 1.11.5 answers 200 to errors, too."""

        def attempt() -> str:
            status, text = self.request("GET", key)
            assert status in (200, 500)
            return "" if status != 200 or text.startswith("Error") else text

        return until(attempt)


@dataclass
class Programs:
    """What a test has started; `close` ends it."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def go_demo(
        self,
        version: str,
        *options: str,
        join: Sequence[str] = (),
        at: Running | None = None,
    ) -> Running:
        command = (go_tool(version, "dqlite-demo"), *options)
        return self._demo(command, dict(os.environ), join, at)

    def our_demo(
        self,
        library: str,
        *options: str,
        join: Sequence[str] = (),
        at: Running | None = None,
    ) -> Running:
        return self._demo((*ours("demo.main"), *options), environment(library), join, at)

    def node(
        self,
        library: str,
        node_id: int,
        *options: str,
        at: Running | None = None,
        latency_ms: int | None = None,
    ) -> Running:
        """
        Run `python -m dqlite.node`; at the address and on the directory of another, if given.

        Args:
            latency_ms: What the node assumes of the network. None: the library's default, which
                Go's demo has, too; it elects after 3 s.
        """
        db = at.db if at else free_address()
        directory = at.directory if at else self.folder / db
        command = (
            *(sys.executable, "-m", "dqlite.node", "--id", str(node_id), "--address", db),
            *("--data-dir", str(directory)),
            *(("--network-latency-ms", str(latency_ms)) if latency_ms else ()),
            *options,
        )
        running = self._start(command, environment(library), db, directory)
        until(lambda: b'"ready"' in running.log.read_bytes() or _ended(running))
        return running

    def close(self) -> None:
        for each in self.running:
            if each.process.poll() is None:
                each.kill()

    def _demo(
        self,
        command: Sequence[str],
        variables: dict[str, str],
        join: Sequence[str],
        at: Running | None,
    ) -> Running:
        db, api = (at.db, at.api) if at else (free_address(), free_address())
        assert api is not None
        root = at.directory.parent if at else self.folder / "demo"
        words = [*command, "--api", api, "--db", db, "--dir", str(root)]
        for address in join:
            words += ["--join", address]
        running = self._start(words, variables, db, root / db)
        running.api = api
        until(lambda: _answers(api) or _ended(running))
        return running

    def _start(
        self, command: Sequence[str], variables: dict[str, str], db: str, directory: Path
    ) -> Running:
        log = self.folder / f"{len(self.running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=variables
            )
        self.running.append(Running(process, db, directory, log))
        return self.running[-1]


def _answers(api: str) -> bool:
    host, _, port = api.rpartition(":")
    with socket.create_connection((host, int(port)), 1):
        return True


def _ended(running: Running) -> bool:
    if running.process.poll() is not None:
        raise AssertionError(f"it ended: {running.log.read_text()}")
    return False


def shell(version: str, servers: Sequence[str], command: str, *options: str) -> list[str]:
    """The lines that Go's shell prints, without spaces and tabs at their ends."""
    return _lines((go_tool(version, "dqlite"),), servers, command, options)


def our_shell(servers: Sequence[str], command: str, *options: str) -> list[str]:
    """The lines that our shell prints."""
    return _lines(ours("main"), servers, command, options)


def _lines(
    program: Sequence[str], servers: Sequence[str], command: str, options: Sequence[str]
) -> list[str]:
    done = subprocess.run(
        (*program, *options, "-s", ",".join(servers), "demo", command),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.rstrip() for line in done.stdout.splitlines()]


def sql(
    servers: Sequence[str], text: str, database: str = "demo"
) -> tuple[tuple[object, ...], ...]:
    """Rows of a query, or of nothing, by our client at the leader."""

    async def main() -> tuple[tuple[object, ...], ...]:
        async with await find_leader(servers, timeout_s=5) as client:
            await client.open(database)
            if text.lstrip().upper().startswith("SELECT"):
                return tuple(tuple(row) for row in (await client.query_sql(text)).rows)
            await client.exec_sql(text)
            return ()

    return asyncio.run(main())


def at_leader(servers: Sequence[str], call: Callable[[Client], Awaitable[object]]) -> None:
    """Await what `call` returns for a client of the leader."""

    async def main() -> None:
        async with await find_leader(servers, timeout_s=10) as client:
            await call(client)

    asyncio.run(main())


def join(servers: Sequence[str], node_id: int, address: str, role: Role = Role.VOTER) -> None:
    """Add a node that runs, and give it a role."""

    async def call(client: Client) -> None:
        await client.add(node_id, address)
        if role is not Role.SPARE:
            await client.assign(node_id, role)

    at_leader(servers, call)


def members(servers: Sequence[str]) -> dict[str, Member]:
    """The members that the leader knows, by address."""
    found: dict[str, Member] = {}

    async def call(client: Client) -> None:
        found.update({each.address: each for each in await client.cluster()})

    at_leader(servers, call)
    return found


def leader(servers: Sequence[str]) -> str:
    """The address of the leader."""
    found: list[str] = []

    async def call(client: Client) -> None:
        found.append(client.address)

    at_leader(servers, call)
    return found[0]


def dump(address: str, database: str = "demo") -> bytes:
    """The database as one node has it, merged with its log."""

    async def main() -> dict[str, bytes]:
        async with await Client.connect(address, timeout_s=10) as client:
            return await client.dump(database)

    with tempfile.TemporaryDirectory() as folder:
        for name, content in asyncio.run(main()).items():
            if content:
                (Path(folder) / name).write_bytes(content)
        with closing(sqlite3.connect(Path(folder) / database)) as connection:
            return "\n".join(connection.iterdump()).encode()
