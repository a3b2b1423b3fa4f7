"""The validator refuses every order, refusal and witness that is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, REGISTER, SET, Model
from dissever.checkers.calls import Call, calls
from dissever.checkers.certificate import Unchecked, flaw, refusal_flaw, witness_flaw
from dissever.checkers.models import queue
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


STALE = """
    0 invoke write 1
    0 ok     write 1
    1 invoke write 2
    1 ok     write 2
    2 invoke read
    2 ok     read  1
    3 invoke write 3
    3 ok     write 3
"""


def _calls(history: Notation, text: str, model: Model = CAS_REGISTER) -> tuple[Call, ...]:
    return calls(history(text).operations, model.reads)


def test_refusal_is_tried_again(history: Notation) -> None:
    stale = _calls(history, STALE)

    assert refusal_flaw(CAS_REGISTER, stale, 2) is None
    assert refusal_flaw(CAS_REGISTER, stale, 2, [2]) is None
    assert "hold what is not named" in (refusal_flaw(CAS_REGISTER, stale, 2, [1]) or "")
    assert "is refused" in (refusal_flaw(CAS_REGISTER, stale, 3) or "")
    assert "has an order" in (refusal_flaw(CAS_REGISTER, stale[:2], 1) or "")


def test_refusal_past_its_limit_is_not_checked(history: Notation) -> None:
    text = "".join(f"{i} invoke write {i}\n" for i in range(9)) + "9 invoke read\n9 ok read 10"

    with pytest.raises(Unchecked, match="more than 1000"):
        refusal_flaw(CAS_REGISTER, _calls(history, text), 9, configurations_max=1000)


WITNESSES = {
    "a read of what was overwritten": (CAS_REGISTER, STALE, (0, 1, 2), None),
    "the same without the write it needs": (CAS_REGISTER, STALE, (1, 2), "left out"),
    "a part that is possible": (CAS_REGISTER, STALE, (0, 2), "have an order"),
    "two blocks that must each come first": (
        CAS_REGISTER,
        "0 invoke write 1\n0 ok write 1\n1 invoke write 2\n1 ok write 2\n2 invoke write 7\n"
        "0 invoke read\n0 ok read 1\n1 invoke read\n1 ok read 2",
        (0, 1, 3),
        None,
    ),
    "a queue out of order": (
        queue(),
        "0 invoke enqueue 1\n0 ok enqueue 1\n0 invoke enqueue 2\n0 ok enqueue 2\n"
        "0 invoke enqueue 3\n0 ok enqueue 3\n0 invoke dequeue\n0 ok dequeue 2",
        (0, 1, 3),
        None,
    ),
    "a queue, with somebody who may have taken it": (
        queue(),
        "0 invoke enqueue 1\n0 ok enqueue 1\n0 invoke enqueue 2\n0 ok enqueue 2\n"
        "1 invoke dequeue\n0 invoke dequeue\n0 ok dequeue 2",
        (0, 1, 3),
        "left out",
    ),
    "an element that was never added": (
        SET,
        "0 invoke add 1\n0 ok add 1\n0 invoke add 2\n0 ok add 2\n0 invoke read\n0 ok read [1, 3]",
        (0, 2),
        None,
    ),
}


@pytest.mark.parametrize("name", WITNESSES)
def test_witness_proves_by_itself_or_not(history: Notation, name: str) -> None:
    model, text, named, said = WITNESSES[name]

    found = witness_flaw(model, _calls(history, text, model), named)

    assert found == said if said is None else said in (found or "")


def test_part_of_an_object_that_is_not_known_is_not_checked(history: Notation) -> None:
    text = "0 invoke acquire\n0 ok acquire\n0 invoke acquire\n0 ok acquire"

    with pytest.raises(Unchecked, match="nothing is known"):
        witness_flaw(MUTEX, _calls(history, text, MUTEX), (1,))
    assert witness_flaw(MUTEX, _calls(history, text, MUTEX), (0, 1)) is None
