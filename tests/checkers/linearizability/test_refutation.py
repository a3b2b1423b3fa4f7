"""The validator refuses every refusal and witness that proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, SET, Model
from dissever.checkers.linearizability import refutation
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.model import Transition
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.refutation import Unchecked, refusal_flaw, witness_flaw
from dissever.harness.history import History

Notation = Callable[[str], History]

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


def test_refusal_past_its_limit_is_not_checked(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refutation, "CONFIGURATIONS_MAX", 1000)
    text = "".join(f"{i} invoke write {i}\n" for i in range(9)) + "9 invoke read\n9 ok read 10"

    with pytest.raises(Unchecked, match="more configurations"):
        refusal_flaw(CAS_REGISTER, _calls(history, text), 9)


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
        MODELS["queue"],
        "0 invoke enqueue 1\n0 ok enqueue 1\n0 invoke enqueue 2\n0 ok enqueue 2\n"
        "0 invoke enqueue 3\n0 ok enqueue 3\n0 invoke dequeue\n0 ok dequeue 2",
        (0, 1, 3),
        None,
    ),
    "a queue, with somebody who may have taken it": (
        MODELS["queue"],
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

    every = _calls(history, text, model)
    found = witness_flaw(model, every, [every[i] for i in named])

    assert found == said if said is None else said in (found or "")


def test_part_of_an_object_that_is_not_known_is_not_checked(history: Notation) -> None:
    text = """
        0 invoke acquire
        0 ok     acquire
        0 invoke release
        0 ok     release
        1 invoke release
        1 ok     release
    """
    every = _calls(history, text, MUTEX)

    with pytest.raises(Unchecked, match="nothing is known"):
        witness_flaw(MUTEX, every, every[1:])
    assert witness_flaw(MUTEX, every, every) is None


CUT = "0 invoke add 1\n0 ok add 1\n0 invoke add 2\n0 ok add 2\n0 invoke read\n0 ok read [2, 3]"


@pytest.mark.parametrize(
    ("named", "cut", "said"),
    [
        ((0, 2), (), None),  # It lacks 1, whatever else it holds.
        ((2,), (3,), None),  # Nobody added 3.
        ((2,), (2,), "left out"),
        ((0, 2), (2,), "left out"),
        ((1, 2), (), "is cut to more or less"),
        ((1, 2), (2,), "have an order"),
    ],
)
def test_answers_may_be_cut_to_what_a_witness_speaks_of(
    history: Notation, named: tuple[int, ...], cut: tuple[int, ...], said: str | None
) -> None:
    every = _calls(history, CUT, SET)
    read = replace(every[2], transition=Transition("read", None, cut))

    found = witness_flaw(SET, every, [read if i == 2 else every[i] for i in named])

    assert found == said if said is None else said in (found or "")


def test_part_of_a_set_that_held_something_before_is_not_checked(history: Notation) -> None:
    model = replace(MODELS["removable-set"], initial=frozenset({7}))
    every = _calls(history, "0 invoke remove 7\n0 ok remove 7\n0 invoke read\n0 ok read []", model)

    with pytest.raises(Unchecked, match="held something"):
        witness_flaw(model, every, every[1:])


@pytest.mark.parametrize(
    ("answer", "said"), [(0, None), (1, "left out"), (3, "left out"), (4, None)]
)
def test_bounds_of_a_counter_are_summed_again(
    history: Notation, answer: int, said: str | None
) -> None:
    text = f"""
        0 invoke add 2
        1 invoke add -1
        0 ok     add 2
        2 invoke read
        3 invoke add 1
        2 ok     read {answer}
    """
    every = _calls(history, text, MODELS["counter"])

    found = witness_flaw(MODELS["counter"], every, [call for call in every if call.f == "read"])

    assert found == said if said is None else said in (found or "")
