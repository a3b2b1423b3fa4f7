"""
The checker of transactions: which anomalies a history shows, and which models they rule out.

The decision that is not obvious: all anomalies are looked for, whatever the model. The model that
is asked for only says which of them count, so a result also says what else the history rules out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dissever.checkers.transactions.models import SERIALIZABLE, named
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Budget, Result, Verdict

Rules: TypeAlias = Literal["append", "wr"]
"""Whether transactions append to lists, or write registers, each value once."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """
    The checker: the transactions of a history keep `consistency_model`.

    `consistency_model` is any name of one of `models.DECIDED`.

    Raises:
        ValueError: When there is no such model, or no such rules.
    """

    rules: Rules = "append"
    consistency_model: str = SERIALIZABLE
    name: str = "transactions"

    def __post_init__(self) -> None:
        if self.rules not in ("append", "wr"):
            raise ValueError(f"expected the rules append or wr, got {self.rules!r}")
        object.__setattr__(self, "consistency_model", named(self.consistency_model))

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge all transactions together; isolation is not local, so keys are never split."""
        try:
            history.micro  # noqa: B018
        except MalformedHistory as error:
            return self._unknown(f"malformed: {error}")
        return self._unknown("not judged yet")

    def _unknown(self, why: str) -> Result:
        return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why)
