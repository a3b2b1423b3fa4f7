"""What clients do, written down."""

from __future__ import annotations

import msgspec
import pytest

from dissever.nemesis.plans.operations import ClientOp, placement
from dissever.nemesis.plans.script import Script, read_script

PLAN = """
operations:
  - {at: 0.5, client: 0, f: write, key: 1, value: 7}
  - {at: 1000ms, client: 1, node: n3, f: read, key: 1}
final: false
"""


def test_plan_may_be_operations_alone() -> None:
    script = read_script(PLAN)

    assert isinstance(script, Script)
    assert script.faults == ()
    assert script.final is False
    assert script.operations == (
        ClientOp(0.5, 0, "write", 1, 7),
        ClientOp(1, 1, "read", 1, node="n3"),
    )


def test_plan_may_be_json() -> None:
    value = {"faults": [], "operations": [{"at": 1, "client": 0, "f": "read"}]}

    script = read_script(msgspec.json.encode(value).decode())

    assert isinstance(script, Script)
    assert script.operations == (ClientOp(1, 0, "read"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{at: 1, client: 0}", "line 3: expected f of the operation, got none"),
        ("{at: -1, client: 0, f: read}", "line 3: expected at from 0 to 86400 seconds, got -1"),
        ("{at: 1, client: x, f: read}", "expected client as a whole number from 0 to 9999, got"),
        ("{at: 1, client: 0, f: read, keys: 1}", "field"),
        ("{at: 1, client: 0, f: read, key: [1]}", "expected key as a text or a whole number"),
        ("read", "line 3: expected a mapping with at, client and f"),
    ],
)
def test_wrong_operation_is_named_with_its_line(line: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - The message is what is tested.
        read_script(f"faults: []\noperations:\n  - {line}\n")

    assert message in str(caught.value)


def test_no_faults_and_no_operations_is_no_plan() -> None:
    with pytest.raises(ValueError, match="expected a list of faults, got an empty list"):
        read_script("faults: []\n")


def test_client_talks_to_the_node_that_it_names() -> None:
    ops = (ClientOp(1, 1, "read", node="n3"), ClientOp(2, 0, "read"))

    assert placement(ops, ("n1", "n2", "n3"), 4) == ("n1", "n3", "n3", "n1")


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ((ClientOp(1, 4, "read"),), "expected a client from 0 to 3"),
        ((ClientOp(1, 1, "read", node="n9"),), "n9"),
        (
            (ClientOp(1, 1, "read", node="n1"), ClientOp(2, 1, "read", node="n2")),
            "expected one node for client 1, got n1 and n2",
        ),
    ],
)
def test_operation_names_what_there_is(ops: tuple[ClientOp, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        placement(ops, ("n1", "n2", "n3"), 4)
