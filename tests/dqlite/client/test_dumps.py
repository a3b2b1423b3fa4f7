"""A dump becomes two private files, which SQLite opens, and nothing else."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.dumps import save_dump
from dqlite.client.stores import MemoryStore
from dqlite.wire import codec, schema
from dqlite.wire.session import Session


def test_dump_is_two_private_files(tmp_path: Path) -> None:
    path = save_dump({"test-wal": b"wal", "test": b"database"}, tmp_path)

    assert path == tmp_path / "test"
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "test": b"database",
        "test-wal": b"wal",
    }
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in tmp_path.iterdir())


def test_wal_of_an_earlier_dump_does_not_stay(tmp_path: Path) -> None:
    save_dump({"test": b"old", "test-wal": b"old"}, tmp_path)
    save_dump({"test": b"new", "test-wal": b""}, tmp_path)

    assert (tmp_path / "test-wal").read_bytes() == b""


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"test": b"x"},
        {"../test": b"x", "../test-wal": b""},
        {"/etc/passwd": b"x", "/etc/passwd-wal": b""},
        {"test": b"x", "other-wal": b""},
        {"test": b"x", "test-wal": b"", "more": b""},
        {"test": b"", "test-wal": b""},
        {"": b"x", "-wal": b""},
    ],
)
def test_what_is_no_dump_of_one_database_is_refused(files: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.Refused):
        save_dump(files, tmp_path / "in")

    assert list(tmp_path.iterdir()) == []


def test_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreError, match="cannot write"):
        save_dump({"test": b"x", "test-wal": b""}, tmp_path / "missing")


def test_dump_above_its_limit_is_refused_at_its_header() -> None:
    files = schema.Files((schema.File("t", bytes(1000)), schema.File("t-wal", b"")))
    answer = codec.encode(files)
    allowed, refusing = Session(), Session()
    allowed.send(schema.Dump("t"), answer_bytes_max=len(answer))
    refusing.send(schema.Dump("t"), answer_bytes_max=1000)

    assert allowed.receive(answer) == files
    with pytest.raises(errors.ProtocolError, match="expected a frame"):
        refusing.receive(answer[: codec.HEADER_BYTES])


def test_dump_may_be_longer_than_any_other_answer() -> None:
    session = Session()
    session.send(schema.Dump("t"), answer_bytes_max=2 * codec.FRAME_BYTES_MAX)
    header = (codec.FRAME_BYTES_MAX // 8 + 8).to_bytes(4, "little") + bytes([9, 0, 0, 0])

    assert session.receive(header) is None


@pytest.mark.cluster
def test_real_dump_holds_the_rows(program: Any, tmp_path: Path) -> None:
    program.start(1)
    connector = BlockingConnector(MemoryStore.of([program.addresses[1]]))
    with connector.connect(timeout_s=20) as asked:
        asked.open("test")
        asked.exec_sql("CREATE TABLE t (n INTEGER)")
        for n in range(20):
            asked.exec_sql("INSERT INTO t VALUES (?)", (n,))
        path = save_dump(asked.dump("test"), tmp_path)
        with pytest.raises(errors.DqliteError):
            save_dump(asked.dump("missing"), tmp_path)
        refused = BlockingClient.connect(asked.address, timeout_s=5)
        with refused, pytest.raises(errors.ProtocolError):
            refused.dump("test", bytes_max=4096)
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT n FROM t ORDER BY n").fetchall()
        integrity = database.execute("PRAGMA integrity_check").fetchone()
    database.close()

    assert rows == [(n,) for n in range(20)]
    assert integrity == ("ok",)
