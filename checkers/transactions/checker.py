"""
The checker of transactions: which anomalies a history shows, and which models they rule out.

The decision that is not obvious: all anomalies are looked for, whatever the model. The model that
is asked for only says which of them count, so a result also says what else the history rules out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from dissever.checkers.transactions import evidence, proof
from dissever.checkers.transactions.evidence import Evidence
from dissever.checkers.transactions.explanation import Explained, allowed
from dissever.checkers.transactions.models import (
    OF_AXIOMS,
    OF_CYCLES,
    PROCESS,
    REALTIME,
    SERIALIZABLE,
    forbids,
    judged_by,
    strongest_remaining,
    weakest_ruled_out,
)
from dissever.checkers.transactions.proof import Proof
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Anomaly, Budget, Result, Verdict
from dissever.harness.values import quoted

Rules: TypeAlias = Literal["append", "wr"]
"""Whether transactions append to lists, or write registers, each value once."""

MALFORMED: Final = "malformed"


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
            raise ValueError(f"expected the rules append or wr, got {quoted(self.rules)}")
        object.__setattr__(self, "consistency_model", judged_by(self.consistency_model))

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge all transactions together; isolation is not local, so keys are never split."""
        try:
            found = evidence.gathered(history, self.rules, self.consistency_model)
        except (MalformedHistory, OverflowError, ValueError) as error:
            return self._unknown(f"{MALFORMED}: {error}")
        except MemoryError as error:
            return self._unknown(f"budget-memory: {error}")
        except KeyboardInterrupt:
            return self._unknown("interrupted: stopped before anything was judged")
        if not found.transactions:
            return self._unknown("no operations")
        return self._judged(history, found)

    def _judged(self, history: History, found: Evidence) -> Result:
        model = self.consistency_model
        counting = [each for each in found.shown if forbids(model, each.name)]
        others = [each for each in found.shown if not forbids(model, each.name)]
        if model not in proof.WEAK and any(not _is_weak(each) for each in counting):
            counting = [each for each in counting if not _is_weak(each)]
        confirmed = [each for each in counting if each.anomaly.confirmation]
        doubted = [each for each in counting if not each.anomaly.confirmation]
        names = [each.name for each in found.shown if each.anomaly.confirmation]
        proved = None
        if confirmed:
            verdict, why = Verdict.INVALID, _why_invalid(model, confirmed, found)
        elif doubted and found.outcome.ambiguous:
            # The engine takes one writer of such a value, and the validator another.
            verdict, why = Verdict.UNKNOWN, proof.ambiguous(found)
        elif doubted:
            doubt = found.doubts.get(doubted[0].name, "the engine found what the axioms refute")
            verdict, why = Verdict.UNKNOWN, f"contradiction: {doubt}"
        else:
            proved = proof.proof(history, found, model, self.rules)
            if proved.refuted is not None:
                return self._refuted(found, proved.refuted, others)
            verdict = Verdict.VALID if proved.why is None else Verdict.UNKNOWN
            why = proved.why or f"{model}: {proved.certificate}"
            if others and verdict is Verdict.VALID:
                why = f"{why}; {_also(others, model)}"
        return Result(
            checker=self.name,
            verdict=verdict,
            why=why,
            anomalies=evidence.made_small(history, confirmed, found, self.rules),
            details=_details(self, found, names, others, proved),
        )

    def _refuted(self, found: Evidence, anomaly: Anomaly, others: Sequence[Explained]) -> Result:
        """No order was found by a search that tried them all."""
        confirmed = bool(anomaly.confirmation)
        why = f"not {self.consistency_model}: {anomaly.summary}"
        return Result(
            checker=self.name,
            verdict=Verdict.INVALID if confirmed else Verdict.UNKNOWN,
            why=why if confirmed else f"contradiction: {anomaly.summary}, but an order was found",
            anomalies=(anomaly,) if confirmed else (),
            details=_details(
                self,
                found,
                [each.name for each in others] + [anomaly.name] * confirmed,
                others,
                None,
            ),
        )

    def _unknown(self, why: str) -> Result:
        return Result(
            checker=self.name,
            verdict=Verdict.UNKNOWN,
            why=why,
            details={"consistency_model": self.consistency_model},
        )


def _is_weak(each: Explained) -> bool:
    """Whether it is a cycle of a weak model; those of strong ones say the same more plainly."""
    return each.name.removesuffix(PROCESS) in OF_AXIOMS


def _why_invalid(model: str, confirmed: Sequence[Explained], found: Evidence) -> str:
    names = dict.fromkeys(each.name for each in confirmed)
    counted = ", ".join(_counted(name, found.counts.get(name, 1)) for name in names)
    return f"not {model}: {counted}: {confirmed[0].anomaly.summary}"


def _counted(name: str, count: int) -> str:
    """Cycles are counted by the separate groups of transactions that have one."""
    is_cycle = name.removesuffix(REALTIME).removesuffix(PROCESS) in OF_CYCLES
    return f"{name} in {count:,} groups" if is_cycle and count > 1 else f"{count:,} {name}"


def _also(others: Sequence[Explained], model: str) -> str:
    names = ", ".join(dict.fromkeys(each.name for each in others))
    return f"the history also shows {names}, which {model} allows"


def _details(
    checker: Transactions,
    found: Evidence,
    names: Sequence[str],
    others: Sequence[Explained],
    proved: Proof | None,
) -> dict[str, Any]:
    """The numbers of a result, as JSON values."""
    return {
        "consistency_model": checker.consistency_model,
        "rules": checker.rules,
        "transactions": found.transactions,
        "counts": found.counts,
        **({"causes": {"incompatible-order": found.causes}} if found.causes else {}),
        "ruled_out": list(weakest_ruled_out(names)),
        "remaining": list(strongest_remaining(names, found.looked_at)),
        "completeness": found.completeness,
        "certificate": proved.certificate if proved is not None else "",
        "allowed": allowed(others),
        "edges": found.edges,
        "peak_bytes": found.peak_bytes,
    }
