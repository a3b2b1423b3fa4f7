"""One checker's bug hides nothing, and the greatest verdict counts."""

from __future__ import annotations

from collections.abc import Callable

from dissever.checkers import REGISTER, Linearizable, Stats, compose
from dissever.harness.history import History
from dissever.harness.results import Budget, Result, Verdict

Notation = Callable[[str], History]


def _broken(history: History, budget: Budget) -> Result:
    raise ZeroDivisionError(f"{len(history)} by nothing, within {budget}")


def test_exception_is_unknown_and_says_what(history: Notation) -> None:
    results = compose({"broken": _broken}, history(""), Budget())

    assert results.verdict is Verdict.UNKNOWN
    assert "ZeroDivisionError: 0 by nothing" in results.why


def test_unknown_does_not_hide_invalid(history: Notation) -> None:
    stale = "0 invoke read\n0 ok read 1"

    results = compose(
        {"broken": _broken, "linearizable": Linearizable(REGISTER), "stats": Stats()},
        history(stale),
        Budget(),
    )

    assert [each.verdict for each in results.results] == [
        Verdict.UNKNOWN,
        Verdict.INVALID,
        Verdict.VALID,
    ]
    assert results.verdict is Verdict.INVALID
