"""The end of a log and its members, by real nodes and by libraries that can say it themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlite import (
    BlockingClient,
    DamagedFiles,
    LastEntryInfo,
    LibraryNotFound,
    Member,
    Node,
    NodeError,
    NodeOptions,
    Role,
    SnapshotParams,
    read_last_entry_info,
    reconfigure_membership,
    reconfigure_membership_ext,
)
from dqlite.node import files, membership
from tests.dqlite.node import raft_files as made

LIMIT_S = 20.0
OPTIONS = NodeOptions(network_latency_ms=20)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([], "1 to 1000 members, got 0"),
        ([Member(0, "a", Role.VOTER)], "id of 1"),
        ([Member(1, "", Role.VOTER)], "address of 1"),
        ([Member(1, "a\0b", Role.VOTER)], "printable"),
        ([Member(1, "a", Role.SPARE), Member(2, "b", Role.STANDBY)], "one voter"),
        ([Member(1, "a", Role.VOTER), Member(1, "b", Role.VOTER)], "ids that differ"),
        ([Member(1, "a", Role.VOTER), Member(2, "a", Role.VOTER)], "addresses that differ"),
        ([Member(1, "a", 7)], "7"),  # type: ignore[arg-type]
    ],
)
def test_members_that_are_no_cluster_are_refused_before_the_library_aborts(
    tmp_path: Path, members: list[Member], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        reconfigure_membership_ext(tmp_path, members)


def test_end_is_read_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "_described", lambda _path, _library: None)
    made.closed(tmp_path, 1, [made.Made(1)], [made.Made(4)])

    assert read_last_entry_info(tmp_path) == LastEntryInfo(term=4, index=2)


def test_library_that_says_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "_described", lambda _path, _library: LastEntryInfo(1, 9))
    made.closed(tmp_path, 1, [made.Made(1)])

    with pytest.raises(NodeError, match=r"index=1.*libdqlite says.*index=9"):
        read_last_entry_info(tmp_path)


def test_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="missing"):
        read_last_entry_info(tmp_path / "missing")


@pytest.fixture
def node(library: None, address: str, tmp_path: Path) -> Iterator[Node]:
    made_node = Node(1, address, tmp_path, OPTIONS)
    yield made_node
    made_node.close()


def insert(address: str, count: int) -> None:
    with BlockingClient.connect(address, timeout_s=LIMIT_S) as client:
        client.open("test")
        client.exec_sql("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")
        for number in range(count):
            client.exec_sql("INSERT INTO numbers VALUES (?)", (number,))


@pytest.mark.cluster
def test_300_inserts_end_at_index_302_of_term_1(node: Node) -> None:
    node.start()
    insert(node.address, 300)
    with pytest.raises(NodeError, match="another node"):
        read_last_entry_info(node.data_dir)
    node.close()

    assert read_last_entry_info(node.data_dir) == LastEntryInfo(term=1, index=302)


@pytest.mark.cluster
def test_log_of_a_real_node_names_its_database_and_pages(node: Node) -> None:
    node.start()
    insert(node.address, 3)
    node.close()

    found = list(files.read(node.data_dir).entries())
    commands: list[Any] = [each.command() for each in found[1:] if each.type.value == 1]

    assert found[0].members() == (Member(1, node.address, Role.VOTER),)
    assert len(commands) == 4
    assert {(each.database, each.page_size) for each in commands} == {("test", 4096)}
    assert all(each.is_commit and min(each.pages) >= 1 for each in commands)


@pytest.mark.cluster
def test_end_is_that_of_the_log_behind_a_snapshot(node: Node) -> None:
    node.options = NodeOptions(
        network_latency_ms=20, snapshot_params=SnapshotParams(threshold=16, trailing=16)
    )
    node.start()
    insert(node.address, 100)
    node.close()

    log = files.read(node.data_dir)

    assert log.snapshot is not None
    assert log.snapshot.members == (Member(1, node.address, Role.VOTER),)
    assert read_last_entry_info(node.data_dir) == LastEntryInfo(1, 102)


@pytest.mark.cluster
def test_end_after_a_kill_is_read_from_open_segments(program: Any, tmp_path: Path) -> None:
    program.start(1)
    insert(program.addresses[1], 20)
    program.kill(1)
    data = tmp_path / "1"

    assert list(data.glob("open-*"))
    assert files.read(data).last_entry() == LastEntryInfo(1, 22)
    assert read_last_entry_info(data) == LastEntryInfo(1, 22), "the library agrees, if it can tell"


def cut(path: Path, offset: int) -> None:
    path.write_bytes(path.read_bytes()[:offset])


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


ASK = """
import sys
from pathlib import Path
from dqlite.node import membership
print(membership._described(Path(sys.argv[1]), None))
"""


@pytest.mark.cluster
@pytest.mark.parametrize("spoil", [cut, flip])
def test_library_and_reader_agree_on_what_is_cut_and_changed(
    program: Any, tmp_path: Path, spoil: Callable[[Path, int], None]
) -> None:
    """The library gets processes of its own: it crashes on some of what the reader refuses."""
    bindings = pytest.importorskip("dqlite.node.bindings")
    if bindings.Capability.DESCRIBE_LAST_ENTRY not in bindings.load().capabilities():
        pytest.skip("this libdqlite cannot say where a log ends")
    program.start(1)
    insert(program.addresses[1], 5)
    program.kill(1)
    name = next(path.name for path in (tmp_path / "1").glob("open-*") if path.read_bytes()[0])
    size = len((tmp_path / "1" / name).read_bytes().rstrip(b"\0"))
    outcomes = set()
    for step in range(8):
        copy = tmp_path / f"copy-{step}"
        shutil.copytree(tmp_path / "1", copy)
        spoil(copy / name, 1 + step * size // 8)
        try:
            read_last_entry_info(copy)
        except DamagedFiles:
            done = subprocess.run(
                [sys.executable, "-c", ASK, copy], capture_output=True, text=True, check=False
            )
            assert done.returncode != 0, done.stdout
            outcomes.add("refused")
        else:
            outcomes.add("agreed")

    assert outcomes == ({"refused"} if spoil is cut else {"refused", "agreed"})


@pytest.mark.cluster
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_library_and_reader_agree_on_logs_made_by_hand(data: st.DataObject) -> None:
    bindings = pytest.importorskip("dqlite.node.bindings")
    try:
        capabilities = bindings.load().capabilities()
    except LibraryNotFound:
        capabilities = frozenset()
    if bindings.Capability.DESCRIBE_LAST_ENTRY not in capabilities:
        pytest.skip("this libdqlite cannot say where a log ends")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        made.metadata(path, 1, 1, 9)
        index = term = 1
        if data.draw(st.booleans()):
            at = data.draw(st.integers(1, 12))
            made.snapshot(path, 1, at, (1, "a", 0))
            index = data.draw(st.integers(max(1, at - 3), at + 1))
        for batch in data.draw(st.lists(st.integers(1, 3), max_size=4)):
            term += data.draw(st.integers(0, 1))
            made.closed(path, index, [made.Made(term)] * batch)
            index += batch
        for counter in data.draw(st.lists(st.integers(1, 99), max_size=3, unique=True)):
            term += data.draw(st.integers(0, 1))
            batches = [[made.Made(term)]] * data.draw(st.integers(0, 2))
            zeros = data.draw(st.sampled_from([0, 16, 512])) if batches else 512
            (path / f"open-{counter}").write_bytes(made.segment(*batches, zeros=zeros))
        try:
            expected = files.read(path).last_entry()
        except DamagedFiles:
            with pytest.raises(NodeError):
                membership._described(path, None)
        else:
            assert membership._described(path, None) == expected


@pytest.mark.cluster
@pytest.mark.parametrize("is_deprecated", [False, True])
def test_two_nodes_become_one(
    library: None, tmp_path: Path, addresses: list[str], is_deprecated: bool
) -> None:
    nodes = []
    for node_id, address in enumerate(addresses[:2], 1):
        (tmp_path / str(node_id)).mkdir()
        nodes.append(Node(node_id, address, tmp_path / str(node_id), OPTIONS))
    with nodes[0], nodes[1]:
        with BlockingClient.connect(addresses[0], timeout_s=LIMIT_S) as client:
            client.add(2, addresses[1])
            client.assign(2, Role.VOTER)
        insert(addresses[0], 3)
    before = read_last_entry_info(tmp_path / "1")
    one = [Member(1, addresses[0], Role.VOTER)]

    if is_deprecated:
        with pytest.warns(DeprecationWarning, match="_ext"):
            reconfigure_membership(tmp_path / "1", [Member(1, addresses[0], Role.SPARE)])
    else:
        reconfigure_membership_ext(tmp_path / "1", one)

    assert read_last_entry_info(tmp_path / "1").index == before.index + 1
    with nodes[0], BlockingClient.connect(addresses[0], timeout_s=LIMIT_S) as client:
        client.open("test")
        assert client.query_sql("SELECT count(*) FROM numbers").rows == ((3,),)
        assert client.cluster() == tuple(one)


@pytest.mark.cluster
def test_node_recovers_itself_with_a_warning(node: Node) -> None:
    with node:
        insert(node.address, 1)
        with (
            pytest.warns(DeprecationWarning, match="_ext"),
            pytest.raises(NodeError, match="another node"),
        ):
            node.recover([Member(1, node.address, Role.VOTER)])

    with pytest.warns(DeprecationWarning, match="_ext"):
        node.recover([Member(1, node.address, Role.VOTER)])

    assert read_last_entry_info(node.data_dir) == LastEntryInfo(1, 4)


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_directory_without_a_log_has_nothing_to_recover(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="no log"):
        reconfigure_membership_ext(tmp_path, [Member(1, "127.0.0.1:1", Role.VOTER)])
