"""Names of nodes: one place says which there are."""

from __future__ import annotations

import pytest

from dissever.harness.cluster.roster import Roster
from dissever.harness.names import NODES_MAX, check_nodes, label

GOOD = (
    "n1",
    "db-1",
    "db_1",
    "db-1.example.com",
    "10.0.0.1",
    "fe80::1",
    "::1",
    "2001:db8::8a2e:370:7334",
    "A",
    "1",
    "x" * 63,
)

BAD = (
    "",
    " ",
    ".",
    "..",
    ".hidden",
    "-n",
    "a/b",
    "../a",
    "a\\b",
    "a b",
    "a\n",
    "a\x1b[2J",
    "\x00",
    "é",
    "n\u0661",
    "a,b",
    "x" * 64,
    "a'b",
    "$(id)",
)


@pytest.mark.parametrize("name", GOOD)
def test_names_of_hosts_and_addresses_are_names_of_nodes(name: str) -> None:
    check_nodes((name, "other"))

    assert Roster((name,)).nodes == (name,)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_other_names_are_refused_in_one_line_without_what_drives_a_terminal(name: str) -> None:
    with pytest.raises(ValueError, match="expected names of nodes") as refused:
        check_nodes(("n1", name))

    assert str(refused.value).isprintable()
    assert str(refused.value).isascii()


@pytest.mark.parametrize("names", [("n1", "n1"), ("fe80::1", "fe80__1"), ("a", "b", "a")])
def test_names_that_are_the_same_somewhere_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected different names of nodes"):
        check_nodes(names)


@pytest.mark.parametrize("count", [0, NODES_MAX + 1])
def test_too_few_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"expected 1 to {NODES_MAX} nodes, got {count}"):
        check_nodes(tuple(f"n{i}" for i in range(count)))


def test_a_label_has_no_colon() -> None:
    assert label("fe80::1") == "fe80__1"
