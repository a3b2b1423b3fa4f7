"""
PostgreSQL: one server, the program of Debian's postgresql, at any of its levels of isolation.

A server refuses to run as root, which is who nodes run as, so its nodes see themselves as nobody.
Everything is asked on one connection for each client. Until `COMMIT` is sent,
whatever goes wrong means that nothing happened: a server forgets what was not committed.

Source: PostgreSQL 15, chapters 13.2 (isolation) and 30.5 (write-ahead log), appendix A (codes).
"""

from __future__ import annotations

import re
import shutil
from operator import methodcaller
from pathlib import Path
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.forward import Endpoint
from dissever.harness.missing import Missing
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.processes import Processes
from dissever.systems.templates import Node

PORT: Final = 5432

LEVELS: Final = ("serializable", "repeatable-read", "read-committed")
"""Repeatable read is snapshot isolation there, and read uncommitted is read committed."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS register (key int PRIMARY KEY, value int);
CREATE TABLE IF NOT EXISTS list (key int PRIMARY KEY, elements int[]);
CREATE TABLE IF NOT EXISTS element (value int);
CREATE TABLE IF NOT EXISTS rows (key int, row int, value int, trail int[], PRIMARY KEY (key, row));
"""

_SET: Final = "-c lock_timeout=700 -c deadlock_timeout=50 -c client_min_messages=error"
"""A client that waits for a lock is told before its operation runs out of time."""


class PostgresClient:
    """Transactions on lists, registers and rows; without `begin` each statement is one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._where = f"host={endpoint.host} port={endpoint.port} user=dissever dbname=postgres"
        self._level = str(endpoint.options["isolation"]).replace("-", " ")
        self._connection: Any = None
        self._is_open = False

    def begin(self) -> None:
        self._is_open = True
        self._ask(f"BEGIN ISOLATION LEVEL {self._level}")

    def commit(self) -> None:
        self._is_open = False
        if self._ask("COMMIT").statusmessage != "COMMIT":
            raise NotApplied("it was rolled back instead", "rollback")

    def rollback(self) -> None:
        self._is_open = False
        self._ask("ROLLBACK")

    def read(self, key: int) -> int | None:
        value: int | None = self._one("SELECT value FROM register WHERE key = %s", key)
        return value

    def write(self, key: int, value: int) -> None:
        self._ask(
            "INSERT INTO register VALUES (%s, %s)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    def compare_and_set(self, key: int, old: int, new: int) -> bool:
        change = "UPDATE register SET value = %s WHERE key = %s AND value = %s"
        return bool(self._ask(change, new, key, old).rowcount == 1)

    def read_list(self, key: int) -> list[int]:
        return self._one("SELECT elements FROM list WHERE key = %s", key) or []

    def append(self, key: int, value: int) -> None:
        self._ask(
            "INSERT INTO list VALUES (%s, ARRAY[%s::int])"
            " ON CONFLICT (key) DO UPDATE SET elements = list.elements || excluded.elements",
            key,
            value,
        )

    def add(self, element: int) -> None:
        self._ask("INSERT INTO element VALUES (%s)", element)

    def elements(self) -> list[int]:
        return [value for (value,) in self._ask("SELECT value FROM element").fetchall()]

    def insert(self, key: int, row: int, value: int) -> bool:
        insert = "INSERT INTO rows VALUES (%s, %s, %s, ARRAY[%s::int]) ON CONFLICT DO NOTHING"
        return bool(self._ask(insert, key, row, value, value).rowcount == 1)

    def update(self, key: int, row: int, value: int) -> list[int] | None:
        trail = self._one(
            "UPDATE rows SET value = %s, trail = trail || %s::int WHERE key = %s AND row = %s"
            " RETURNING trail",
            value,
            value,
            key,
            row,
        )
        return None if trail is None else trail[:-1]

    def delete(self, key: int, row: int) -> list[int] | None:
        delete = "DELETE FROM rows WHERE key = %s AND row = %s RETURNING trail"
        trail: list[int] | None = self._one(delete, key, row)
        return trail

    def get(self, key: int, row: int) -> list[int] | None:
        get = "SELECT trail FROM rows WHERE key = %s AND row = %s"
        trail: list[int] | None = self._one(get, key, row)
        return trail

    def select(self, key: int, modulus: int, remainder: int) -> list[tuple[int, list[int]]]:
        select = "SELECT row, trail FROM rows WHERE key = %s AND value %% %s = %s"
        return list(self._ask(select, key, modulus, remainder).fetchall())

    def ping(self) -> None:
        self._ask("SELECT 1")

    def make_tables(self) -> None:
        self._ask(TABLES)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _one(self, sql: str, *values: Any) -> Any:
        """The one column of the one row that there is, None if there is none."""
        row = self._ask(sql, *values).fetchone()
        return None if row is None else row[0]

    def _ask(self, sql: str, *values: Any) -> Any:
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._where, options=_SET, autocommit=True)
                self._connection.prepare_threshold = None
            return self._connection.execute(sql, values or None)
        except psycopg.Error as error:
            state = error.sqlstate or ""
            is_refused = state.startswith("40") and state != "40003"
            if self._is_open or is_refused or self._connection is None:
                raise NotApplied(str(error).partition("\n")[0], state or None) from error
            raise


class Postgres(Processes):
    """PostgreSQL, one server with transactions: this machine's postgres."""

    client_ports = (PORT,)
    client, driver = PostgresClient, "psycopg"
    as_nobody = True
    install = "apt-get install postgresql"
    options = {  # noqa: RUF012 - As in its base.
        "isolation": Option("the level of every transaction", "serializable", choices=LEVELS)
    }

    def command(self, node: Node) -> list[str]:
        """The server; before its first start, its folder is made."""
        initdb, postgres = (str(program(name) or name) for name in ("initdb", "postgres"))
        script = (
            'cd "$3" && { [ -s db/PG_VERSION ] || { rm -rf db new &&'
            ' "$1" -D new -A trust -U dissever -E UTF8 --no-locale >/dev/null &&'
            ' echo "host all all all trust" >>new/pg_hba.conf && mv new db; }; } &&'
            ' rm -f db/postmaster.pid && exec "$2" -D db -h "$4" -k "" -c shared_buffers=16MB'
        )
        return ["sh", "-c", script, "sh", initdb, postgres, "{data}", "{address}"]

    def probe(self, options: Options | None = None) -> Missing | None:
        if program("postgres") is None:
            return Missing(f"{self.name} runs postgres, which is not there", self.install)
        return super().probe(options)

    def default_nodes(self) -> tuple[str, ...]:
        return ("n1",)

    def check(self, options: Options) -> None:
        if len(options.nodes) != 1:
            raise ValueError(f"expected one node for {self.name}, got {len(options.nodes)}")
        super().check(options)

    async def form(self, deployment: ClientsDeployment) -> None:
        make = methodcaller("make_tables")
        await deployment.insist(deployment.cluster.nodes[0], make, self.start_limit_s)


def program(name: str) -> Path | None:
    """A program of the newest PostgreSQL; Debian has them where no PATH leads."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    on_path = shutil.which(name)
    return found[-1] if found else Path(on_path) if on_path else None


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
