"""The validator refuses every order that is not a linearization."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import REGISTER
from dissever.checkers.calls import calls
from dissever.checkers.certificate import flaw
from dissever.harness.history import History

Notation = Callable[[str], History]

TEXT = """
    0 invoke write 1
    1 invoke write 2
    1 info   write 2
    0 ok     write 1
    2 invoke read
    2 ok     read  1
"""


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((0, 2), None),
        ((1, 0, 2), None),
        ((0, 2, 1), None),
        ((0, 0, 2), "stands twice"),
        ((0,), "is missing"),
        ((0, 1, 2), "the model refuses"),
        ((2, 0), "the model refuses"),
    ],
)
def test_only_linearizations_are_without_flaw(
    history: Notation, order: tuple[int, ...], said: str | None
) -> None:
    found = flaw(REGISTER, calls(history(TEXT).operations, REGISTER.reads), order)

    assert found == said if said is None else said in (found or "")


def test_order_against_real_time_is_a_flaw(history: Notation) -> None:
    reads = history("0 invoke read\n0 ok read None\n0 invoke read\n0 ok read None")

    found = flaw(REGISTER, calls(reads.operations, frozenset()), (1, 0))

    assert "returned earlier" in (found or "")
