"""
Node stores: where a client finds the addresses of a cluster, and keeps them for the next start.

The YAML and SQLite stores are interchangeable with go-dqlite's. All are blocking, since they hold
a few lines. A file is not trusted: its size, its structure and its number of members are limited.

Source: go-dqlite `client/store.go`, `client/database_store.go`.
"""

import contextlib
import os
import re
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from dqlite.errors import StoreError
from dqlite.wire.schema import Member, Role

FILE_BYTES_MAX = 1024 * 1024
"""Of a YAML store: ten thousand members fit."""

MEMBERS_MAX = 10_000

_PLAIN = re.compile(r"(?:\d+\.\d+\.\d+\.\d+|[A-Za-z][A-Za-z0-9.-]*):\d{1,5}")
"""Addresses that YAML reads as text without quotes; `@name`, `[ipv6]` and `12:30` need them."""

_ROLES: dict[object, Role] = {
    **{role.value: role for role in Role},
    "voter": Role.VOTER,
    "stand-by": Role.STANDBY,
    "spare": Role.SPARE,
}


class NodeStore(Protocol):
    """Gives and takes the members of a cluster."""

    def get(self) -> tuple[Member, ...]:
        """
        Return what was stored last; empty if nothing was.

        Raises:
            StoreError: If it cannot be read.
        """

    def set(self, members: Sequence[Member]) -> None:
        """
        Replace what is stored.

        Raises:
            StoreError: If it cannot be written; what was stored stays.
        """


class MemoryStore:
    """Forgets with the process; safe for threads."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._members = tuple(members)

    @classmethod
    def of(cls, addresses: Iterable[str]) -> "MemoryStore":
        """A store of nodes of which only the addresses are known; a text is one address."""
        return cls(map(_unknown, [addresses] if isinstance(addresses, str) else addresses))

    def get(self) -> tuple[Member, ...]:
        """Return what was stored last."""
        return self._members

    def set(self, members: Sequence[Member]) -> None:
        """Replace what is stored."""
        self._members = tuple(members)


class YamlStore:
    """A list of mappings with the keys ID, Address and Role; written atomically, mode 0600."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """A path without a file is an empty store; nothing is read or written before it is used."""
        self.path = Path(path)

    def get(self) -> tuple[Member, ...]:
        """
        Return what was stored last; empty if there is no file.

        Raises:
            StoreError: If the file cannot be read, or is no list of members.
        """
        try:
            value = load_yaml(self.path)
        except FileNotFoundError:
            return ()
        if not isinstance(value, list) or len(value) > MEMBERS_MAX:
            if value is None:
                return ()
            raise StoreError(f"{self.path}: expected a list of at most {MEMBERS_MAX} members")
        return tuple(
            parse_member(each, f"{self.path}, member {i}") for i, each in enumerate(value, 1)
        )

    def set(self, members: Sequence[Member]) -> None:
        """Replace the file; raises StoreError if that fails."""
        replace_file(self.path, "".join(f"- {format_member(member, '  ')}" for member in members))


class SqliteStore:
    """A table of addresses, as go-dqlite's database store: ids and roles are not kept."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: str = "main",
        table: str = "servers",
        column: str = "address",
        where: str = "",
    ) -> None:
        """
        Open or create the file, mode 0600, and the table. One connection serves all threads.

        Args:
            where: SQL that selects the rows to read; the caller vouches for it.

        Raises:
            StoreError: If the file is no database, or cannot be opened.
        """
        self.path = str(path)
        self._column = _quoted(column)
        self._table = f"{_quoted(schema)}.{_quoted(table)}"
        self._where = f" WHERE {where}" if where else ""
        self._lock = threading.Lock()
        try:
            if self.path != ":memory:":
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as cause:
            raise StoreError(f"cannot open the node store {self.path}: {cause}") from cause
        try:
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} ({self._column} TEXT,"
                f" UNIQUE({self._column}))"
            )
        except sqlite3.Error as cause:
            self._database.close()
            raise StoreError(f"cannot use the node store {self.path}: {cause}") from cause

    def get(self) -> tuple[Member, ...]:
        """Return the addresses, each as a voter of id 1; raises StoreError if that fails."""
        sql = f"SELECT {self._column} FROM {self._table}{self._where} LIMIT {MEMBERS_MAX + 1}"
        with self._lock, self._translated("read"):
            rows = self._database.execute(sql).fetchall()
        if len(rows) > MEMBERS_MAX:
            raise StoreError(f"{self.path}: more than {MEMBERS_MAX} members")
        for (address,) in rows:
            _check_address(address, self.path)
        return tuple(Member(1, address, Role.VOTER) for (address,) in rows)

    def set(self, members: Sequence[Member]) -> None:
        """Replace the addresses in one transaction; raises StoreError, also for a duplicate."""
        insert = f"INSERT INTO {self._table}({self._column}) VALUES (?)"
        with self._lock, self._translated("write"):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute(f"DELETE FROM {self._table}{self._where}")
                for member in members:
                    try:
                        self._database.execute(insert, (member.address,))
                    except sqlite3.Error as cause:
                        raise StoreError(
                            f"failed to insert server {member.address}: {cause}"
                        ) from cause
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Any:
        try:
            yield
        except sqlite3.Error as cause:
            raise StoreError(f"cannot {verb} the node store {self.path}: {cause}") from cause


def default_store(path: str | os.PathLike[str]) -> YamlStore | SqliteStore:
    """The store in a file: YAML if its name ends in `.yaml`, else SQLite. Opened or created."""
    return YamlStore(path) if os.fspath(path).endswith(".yaml") else SqliteStore(path)


def load_yaml(path: Path) -> Any:
    """
    Return the plain values in a small YAML file.

    Raises:
        FileNotFoundError: If there is no file.
        StoreError: If it cannot be read, is too long, or is no YAML; the message is one line.
    """
    import yaml  # type: ignore[import-untyped]  # Loaded late: only YAML stores need it.

    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise StoreError(f"{path}: expected at most {FILE_BYTES_MAX} bytes")
        return yaml.safe_load(content)
    except FileNotFoundError:
        raise
    except OSError as cause:
        raise StoreError(f"cannot read {path}: {cause.strerror or cause}") from cause
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise StoreError(f"{path}{where}: no YAML: {cause.problem or cause.context}") from cause
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        raise StoreError(f"{path}: no YAML: {' '.join(str(cause).split())}") from cause


def parse_member(value: Any, where: str) -> Member:
    """
    Return the member that a mapping of ID, Address and Role (a number or a name) describes.

    Raises:
        StoreError: If it describes none; `where` begins the message.
    """
    if not isinstance(value, dict):
        raise StoreError(f"{where}: expected a mapping with ID, Address and Role")
    node_id, role = value.get("ID"), value.get("Role", 0)
    if type(node_id) is not int or not 0 <= node_id < 2**64:
        raise StoreError(f"{where}: expected an ID from 0 to 2**64 - 1, got {node_id!r:.100}")
    if type(role) not in (int, str) or role not in _ROLES:
        raise StoreError(f"{where}: expected a Role from 0 to 2, got {role!r:.100}")
    return Member(node_id, _check_address(value.get("Address"), where), _ROLES[role])


def format_member(member: Member, indent: str = "") -> str:
    """The three lines of a member; `indent` stands before the second and third."""
    address = member.address
    if not _PLAIN.fullmatch(address):
        address = "'" + address.replace("'", "''") + "'"
    return f"ID: {member.id}\n{indent}Address: {address}\n{indent}Role: {member.role.value}\n"


def replace_file(path: Path, content: str | bytes) -> None:
    """
    Write a file of mode 0600 whole or not at all, and make that last.

    Raises:
        StoreError: If it cannot be written; what was there stays.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, no path
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the name is text
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except BaseException as cause:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - the name is text
        if isinstance(cause, OSError):
            raise StoreError(f"cannot write {path}: {cause.strerror or cause}") from cause
        raise


def _unknown(address: str) -> Member:
    """A member of which only the address is known, as go-dqlite's database store gives it."""
    return Member(1, address, Role.VOTER)


def _check_address(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 1000:
        raise StoreError(f"{where}: expected an Address, got {value!r:.100}")
    return value


def _quoted(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
