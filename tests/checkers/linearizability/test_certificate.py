"""The validator refuses every order that is no linearization."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import REGISTER
from dissever.checkers.linearizability import model_named
from dissever.checkers.linearizability.certificate import flaw
from dissever.harness.history import History

Notation = Callable[[str], History]

TEXT = """
    0 invoke write 1
    1 invoke write 2
    1 info   write 2
    0 ok     write 1
    3 invoke write 1
    3 fail   write 1
    2 invoke read
    2 ok     read  1
"""


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((0, 6), None),
        ((1, 0, 6), None),
        ((0, 6, 1), None),
        ((0, 0, 6), "stands twice"),
        ((0, 6, 99), "another object"),
        ((0,), "is missing"),
        ((0, 1, 6), "cannot have happened"),
        ((6, 0), "cannot have happened"),
        ((0, 4, 6), "cannot have happened"),
    ],
)
def test_only_linearizations_are_without_flaw(
    history: Notation, order: tuple[int, ...], said: str | None
) -> None:
    found = flaw(REGISTER, history(TEXT).operations, order)

    assert found == said if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("between", "said"),
    [("@1 1", None), ("@2 1", "returned earlier"), ("@1 0", "earlier one of its process")],
    ids=["at one time", "later", "of one process"],
)
def test_order_against_real_time_is_a_flaw(
    history: Notation, between: str, said: str | None
) -> None:
    process = between[-1]
    text = f"0 invoke read\n@1 0 ok read None\n{between} invoke read\n@3 {process} ok read None"

    found = flaw(REGISTER, history(text).operations, (2, 0))

    assert found == said if said is None else said in (found or "")


def test_what_came_with_an_info_is_no_answer(history: Notation) -> None:
    """A crashed dequeue took something, whatever its event carries."""
    text = "0 invoke enqueue 1\n0 ok enqueue 1\n1 invoke dequeue\n1 info dequeue 7"

    assert flaw(model_named("queue"), history(text).operations, (0, 2)) is None
