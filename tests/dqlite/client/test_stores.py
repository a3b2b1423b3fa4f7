"""Stores against files that go-dqlite writes, files that nobody should write, and failures."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.client import stores
from dqlite.client.stores import MemoryStore, SqliteStore, YamlStore, default_store
from dqlite.errors import StoreError
from dqlite.wire.schema import Member, Role

MEMBERS = (
    Member(3297041220608546238, "127.0.0.1:9001", Role.VOTER),
    Member(2, "@node-2", Role.STANDBY),
    Member(2**64 - 1, "[::1]:9003", Role.SPARE),
)
GO = """\
- ID: 3297041220608546238
  Address: 127.0.0.1:9001
  Role: 0
- Address: '@node-2'
  ID: 2
  Role: 1
- ID: 18446744073709551615
  Address: '[::1]:9003'
  Role: 2
"""


@pytest.fixture(params=["memory", "yaml", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = {
        "memory": MemoryStore,
        "yaml": lambda: YamlStore(tmp_path / "store.yaml"),
        "sqlite": lambda: SqliteStore(tmp_path / "store.db"),
    }[request.param]()
    yield made
    if isinstance(made, SqliteStore):
        made.close()


def test_store_gives_the_addresses_that_it_was_given_last(store: Any) -> None:
    assert store.get() == ()
    store.set(MEMBERS)
    store.set(MEMBERS[:2])

    assert [member.address for member in store.get()] == ["127.0.0.1:9001", "@node-2"]


def test_yaml_store_reads_what_go_writes_in_either_order_of_keys(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(GO)

    assert YamlStore(tmp_path / "cluster.yaml").get() == MEMBERS


def test_yaml_store_writes_the_bytes_that_go_writes(tmp_path: Path) -> None:
    YamlStore(tmp_path / "cluster.yaml").set(MEMBERS[:1])

    assert (tmp_path / "cluster.yaml").read_text() == GO[: GO.index("- Address")]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z", "Cf", "Co", "Cn"]), min_size=1))
def test_any_printable_address_survives_a_member_in_yaml(address: str) -> None:
    member = Member(7, address, Role.STANDBY)
    text = stores.format_member(member)
    import yaml

    assert stores.parse_member(yaml.safe_load(text), "here") == member


def test_yaml_file_is_private_and_no_other_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("old")
    path.chmod(0o644)
    YamlStore(path).set(MEMBERS)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store = YamlStore(tmp_path / "cluster.yaml")
    store.set(MEMBERS)
    monkeypatch.setattr(stores.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.set(())

    assert store.get() == MEMBERS
    assert len(list(tmp_path.iterdir())) == 1


HOSTILE = {
    "no list": "ID: 1",
    "no mapping": "- 1",
    "no id": "- Address: a:1",
    "negative id": "- {ID: -1, Address: 'a:1'}",
    "boolean id": "- {ID: true, Address: 'a:1'}",
    "huge id": "- {ID: 18446744073709551616, Address: 'a:1'}",
    "unknown role": "- {ID: 1, Address: 'a:1', Role: 3}",
    "list as role": "- {ID: 1, Address: 'a:1', Role: []}",
    "no address": "- {ID: 1}",
    "empty address": "- {ID: 1, Address: ''}",
    "number as address": "- {ID: 1, Address: 9001}",
    "control character in the address": '- {ID: 1, Address: "a\\e[2J:1"}',
    "no yaml": "- {",
    "tab": "-\t- a:\n\t\tb",
    "python object": "- !!python/object/apply:os.system ['true']",
    "bytes": "\x00\xff",
    "deep": "[" * 5000,
    "long": "- 1\n" * 300_000,
    "date": "2024-99-99",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_malformed_file_is_one_line_that_names_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError) as raised:
        YamlStore(path).get()

    assert "cluster.yaml" in str(raised.value)
    assert str(raised.value).isprintable()


def test_directory_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        YamlStore(tmp_path).get()
    with pytest.raises(StoreError):
        SqliteStore(tmp_path)


def test_empty_yaml_file_is_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("")

    assert YamlStore(tmp_path / "cluster.yaml").get() == ()


def test_sqlite_store_reads_a_table_of_the_application(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE nodes (id INTEGER, host TEXT, old BOOLEAN)")
        database.execute("INSERT INTO nodes VALUES (1, 'a:1', 0), (2, 'b:1', 1)")
    database.close()
    store = SqliteStore(path, table="nodes", column="host", where="old = 0")

    assert store.get() == (Member(1, "a:1", Role.VOTER),)
    store.close()


def test_duplicate_address_rolls_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "servers.db")
    store.set(MEMBERS[:1])
    text = "failed to insert server a:1: UNIQUE constraint failed: servers.address"
    with pytest.raises(StoreError, match=text):
        store.set([Member(1, "a:1", Role.VOTER), Member(2, "a:1", Role.VOTER)])

    assert [member.address for member in store.get()] == ["127.0.0.1:9001"]
    store.close()


def test_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "servers.db").write_text("no database" * 1000)
    with pytest.raises(StoreError, match=r"servers\.db"):
        SqliteStore(tmp_path / "servers.db")


def test_default_store_is_chosen_by_the_name_of_the_file(tmp_path: Path) -> None:
    database = default_store(tmp_path / "servers.sql")
    memory = default_store(":memory:")

    assert isinstance(database, SqliteStore)
    assert stat.S_IMODE((tmp_path / "servers.sql").stat().st_mode) == 0o600
    assert isinstance(default_store(tmp_path / "cluster.yaml"), YamlStore)
    assert isinstance(memory, SqliteStore)
    memory.set(MEMBERS)
    assert len(memory.get()) == 3
    database.close()
    memory.close()
