"""go-dqlite's tools with our nodes and our client, in one cluster and on one directory."""

import itertools

import pytest

from dqlite import Role
from tests.dqlite.interop.tools import (
    GO_VERSIONS,
    IS_WHOLE,
    LIBRARY_OF,
    SAMPLE,
    Programs,
    dump,
    join,
    leader,
    members,
    shell,
    sql,
    until,
)

pytestmark = pytest.mark.cluster

LIBRARIES = tuple(LIBRARY_OF.values())
BOOTSTRAP_ID = 3297041220608546238
VERSIONS_AND_LIBRARIES = tuple(
    itertools.product(GO_VERSIONS, LIBRARIES) if IS_WHOLE else LIBRARY_OF.items()
)


@pytest.mark.parametrize(("version", "library_version"), VERSIONS_AND_LIBRARIES)
def test_go_shell_reads_what_our_client_wrote(
    programs: Programs, version: str, library_version: str
) -> None:
    servers = [programs.node(library_version, 1).db]
    sql(servers, "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    sql(servers, "INSERT INTO t VALUES (1, 'one'), (2, 'zwei')")

    rows = shell(version, servers, "SELECT * FROM t")
    assert rows[-2:] == (["1|one", "2|zwei"] if version == "1.11.5" else ["1\tone", "2\tzwei"])
    assert shell(version, servers, ".leader") == servers
    assert shell(version, servers, ".cluster") == [f"1|{servers[0]}|voter"]


@pytest.mark.parametrize(
    ("version", "library_version"),
    # The shell of 3.0.4 sends every statement as a query, which 1.11.1 refuses.
    [pair for pair in VERSIONS_AND_LIBRARIES if pair != ("3.0.4", "1.11.1")],
)
def test_our_client_reads_what_the_go_shell_wrote(
    programs: Programs, version: str, library_version: str
) -> None:
    servers = [programs.node(library_version, 1).db]
    shell(version, servers, "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    shell(version, servers, "INSERT INTO t VALUES (1, 'one')")

    assert sql(servers, "SELECT k, v FROM t") == ((1, "one"),)


@pytest.mark.parametrize("version", SAMPLE)
def test_go_demos_and_our_node_replicate_and_hand_over(programs: Programs, version: str) -> None:
    first = programs.go_demo(version)
    ours = programs.node(LIBRARY_OF[version], 3)
    join([first.db], 3, ours.db)
    second = programs.go_demo(version, join=[first.db])  # The third voter, so it votes at once.
    servers = [first.db, second.db, ours.db]
    until(lambda: [each.role for each in members(servers).values()] == [Role.VOTER] * 3)
    first.put("who", "go")

    assert leader(servers) == first.db
    assert sql(servers, "SELECT key, value FROM model") == (("who", "go"),)
    assert f"3|{ours.db}|voter" in shell(version, servers, ".cluster")

    assert first.stop() == 0
    assert until(lambda: leader(servers[1:])) in servers[1:]
    sql(servers[1:], "UPDATE model SET value = 'both'")
    assert second.get("who") == "both"
    until(lambda: dump(second.db) == dump(ours.db))


@pytest.mark.parametrize("version", SAMPLE)
def test_our_node_and_the_go_demo_take_turns_on_one_directory(
    programs: Programs, version: str
) -> None:
    demo = programs.go_demo(version)
    demo.put("turn", "go")
    assert demo.stop() == 0

    node = programs.node(LIBRARY_OF[version], BOOTSTRAP_ID, at=demo)
    until(lambda: sql([node.db], "SELECT value FROM model") == (("go",),))
    sql([node.db], "UPDATE model SET value = 'python'")
    assert node.stop() == 0

    again = programs.go_demo(version, at=demo)
    assert again.get("turn") == "python"


def test_nodes_of_both_libraries_and_both_languages_form_one_cluster(programs: Programs) -> None:
    old, new = programs.go_demo("1.11.5"), programs.node("1.18.7", 2)
    join([old.db], 2, new.db)
    newer = programs.go_demo("3.0.4", join=[old.db])
    servers = [old.db, new.db, newer.db]
    until(lambda: [each.role for each in members(servers).values()] == [Role.VOTER] * 3)
    for number, demo in enumerate([old, newer]):
        demo.put(f"k{number}", f"v{number}")

    old.kill()
    until(lambda: leader(servers[1:]) in servers[1:])
    newer.put("k2", "v2")
    rows = sql(servers[1:], "SELECT key, value FROM model ORDER BY key")
    assert rows == (("k0", "v0"), ("k1", "v1"), ("k2", "v2"))
    until(lambda: dump(new.db) == dump(newer.db))
