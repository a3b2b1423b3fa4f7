"""What is called invalid is asked of others: they confirm it, cannot say, or take it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissever.checkers import CAS_REGISTER, Linearizable
from dissever.checkers.linearizability import confirmation
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.refutation import Unchecked
from dissever.harness.history import History
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine, Outcome, Status

Notation = Callable[[str], History]

TWICE = """
    0 invoke write 1
    0 ok     write 1
    1 invoke write 2
    1 ok     write 2
    3 invoke write 1
    2 invoke read
    2 ok     read  3
"""
"""1 is set twice, so that the search decides."""

QUEUE = """
    0 invoke enqueue 1
    0 ok     enqueue 1
    0 invoke enqueue 2
    0 ok     enqueue 2
    0 invoke dequeue
    0 ok     dequeue 2
"""


def _judged(history: History, model: str = "cas-register") -> tuple[Result, dict[str, Any]]:
    result = Linearizable(MODELS[model])(history, Budget())
    return result, result.details["invalid_keys"].get("-", {})


def _unchecked(*_: object, **__: object) -> str | None:
    raise Unchecked


def _answering(engine: Engine, status: Status) -> Callable[..., Outcome]:
    """`search_again`, but for what one engine says."""
    real = confirmation.search_again

    def answer(*args: Any, **options: Any) -> Outcome:
        if args[3] is not engine:
            return real(*args, **options)
        return Outcome(status, engine, (), None, (), 1_000_000, 0)

    return answer


@pytest.mark.parametrize(("text", "model"), [(TWICE, "cas-register"), (QUEUE, "queue")])
def test_who_confirms_it_is_said(history: Notation, text: str, model: str) -> None:
    result, details = _judged(history(text), model)

    assert (result.verdict, details["confirmed"]) == (Verdict.INVALID, True)
    assert result.anomalies[0].confirmation == details["confirmation"]
    assert details["confirmation"].startswith("confirmed by a second engine")
    assert details["confirmation"].endswith("the validator, which tried every order again")


def test_nobody_who_can_say_leaves_a_single_engine(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.checkers.linearizability.refutation.refusal_flaw", _unchecked)
    monkeypatch.setattr(confirmation, "search_again", _answering(Engine.WGL, Status.CONFIGURATIONS))

    result, details = _judged(history(TWICE))

    assert (result.verdict, details["confirmed"]) == (Verdict.INVALID, False)
    assert result.anomalies[0].confirmation == (
        "single-engine: a second engine (wgl) could not say within 1,000,000 configurations"
    )
    assert details["states"] == ["1", "2"]


def test_monitor_that_nobody_can_follow_is_a_single_engine(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.checkers.linearizability.refutation.witness_flaw", _unchecked)
    monkeypatch.setattr(
        confirmation, "search_again", _answering(Engine.SCHEDULE, Status.CONFIGURATIONS)
    )

    result, details = _judged(history(QUEUE), "queue")

    assert (result.verdict, details["confirmed"]) == (Verdict.INVALID, False)
    assert result.anomalies[0].confirmation.startswith("single-engine: ")


def test_second_engine_that_finds_an_order_leaves_it_unknown(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "search_again", _answering(Engine.WGL, Status.VALID))

    result, _ = _judged(history(TWICE))

    assert result.verdict is Verdict.UNKNOWN
    assert "the search and wgl contradict each other" in result.why


@pytest.mark.parametrize(
    ("text", "model", "validator", "said"),
    [(TWICE, "cas-register", "refusal_flaw", "made up"), (QUEUE, "queue", "witness_flaw", "")],
)
def test_evidence_that_does_not_hold_convicts_nobody(
    history: Notation,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    model: str,
    validator: str,
    said: str,
) -> None:
    def refuse(*_: object, **__: object) -> str:
        return "made up"

    monkeypatch.setattr(f"dissever.checkers.linearizability.refutation.{validator}", refuse)

    result, _ = _judged(history(text), model)

    if said:
        assert result.verdict is Verdict.UNKNOWN
        assert f"certificate: the evidence does not hold: {said}" in result.why
    else:  # The search finds evidence of its own, which holds.
        assert result.verdict is Verdict.INVALID
        assert result.anomalies[0].name == "nonlinearizable"
        assert result.details["engines"] == {"depth": 1}


def test_monitor_whose_evidence_nobody_mends_is_unknown(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        return "made up"

    for validator in ("witness_flaw", "refusal_flaw"):
        monkeypatch.setattr(f"dissever.checkers.linearizability.refutation.{validator}", refuse)

    result, _ = _judged(history(QUEUE), "queue")

    assert result.verdict is Verdict.UNKNOWN
    assert "does not hold: made up (of queue-patterns; the search: certificate" in result.why


def test_orders_tell_how_far_each_operation_gets(history: Notation) -> None:
    result, _ = _judged(history(TWICE))

    longest, *_ = orders = result.anomalies[0].orders
    assert (longest.indices, longest.states) == ((0, 2, 4), ("1", "2", "1"))
    assert (longest.blocked, longest.refused, longest.holds) == (5, (5,), "1")
    assert result.anomalies[0].orders_complete
    assert all(5 not in each.indices for each in orders)


def test_too_many_states_are_said_to_be_cut(
    history: Notation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "\n".join(f"{i} invoke enqueue 1" for i in range(4)) + "\n9 invoke dequeue\n9 ok dequeue 5"
    )

    whole, details = _judged(history(text), "queue")
    monkeypatch.setattr("dissever.checkers.linearizability.counterexample.POSSIBLE_MAX", 3)
    cut, cut_details = _judged(history(text), "queue")

    assert (len(details["states"]), details["states_cut"]) == (5, False)
    assert "could only hold: " in whole.anomalies[0].steps[-1].text
    assert (len(cut_details["states"]), cut_details["states_cut"]) == (3, True)
    assert "too many to list them all; among them: [] or [1]" in cut.anomalies[0].steps[-1].text


def test_small_cas_register_needs_no_search_twice(history: Notation) -> None:
    """Whatever the engine, the evidence is of the same kind."""
    every = [
        Linearizable(CAS_REGISTER, engine=engine)(history(TWICE), Budget())
        for engine in (Engine.DEPTH, Engine.BREADTH, Engine.WGL)
    ]

    assert len({each.anomalies[0] for each in every}) == 1
