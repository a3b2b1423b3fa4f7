"""Clusters that lost their majority, made by hand and real ones; interrupted at every step."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dqlite import (
    BlockingClient,
    BlockingConnector,
    DamagedFiles,
    DqliteError,
    LastEntryInfo,
    Member,
    MemoryStore,
    NodeError,
    Role,
    YamlStore,
    recover_cluster,
)
from dqlite.node import exchange, files, locks, recovery
from tests.dqlite.node import raft_files as made
from tests.dqlite.node.raft_files import Made

LIMIT_S = 30.0
OLD = tuple((node_id, f"10.0.0.{node_id}:9001", 0) for node_id in range(1, 6))
NEW = (Member(1, "10.0.0.1:9001", Role.VOTER), Member(2, "10.0.0.2:9001", Role.STANDBY))


def reconfigure(directory: Path, members: Sequence[Member], *, library: object = None) -> None:
    """What the library does: close open segments, and write an entry of term 1 behind the last."""
    found = list(files.read(directory).entries())
    for segment in {entry.segment for entry in found if entry.segment.first is None}:
        within = [entry for entry in found if entry.segment == segment]
        whole = segment.path.read_bytes()[: within[-1].offset + within[-1].size]
        (directory / f"{within[0].index:016}-{within[-1].index:016}").write_bytes(whole)
        segment.path.unlink()
    change = made.change(1, *((each.id, each.address, each.role.value) for each in members))
    made.closed(directory, found[-1].index + 1, [change])


@pytest.fixture(autouse=True)
def without_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("cluster") is None:
        monkeypatch.setattr(recovery, "reconfigure_membership_ext", reconfigure)


def survivors(tmp_path: Path, *logs: Sequence[Made]) -> list[Path]:
    """Directories of go-dqlite's layout whose logs begin with the old members."""
    found = []
    for node_id, log in enumerate(logs, 1):
        directory = tmp_path / f"n{node_id}"
        directory.mkdir()
        made.metadata(directory, 1, 3, 4, node_id)
        made.closed(directory, 1, [made.change(1, *OLD)], log)
        (directory / "info.yaml").write_text(
            f"ID: {node_id}\nAddress: 10.0.0.{node_id}:9001\nRole: 0\n"
        )
        (directory / "cluster.yaml").write_text("[]\n")
        (directory / "join").touch()
        found.append(directory)
    return found


def terms(directory: Path) -> list[tuple[int, int]]:
    return [(entry.index, entry.term) for entry in files.read(directory).entries()]


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_all_get_the_newest_log_with_the_members_behind_it(tmp_path: Path) -> None:
    old, new = survivors(tmp_path, [Made(1), Made(1), Made(1)], [Made(2), Made(4)])
    before = [content(old), content(new)]
    lines: list[str] = []

    done = recover_cluster([old, new], NEW, backup=tmp_path / "backup", report=lines.append)

    assert done.template == new
    assert done.last_entry == LastEntryInfo(term=4, index=3)
    for directory in (old, new):
        assert terms(directory) == [(1, 1), (2, 2), (3, 4), (4, 1)]
        last = files.read(directory).last()
        assert last is not None
        assert last.members() == NEW
        assert YamlStore(directory / "cluster.yaml").get() == NEW
        assert not (directory / "join").exists()
        assert not list(directory.glob("recovery.*"))
    assert (old / "info.yaml").read_bytes() == before[0]["info.yaml"]
    assert [content(path) for path in done.backups] == before
    assert [line[:2] for line in lines if line[0].isdigit()] == [f"{i}." for i in range(1, 7)]
    assert f"   {new}, node 2 at 10.0.0.2:9001: term 4, index 3; 5 members" in lines
    assert "   1 at 10.0.0.1:9001 in " + str(old) in lines


def test_what_another_tool_began_is_ended_with_the_same_template(tmp_path: Path) -> None:
    older, newer = survivors(tmp_path, [Made(5)], [Made(5), Made(5)])
    reconfigure(newer, NEW)  # Its last entry has term 1 now.

    done = recover_cluster([older, newer], NEW, backup=tmp_path / "backup")

    assert done.template == newer
    assert terms(older) == [(1, 1), (2, 5), (3, 5), (4, 1), (5, 1)]


def test_open_segments_and_snapshots_are_replaced_too(tmp_path: Path) -> None:
    old, new = survivors(tmp_path, [Made(1)], [Made(2)])
    (old / "open-3").write_bytes(made.segment([Made(1)], zeros=64))
    made.snapshot(old, 1, 2, *OLD)
    made.snapshot(new, 2, 2, *OLD)
    (new / "open-7").write_bytes(made.segment([Made(3)], zeros=64))

    recover_cluster([old, new], NEW, backup=tmp_path / "backup")

    assert terms(old) == terms(new) == [(1, 1), (2, 2), (3, 3), (4, 1)]
    assert list(old.glob("snapshot-1-*")) == []


def test_empty_directory_of_a_new_member_is_filled(tmp_path: Path) -> None:
    (old,) = survivors(tmp_path, [Made(2)])
    fresh = tmp_path / "fresh"
    fresh.mkdir()

    recover_cluster([old, fresh], NEW, backup=tmp_path / "backup")

    assert terms(fresh) == [(1, 1), (2, 2), (3, 1)]
    assert files.read(fresh).metadata.term == 4


def test_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    directories = survivors(tmp_path, [Made(1)], [Made(2)])
    before = content(tmp_path)
    dry: list[str] = []
    wet: list[str] = []

    would = recover_cluster(
        directories, NEW, backup=tmp_path / "backup", dry_run=True, report=dry.append
    )

    assert content(tmp_path) == before
    assert not (tmp_path / "backup").exists()
    assert dry.pop() == "Dry run: nothing was changed."
    assert would == recover_cluster(directories, NEW, backup=tmp_path / "backup", report=wet.append)
    assert dry == wet


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (
            lambda at: (at / "n1" / "info.yaml").write_text("ID: 5\nAddress: x:1\nRole: 0\n"),
            "node 5",
        ),
        (lambda at: (at / "n1" / "info.yaml").write_text("- 1\n"), "info.yaml"),
        (lambda at: made.closed(at / "n1", 9, [Made(1)]), "begins with entry 3"),
        (lambda at: (at / "n1" / ("x" * 128)).touch(), "longer than 127"),
        (lambda at: shutil.rmtree(at / "n1"), "n1: No such file"),
        (
            lambda at: made.closed(at / "n1", 3, [made.change(1, (8, "z", 0))]),
            "no member in common",
        ),
    ],
)
def test_directories_that_are_none_of_the_cluster_change_nothing(
    tmp_path: Path, prepare: Callable[[Path], object], says: str
) -> None:
    directories = survivors(tmp_path, [Made(1)], [Made(2)])
    prepare(tmp_path)
    before = content(tmp_path)

    with pytest.raises((DqliteError, ValueError), match=says):
        recover_cluster(directories, NEW, backup=tmp_path / "backup")

    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("given", "backup", "says"),
    [
        ((), "backup", "directories that differ"),
        (("n1", "n1"), "backup", "directories that differ"),
        (("n1",), "n1/backup", "outside of"),
        (("empty",), "backup", "a log in at least one"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    tmp_path: Path, given: Sequence[str], backup: str, says: str
) -> None:
    survivors(tmp_path, [Made(1)])
    (tmp_path / "empty").mkdir()

    with pytest.raises(ValueError, match=says):
        recover_cluster([tmp_path / name for name in given], NEW, backup=tmp_path / backup)


def test_directory_of_a_node_that_runs_is_left_alone(tmp_path: Path) -> None:
    directories = survivors(tmp_path, [Made(1)], [Made(2)])

    with locks.locked(directories[1]), pytest.raises(NodeError, match="another node"):
        recover_cluster(directories, NEW, backup=tmp_path / "backup")


CALLS = (
    (Path, "rename"),
    (Path, "unlink"),
    (Path, "rmdir"),
    (Path, "mkdir"),
    (shutil, "copyfile"),
    (shutil, "copytree"),
    (shutil, "copy2"),
)
"""Every change of a file that recovery makes goes through one of these, or is an fsync."""

STRIDE = 1 if os.environ.get("DQLITE_EVERY_INTERRUPTION") else 13
"""All of them take a minute."""


class Interrupter:
    """Lets so many changes of files happen, and then none any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self._left = left
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        monkeypatch.setattr(os, "fsync", self._wrapped(lambda _: None))

    def _wrapped(self, call: Any) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            return call(*arguments, **named)

        return counted


def test_interrupted_anywhere_a_second_call_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = ([Made(4), Made(4)], [Made(4), Made(5), Made(5)], [Made(4)])
    members = [*NEW, Member(3, "10.0.0.3:9001", Role.VOTER)]
    is_interrupted = True
    changes = 0
    half_way = 0
    while is_interrupted:
        at = tmp_path / str(changes)
        at.mkdir()
        directories = survivors(at, *logs)
        before = [content(path) for path in directories]
        with monkeypatch.context() as patched:
            Interrupter(patched, changes)
            is_interrupted = False
            try:
                recover_cluster(directories, members, backup=at / "backup")
            except KeyboardInterrupt:
                is_interrupted = True
        unfinished = [path for path in directories if _is_refused(path)]
        half_way += len(unfinished) > 0
        for path, old in zip(directories, before, strict=True):
            assert content(path) == old or _backed_up(at / "backup", old), (changes, path)

        recover_cluster(directories, members, backup=at / "backup")

        for path in directories:
            whole = [entry for entry in terms(path) if entry[1] > 1 or entry[0] == 1]
            assert whole == [(1, 1), (2, 4), (3, 5), (4, 5)], changes
            last = files.read(path).last()
            assert last is not None
            assert last.members() == tuple(members)
            assert (path / "info.yaml").exists()
        shutil.rmtree(at)
        changes += STRIDE

    assert changes > 100
    assert half_way * STRIDE > 20, "a node refuses to start on a directory that is half-way"


def _is_refused(path: Path) -> bool:
    try:
        files.check(path)
    except DamagedFiles as error:
        return "interrupted" in str(error)
    return False


def _backed_up(backup: Path, old: dict[str, bytes]) -> bool:
    return any(content(path) == old for path in backup.glob("recovery-*/*"))


def test_dry_run_does_not_end_what_was_interrupted(tmp_path: Path) -> None:
    directories = survivors(tmp_path, [Made(1)], [Made(2)])
    exchange.stage(directories[1], directories[0])
    (directories[0] / exchange.COPY).rename(directories[0] / exchange.NEW)
    before = content(tmp_path)

    with pytest.raises(NodeError, match="interrupted"):
        recover_cluster(directories, NEW, backup=tmp_path / "backup", dry_run=True)

    assert content(tmp_path) == before


def test_disk_that_is_full_leaves_every_directory_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = survivors(tmp_path, [Made(1)], [Made(2)])
    before = [content(path) for path in directories]
    copied = shutil.copyfile

    def copy(source: Path, target: Path, **named: Any) -> Any:
        if Path(target).is_relative_to(directories[1]):
            raise OSError(28, "No space left on device", str(target))
        return copied(source, target, **named)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", copy)
        with pytest.raises(NodeError, match=r"n2.*No space left"):
            recover_cluster(directories, NEW, backup=tmp_path / "backup")

    assert [content(path) for path in directories] == before
    assert not list(tmp_path.glob("n*/recovery.*"))


def test_files_belong_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    directories = survivors(tmp_path, [Made(1)], [Made(2)])
    for path in (directories[0], *directories[0].iterdir()):
        os.chown(path, 12345, 23456)

    recover_cluster(directories, NEW, backup=tmp_path / "backup")

    raft = [directories[0] / name for name in exchange.raft_files(directories[0])]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in raft} == {(12345, 23456)}
    assert {path.stat().st_mode & 0o777 for path in raft} == {0o600}


@pytest.mark.cluster
def test_three_of_five_directories_lost_and_every_row_of_a_survivor_is_there(
    program: Any, tmp_path: Path
) -> None:
    """5 ends first, then 4. Rows that only 1 to 3 held may be lost."""
    for node_id in range(1, 6):
        program.start(node_id)
    addresses = program.addresses
    with BlockingClient.connect(addresses[1], timeout_s=LIMIT_S) as client:
        for node_id in range(2, 6):
            client.add(node_id, addresses[node_id])
            client.assign(node_id, Role.VOTER)
        client.open("test")
        client.exec_sql("CREATE TABLE numbers (n INTEGER)")
        acknowledged = 0
        for last, victim in ((20, 5), (40, 4), (50, None)):
            while acknowledged < last:
                client.exec_sql("INSERT INTO numbers VALUES (?)", (acknowledged + 1,))
                acknowledged += 1
            if victim:
                _until_it_holds(addresses[victim], acknowledged, tmp_path / "dump")
                program.kill(victim)
    for node_id in (1, 2, 3):
        program.kill(node_id)
        shutil.rmtree(tmp_path / str(node_id))
    left = [tmp_path / "5", tmp_path / "4"]
    members = [Member(node_id, addresses[node_id], Role.VOTER) for node_id in (4, 5)]

    done = recover_cluster(left, members, backup=tmp_path / "backup")

    assert done.template == tmp_path / "4"
    program.start(4)
    program.start(5)
    store = MemoryStore.of([addresses[4], addresses[5]])
    with BlockingConnector(store).connect(timeout_s=LIMIT_S) as client:
        assert client.cluster() == tuple(members)
        client.open("test")
        rows = [row[0] for row in client.query_sql("SELECT n FROM numbers ORDER BY n").rows]
        assert rows[:40] == list(range(1, 41))
        assert len(rows) <= 50
        client.exec_sql("INSERT INTO numbers VALUES (1000)")


def _until_it_holds(address: str, number: int, folder: Path) -> None:
    """Ask a node for its own copy until it has applied a row, and so holds it in its log."""
    folder.mkdir(exist_ok=True)
    while True:
        with BlockingClient.connect(address, timeout_s=LIMIT_S) as client:
            for name, data in client.dump("test").items():
                (folder / name).write_bytes(data)
        with (
            suppress(sqlite3.OperationalError),  # It may have no such table yet.
            closing(sqlite3.connect(folder / "test")) as database,
        ):
            if database.execute("SELECT max(n) FROM numbers").fetchone() == (number,):
                return
