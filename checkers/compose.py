"""
Several checkers of one history, and one verdict.

A checker that raises, or that answers something else than a result, has a bug. The others are
heard, and its own verdict is unknown.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

from dissever.harness.bugs import bug_of
from dissever.harness.history import History
from dissever.harness.results import Budget, Checker, Result, Results, Verdict, merge
from dissever.harness.values import quoted


def _ignore(_: str) -> None:
    """For a caller who does not ask which checker begins."""


def compose(
    checkers: Mapping[str, Checker],
    history: History,
    budget: Budget,
    begins: Callable[[str], None] = _ignore,
) -> Results:
    """
    Run each checker by its name; the greatest verdict counts.

    Args:
        budget: For each checker.
        begins: Hears the name of each checker before it judges.
    """
    results = []
    for name, checker in checkers.items():
        begins(name)
        results.append(_run(name, checker, history, budget))
    return merge(results)


def _run(name: str, checker: Checker, history: History, budget: Budget) -> Result:
    try:
        result: object = checker(history, budget)
        if not isinstance(result, Result) or not isinstance(result.verdict, Verdict):
            raise TypeError(f"expected a Result with a Verdict, got {quoted(result)}")
        return result
    except (Exception, SystemExit) as error:  # It must not hide what the others found.
        return Result(
            checker=name,
            verdict=Verdict.UNKNOWN,
            why=f"the checker has a bug: {bug_of(name, error)}",
            details={"traceback": traceback.format_exception(error)[-20:]},
        )
