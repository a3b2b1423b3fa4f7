"""A large file into a cluster whose leader is lost in the middle of it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dqlite.app.restoration import restore
from dqlite.client.blocking import BlockingClient
from dqlite.errors import BackupError, ConnectionLost, NoLeader, StatementError
from dqlite.wire.schema import Role
from tests.dqlite.app.clusters import PATIENCE_S, Apps, eventually

pytestmark = pytest.mark.cluster

ROWS = 300
PART_BYTES = 16_384
PARTS_MIN = 10
"""What the file has at least, of that size."""

Loss = Callable[[BlockingClient], None]


@pytest.fixture
def original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of more than ten parts."""
    monkeypatch.setattr("dqlite.app.filling.PART_BYTES", PART_BYTES)
    monkeypatch.setattr("dqlite.app.restoration.BATCH_BYTES_MAX", 4096)
    path = tmp_path / "original.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT, b BLOB)")
        database.execute("CREATE INDEX by_b ON t(b)")
        rows = [(n, bytes([n % 256]) * 1000) for n in range(1, ROWS + 1)]
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
        database.commit()
    return path


@pytest.fixture
def three(apps: Apps) -> Apps:
    for number in (1, 2, 3):
        apps.start(number)
    eventually(lambda: apps.count(Role.VOTER) == 3)
    return apps


def contents(path: Path) -> Any:
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        return names, database.execute("SELECT * FROM t ORDER BY n").fetchall()


class Spy:
    """Stands before `BlockingClient.exec_sql`; loses the leader before or after one COMMIT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commits = 0
        self.before: dict[int, Loss] = {}
        self.after: dict[int, Loss] = {}
        run = BlockingClient.exec_sql

        def exec_sql(client: BlockingClient, sql: str, parameters: Any = ()) -> Any:
            if sql != "COMMIT":
                return run(client, sql, parameters)
            self.commits += 1
            number = self.commits
            self.before.get(number, nothing)(client)
            result = run(client, sql, parameters)
            self.after.get(number, nothing)(client)
            return result

        monkeypatch.setattr(BlockingClient, "exec_sql", exec_sql)


def nothing(_: BlockingClient) -> None:
    """Lose nothing."""


def lose_answer(_: BlockingClient) -> None:
    raise ConnectionLost("the answer was lost")


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    monkeypatch.setattr("dqlite.app.filling.PAUSE_S", 0.02)
    return Spy(monkeypatch)


def test_restoration_survives_leaders_that_stop_and_leaders_that_are_deposed(
    three: Apps, original: Path, tmp_path: Path, spy: Spy
) -> None:
    def stop(client: BlockingClient) -> None:
        three.stop(three.number(client.address))

    def depose(client: BlockingClient) -> None:
        leader = three.number(client.address)
        other = next(each for each in three.running if each != leader)
        with three.running[other].leader(PATIENCE_S) as another:
            members = {three.number(each.address): each.id for each in another.cluster()}
            another.transfer(members[other])

    spy.before = {3: depose, 7: stop}
    asked = three.running[three.leader()]  # it is deposed, so another node is stopped
    asked.restore("d", original)
    asked.backup("d", tmp_path / "copy.db")

    assert spy.commits > PARTS_MIN
    assert len(three.running) == 2
    assert contents(tmp_path / "copy.db") == contents(original)


@pytest.mark.parametrize("lost", ["of the first COMMIT", "of a part", "of the last COMMIT"])
def test_part_whose_commit_had_no_answer_is_there_once(
    apps: Apps, original: Path, tmp_path: Path, spy: Spy, lost: str
) -> None:
    app = apps.start(1)
    app.restore("whole", original)
    last, spy.commits = spy.commits, 0
    number = {"of the first COMMIT": 1, "of a part": 5, "of the last COMMIT": last}[lost]
    spy.after = {number: lose_answer}
    app.restore("d", original)
    app.backup("d", tmp_path / "copy.db")

    assert last > PARTS_MIN
    assert spy.commits == last
    assert contents(tmp_path / "copy.db") == contents(original)


def test_part_whose_commit_did_not_arrive_is_sent_again(
    apps: Apps, original: Path, tmp_path: Path, spy: Spy
) -> None:
    app = apps.start(1)
    spy.before = dict.fromkeys((1, 2, 6), lose_answer)
    app.restore("d", original)
    app.backup("d", tmp_path / "copy.db")

    assert contents(tmp_path / "copy.db") == contents(original)


def test_leader_that_is_lost_each_time_ends_the_restoration_with_what_to_do(
    apps: Apps, original: Path, spy: Spy
) -> None:
    app = apps.start(1)
    spy.before = dict.fromkeys(range(3, 100), lose_answer)
    with pytest.raises(BackupError, match="d is incomplete, restore it again: the answer was lost"):
        app.restore("d", original)

    assert spy.commits == 2 + 5
    spy.before = {}
    app.restore("d", original)


def test_two_restorations_do_not_mix(apps: Apps, original: Path, tmp_path: Path, spy: Spy) -> None:
    app = apps.start(1)

    def restore_another(_: BlockingClient) -> None:
        spy.after = {}
        app.restore("d", original)

    spy.after = {4: restore_another}
    with pytest.raises(BackupError, match="somebody else"):
        app.restore("d", original)

    app.backup("d", tmp_path / "copy.db")
    assert contents(tmp_path / "copy.db") == contents(original)


def test_what_no_leader_would_do_is_not_tried_again(apps: Apps, original: Path, spy: Spy) -> None:
    app = apps.start(1)

    def refuse(_: BlockingClient) -> None:
        raise StatementError("no")

    spy.before = {3: refuse}
    with pytest.raises(BackupError, match="incomplete, restore it again: no"):
        app.restore("d", original)

    assert spy.commits == 3


def test_restoration_ends_where_nobody_leads(apps: Apps, original: Path, spy: Spy) -> None:
    client = apps.start(1).leader(PATIENCE_S)

    def nobody() -> BlockingClient:
        raise NoLeader("nobody leads")

    spy.before = {3: lose_answer}
    with pytest.raises(BackupError, match="incomplete, restore it again: nobody leads"):
        restore(client, "d", original, next_leader=nobody)
