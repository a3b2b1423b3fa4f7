"""The files of a node: as go-dqlite writes them, and what is refused."""

import fcntl
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.app.directory import INFO, JOIN, STORE, Directory, Found, Placement, place
from dqlite.app.interfaces import default_address
from dqlite.errors import NodeError, StoreError
from dqlite.node.ids import BOOTSTRAP_ID
from dqlite.wire.schema import Member, Role

ADDRESS = "10.0.0.1:9000"
OTHER = "10.0.0.2:9000"

GO_3_0_4 = f"ID: {BOOTSTRAP_ID}\nAddress: {ADDRESS}\nRole: 0\n"
GO_1_11_5 = f"Address: {ADDRESS}\nID: {BOOTSTRAP_ID}\nRole: 0\n"
STORED = f"- ID: {BOOTSTRAP_ID}\n  Address: {ADDRESS}\n  Role: 0\n"


def prepare(path: Path, address: str | None = None, cluster: tuple[str, ...] = ()) -> Directory:
    return Directory.prepare(path, address=address, cluster=cluster)


def contents(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in path.iterdir()}


def test_first_node_writes_what_go_writes(tmp_path: Path) -> None:
    directory = prepare(tmp_path, ADDRESS)

    assert directory.member == Member(BOOTSTRAP_ID, ADDRESS, Role.VOTER)
    assert not directory.is_joining
    assert contents(tmp_path) == {
        INFO: GO_3_0_4,
        STORE: f"- ID: 0\n  Address: {ADDRESS}\n  Role: 0\n",
    }
    for each in tmp_path.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_node_that_joins_has_another_id_and_remembers_that_it_joins(tmp_path: Path) -> None:
    first = prepare(tmp_path, OTHER, (ADDRESS, "10.0.0.3:9000"))

    assert first.is_joining
    assert first.member.id not in (0, 1, BOOTSTRAP_ID)
    assert [member.address for member in first.store.get()] == [ADDRESS, "10.0.0.3:9000"]
    assert contents(tmp_path)[JOIN] == ""

    again = prepare(tmp_path, None, ())
    assert (again.member, again.is_joining) == (first.member, True)

    again.joined()
    assert not again.is_joining
    assert not prepare(tmp_path).is_joining


@pytest.mark.parametrize("info", [GO_3_0_4, GO_1_11_5, GO_3_0_4.replace("Role: 0", "Role: voter")])
def test_directory_of_a_go_node_is_taken_over_as_it_is(tmp_path: Path, info: str) -> None:
    (tmp_path / INFO).write_text(info)
    (tmp_path / STORE).write_text(STORED)
    before = contents(tmp_path)

    directory = prepare(tmp_path, ADDRESS, (OTHER,))

    assert directory.member == Member(BOOTSTRAP_ID, ADDRESS, Role.VOTER)
    assert directory.store.get() == (Member(BOOTSTRAP_ID, ADDRESS, Role.VOTER),)
    assert contents(tmp_path) == before


def test_start_that_fails_leaves_no_files(tmp_path: Path) -> None:
    for cluster in ((), (OTHER,)):
        prepare(tmp_path, ADDRESS, cluster).undo()
        assert contents(tmp_path) == {}


def test_later_start_that_fails_leaves_the_files_as_they_are(tmp_path: Path) -> None:
    prepare(tmp_path, ADDRESS).keep()
    before = contents(tmp_path)
    prepare(tmp_path).undo()

    assert contents(tmp_path) == before


def test_nothing_is_left_when_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / JOIN).mkdir()  # what is to be written there cannot be

    with pytest.raises(StoreError):
        prepare(tmp_path, ADDRESS, (OTHER,))
    assert [each.name for each in tmp_path.iterdir()] == [JOIN]


@pytest.mark.parametrize(
    ("files", "address", "cluster", "message"),
    [
        ({INFO: GO_3_0_4}, None, (), f"inconsistent {INFO} and {STORE}: .* no {STORE}"),
        ({STORE: STORED}, ADDRESS, (), f"inconsistent {INFO} and {STORE}: .* no {INFO}"),
        ({INFO: GO_3_0_4, STORE: STORED, JOIN: ""}, None, (), "bootstrap node can't join"),
        ({INFO: GO_3_0_4, STORE: STORED}, OTHER, (), f'"{ADDRESS}" in {INFO} does not match'),
        ({JOIN: ""}, ADDRESS, (), "no cluster addresses provided"),
    ],
)
def test_contradiction_is_refused_in_one_line_and_changes_nothing(
    tmp_path: Path,
    files: dict[str, str],
    address: str | None,
    cluster: tuple[str, ...],
    message: str,
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    with pytest.raises(NodeError, match=message) as caught:
        prepare(tmp_path, address, cluster)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == files


@pytest.mark.parametrize(
    "info",
    [
        "",
        "[]",
        "ID: 1",
        "ID: -1\nAddress: a:1\nRole: 0",
        f"ID: {2**64}\nAddress: a:1\nRole: 0",
        "ID: 1\nAddress: [a]\nRole: 0",
        "ID: 1\nAddress: a:1\nRole: 3",
        "ID: 1\nAddress: a:1\nRole: {}",
        'ID: 1\nAddress: "\\e[2J"\nRole: 0',
        "ID: true\nAddress: a:1\nRole: 0",
        "!!python/object/apply:os.system ['false']",
        "[" * 900,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "ID: 1\x00",
        "x" * 2_000_000,
    ],
)
def test_hostile_info_is_refused_in_one_short_line(tmp_path: Path, info: str) -> None:
    (tmp_path / INFO).write_text(info)
    (tmp_path / STORE).write_text(STORED)

    with pytest.raises(StoreError, match=INFO) as caught:
        prepare(tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_broken_store_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / INFO).write_text(GO_3_0_4)
    (tmp_path / STORE).write_text("{")

    with pytest.raises(StoreError, match=STORE):
        prepare(tmp_path)


def test_directory_of_another_node_is_not_touched(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(NodeError, match="another node holds"):
            prepare(tmp_path, ADDRESS)
    finally:
        os.close(descriptor)
    assert contents(tmp_path) == {}


def test_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="cannot use the directory"):
        prepare(tmp_path / "missing", ADDRESS)


members = st.builds(
    Member, st.integers(0, 2**64 - 1), st.sampled_from([ADDRESS, OTHER]), st.sampled_from(Role)
)


@given(
    st.builds(Found, st.none() | members, st.booleans(), st.booleans()),
    st.sampled_from([None, ADDRESS, OTHER]),
    st.sampled_from([(), (ADDRESS,), (ADDRESS, OTHER)]),
)
def test_what_was_found_is_never_changed(
    found: Found, address: str | None, cluster: tuple[str, ...]
) -> None:
    try:
        placement = place(found, address or ADDRESS, cluster, lambda _: 7)
    except NodeError:
        return
    if found.info is not None:
        assert placement == Placement(found.info, found.has_join)
    else:
        assert placement.seeds
        assert placement.is_joining == bool(cluster)
        assert (placement.member.id == BOOTSTRAP_ID) == (not cluster)


def test_default_address_is_of_an_interface_that_is_no_loopback() -> None:
    try:
        address = default_address()
    except NodeError:
        pytest.skip("this machine has no interface but the loopback")

    assert address.endswith(":9000")
    assert not address.startswith("127.")
