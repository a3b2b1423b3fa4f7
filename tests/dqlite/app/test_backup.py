"""A database out of a cluster into one file, and back into another cluster."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dqlite.app.backup import backup
from dqlite.app.restoration import restore
from dqlite.errors import Abandoned, BackupError, ConnectionLost, DqliteError, StatementError
from dqlite.wire import schema
from tests.dqlite.app.clusters import Apps

pytestmark = pytest.mark.cluster

SCHEMA = """
CREATE TABLE plain (a, b TEXT, c REAL, d BLOB, e INTEGER);
CREATE TABLE "odd ""name" ("a b" TEXT PRIMARY KEY, [order] INTEGER) WITHOUT ROWID;
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, parent REFERENCES counted(id));
CREATE TABLE sums (x INTEGER, y INTEGER GENERATED ALWAYS AS (x + 1) STORED, z AS (x * 2));
CREATE TABLE rowids (rowid TEXT, n INTEGER);
CREATE TABLE log (what TEXT);
CREATE INDEX by_b ON plain(b) WHERE e > 0;
CREATE VIEW seen AS SELECT a FROM plain;
CREATE TRIGGER logs AFTER INSERT ON plain BEGIN INSERT INTO log VALUES ('x;y'); END;
PRAGMA user_version = 42;
PRAGMA application_id = 7;
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    bindings = pytest.importorskip("dqlite.node.bindings", reason="cffi is not installed")
    try:
        bindings.load()
    except DqliteError as missing:
        pytest.skip(str(missing))
    with closing(Apps(tmp_path_factory.mktemp("backup"))) as apps:
        apps.start(1)
        apps.start(2)
        yield apps


@pytest.fixture
def app(cluster: Apps) -> Any:
    return cluster.running[2]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A database with all that SQLite can hold, and a file cannot be asked to keep in order."""
    path = tmp_path / "original.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(SCHEMA)
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO plain VALUES (?, ?, ?, ?, ?)",
            [
                (1, "text", 1.5, b"\0\xff", -(2**63)),
                (None, "", float("inf"), b"", 2**63 - 1),
                ("nul\0inside", "ünïcode ☃", -0.0, b"x" * 5000, 0),
                (b"1", "1", 1e300, None, None),
                *((n, f"row {n}", n / 3, bytes([n % 256]), n) for n in range(600)),
            ],
        )
        database.execute("INSERT INTO plain(b) VALUES (CAST(x'ff00fe' AS TEXT))")
        database.execute("DELETE FROM plain WHERE rowid BETWEEN 10 AND 20")
        database.execute("UPDATE plain SET rowid = 9000000000 WHERE rowid = 5")
        database.execute("""INSERT INTO "odd ""name" VALUES ('k', 1), ('l', NULL)""")
        database.execute("INSERT INTO counted VALUES (5, 9), (9, NULL)")  # a child first
        database.execute("DELETE FROM counted WHERE id = 5")
        database.execute("INSERT INTO counted(parent) VALUES (9)")
        database.execute("INSERT INTO sums(x) VALUES (1), (2)")
        database.execute("INSERT INTO rowids VALUES ('mine', 1)")
        database.execute("COMMIT")
    return path


def contents(path: Path) -> dict[str, Any]:
    """All that two equal databases have in common: schema, rows with rowids, pragmas."""
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        found: dict[str, Any] = {
            "schema": sorted(database.execute("SELECT type, name, sql FROM sqlite_master"))
        }
        for name in (b"plain", b"counted", b"sums", b"log"):
            found[name.decode()] = database.execute(
                f"SELECT rowid, * FROM {name.decode()} ORDER BY rowid"
            ).fetchall()
        for name in ("rowids", '"odd ""name"', "sqlite_sequence", "seen"):
            found[name] = sorted(database.execute(f"SELECT * FROM {name}"), key=repr)
        for pragma in ("user_version", "application_id", "integrity_check"):
            found[pragma] = database.execute(f"PRAGMA {pragma}").fetchall()
        types = "SELECT typeof(a), typeof(b), typeof(c), typeof(d), typeof(e) FROM plain"
        found["types"] = database.execute(types + " ORDER BY rowid").fetchall()
    return found


def test_file_goes_through_a_cluster_and_comes_back_the_same(
    app: Any, original: Path, tmp_path: Path
) -> None:
    app.restore("file", original)
    size = app.backup("file", tmp_path / "copy.db")

    assert contents(tmp_path / "copy.db") == contents(original)
    assert size == (tmp_path / "copy.db").stat().st_size
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "original.db"]


def test_large_file_is_restored_in_parts(
    app: Any, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqlite.app.filling.PART_BYTES", 4096)
    monkeypatch.setattr("dqlite.app.restoration.BATCH_BYTES_MAX", 1024)
    app.restore("parts", original)
    app.backup("parts", tmp_path / "copy.db")

    assert contents(tmp_path / "copy.db") == contents(original)


def test_restoration_in_parts_that_is_interrupted_begins_again(
    app: Any, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqlite.app.filling.PART_BYTES", 4096)
    monkeypatch.setattr("dqlite.app.filling.PAUSE_S", 0)
    with monkeypatch.context() as interrupted:
        interrupted.setattr("dqlite.app.filling.Parts._finish", lost_connection)
        with pytest.raises(BackupError, match="again is incomplete, restore it again"):
            app.restore("again", original)
    app.backup("again", tmp_path / "half.db")
    with pytest.raises(BackupError, match="was not finished"):
        app.restore("half", tmp_path / "half.db")

    app.restore("again", original)
    app.backup("again", tmp_path / "copy.db")
    assert contents(tmp_path / "copy.db") == contents(original)
    with pytest.raises(BackupError, match="not empty"):
        app.restore("again", original)


def lost_connection(_: object) -> None:
    raise ConnectionLost("end of stream")


def test_rows_of_a_large_file_that_name_no_parent_are_refused(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqlite.app.filling.PART_BYTES", 4096)
    path = tmp_path / "orphans.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE child (id, parent REFERENCES parents(id))")
        database.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY, filling)")
        database.execute("INSERT INTO child VALUES (1, 7)")
        database.execute("INSERT INTO parents VALUES (8, zeroblob(9000))")
        database.commit()
    with pytest.raises(BackupError, match="violate a foreign key"):
        app.restore("orphans", path)

    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE parents SET id = 7")
        database.commit()
    app.restore("orphans", path)


def test_transaction_larger_than_the_page_cache_is_restored(app: Any, tmp_path: Path) -> None:
    script = tmp_path / "large.sql"
    rows = "".join(
        f"INSERT INTO t VALUES ({n * 7919 % 4001}, zeroblob(800));\n" for n in range(4001)
    )
    script.write_text(f"CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB);\n{rows}")  # 3.5 MB of pages
    app.restore("large", script)
    app.backup("large", tmp_path / "copy.db")

    with closing(sqlite3.connect(tmp_path / "copy.db")) as database:
        assert database.execute("SELECT count(*), sum(n) FROM t").fetchone() == (4001, 8002000)


def test_script_of_sqlite_goes_into_a_cluster(app: Any, tmp_path: Path) -> None:
    script = tmp_path / "dump.sql"
    script.write_text(
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        "CREATE TABLE t (n INTEGER, s TEXT);\n"
        "INSERT INTO t VALUES(1,'a;b');\nINSERT INTO t VALUES(2,replace('c\\nd','\\n',char(10)));\n"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t WHERE n = 3; SELECT 1; END;\n"
        "COMMIT;\n"
    )
    app.restore("script", script)
    app.backup("script", tmp_path / "copy.db")

    with closing(sqlite3.connect(tmp_path / "copy.db")) as database:
        assert database.execute("SELECT * FROM t").fetchall() == [(1, "a;b"), (2, "c\nd")]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_restoration_that_fails_applies_nothing(app: Any, tmp_path: Path) -> None:
    script = tmp_path / "wrong.sql"
    script.write_text("CREATE TABLE t (n); INSERT INTO t VALUES (1); DELETE FROM missing")
    with pytest.raises(StatementError, match="missing"):
        app.restore("wrong", script)

    with app.leader() as client:
        client.open("wrong")
        assert client.query_sql("SELECT * FROM sqlite_master").rows == ()


def test_only_an_empty_database_is_filled(app: Any, tmp_path: Path) -> None:
    script = tmp_path / "once.sql"
    script.write_text("CREATE TABLE t (n)")
    app.restore("once", script)

    with pytest.raises(BackupError, match="not empty"):
        app.restore("once", script)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"SQLite format 3\0" + b"\xff" * 5000, "cannot read"),
        (b"\xff\xfe", "neither an SQLite file nor SQL"),
        (b"SAVEPOINT x", "SAVEPOINT"),
        (b"CREATE TABLE t (n); ROLLBACK", "ROLLBACK"),
    ],
)
def test_what_is_no_backup_is_refused(
    app: Any, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "no.db"
    path.write_bytes(content)
    with pytest.raises(BackupError, match=reason):
        app.restore("refused", path)


def test_virtual_table_is_refused(app: Any, tmp_path: Path) -> None:
    path = tmp_path / "fts.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIRTUAL TABLE v USING fts5(x)")
    with pytest.raises(BackupError, match="virtual table v"):
        app.restore("refused", path)


def test_existing_file_is_kept_unless_it_is_to_be_replaced(app: Any, tmp_path: Path) -> None:
    script = tmp_path / "kept.sql"
    script.write_text("CREATE TABLE t (n)")
    app.restore("kept", script)
    target = tmp_path / "target.db"
    target.write_text("mine")
    with pytest.raises(BackupError, match="exists"):
        app.backup("kept", target)
    assert target.read_text() == "mine"

    app.backup("kept", target, replace=True)
    assert target.read_bytes().startswith(b"SQLite format 3\0")


def test_unknown_database_is_an_error_that_leaves_no_file(app: Any, tmp_path: Path) -> None:
    with pytest.raises(DqliteError, match=r"unknown|does not exist|no database"):
        app.backup("unknown", tmp_path / "x.db")
    assert list(tmp_path.iterdir()) == []


class Scripted:
    """A leader of whom only some answers are needed."""

    address = "10.0.0.1:9000"

    def __init__(self, files: dict[str, bytes] | None = None, *, lost: str = "INSERT") -> None:
        """The connection is lost at the first statement that begins with `lost`."""
        self.files = files or {}
        self.lost = lost
        self.sent: list[str] = []
        self.is_closed = False

    def dump(self, _: str, bytes_max: int) -> dict[str, bytes]:
        return self.files

    def open(self, _: str) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def query_sql(self, sql: str) -> schema.Rows:
        return schema.Rows(("1",), ())

    def exec_sql(self, sql: str, _: object = ()) -> None:
        self.sent.append(sql)
        if sql.startswith(self.lost):
            raise ConnectionLost("connection lost")


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_damaged_dump_is_no_backup(tmp_path: Path, content: bytes) -> None:
    leader: Any = Scripted({"d": content, "d-wal": b""})
    with pytest.raises(BackupError, match="the dump of d"):
        backup(leader, "d", tmp_path / "x.db")
    assert list(tmp_path.iterdir()) == []


def test_page_that_is_damaged_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sound.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (n TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 500)
        database.commit()
    content = bytearray(path.read_bytes())
    content[8192:8292] = bytes(100)
    leader: Any = Scripted({"d": bytes(content), "d-wal": b""})

    with pytest.raises(BackupError, match=r"integrity|malformed"):
        backup(leader, "d", tmp_path / "x.db")


def test_connection_lost_before_the_commit_means_that_nothing_was_applied(tmp_path: Path) -> None:
    script = tmp_path / "s.sql"
    script.write_text("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
    leader: Any = Scripted()
    with pytest.raises(Abandoned):
        restore(leader, "d", script)

    assert leader.is_closed
    assert "COMMIT" not in leader.sent


def test_commit_without_an_answer_says_that_all_is_there_or_nothing(tmp_path: Path) -> None:
    script = tmp_path / "s.sql"
    script.write_text("CREATE TABLE t (n)")
    leader: Any = Scripted(lost="COMMIT")
    with pytest.raises(ConnectionLost, match="d is whole or empty: look") as caught:
        restore(leader, "d", script)

    assert caught.value.ambiguous
