"""One checker's bug hides nothing, and the greatest verdict counts."""

from __future__ import annotations

from collections.abc import Callable

from dissever.checkers import REGISTER, Linearizable, Stats, compose
from dissever.harness.history import History
from dissever.harness.results import Budget, Checker, Result, Verdict

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


def test_every_checker_is_heard_under_its_own_name(history: Notation) -> None:
    def named(name: str) -> Checker:
        return lambda *_: Result(checker=name, verdict=Verdict.VALID, why="")

    names = ("a", "b", "c")

    results = compose({name: named(name) for name in names}, history(""), Budget())

    assert tuple(each.checker for each in results.results) == names


def test_an_exception_is_kept_with_its_traceback(history: Notation) -> None:
    results = compose({"broken": _broken}, history(""), Budget())

    (broken,) = results.results
    assert broken.checker == "broken"
    assert "_broken" in "".join(broken.details["traceback"])
