"""
From what C found about each key to a judgement that can be believed.

C replays each order before it says valid. The independent `certificate` replays it here as well,
for keys in the order of the history until `VALIDATED_OPERATIONS_MAX` operations are spent: small
histories wholly, large ones as a sample. A key that is invalid is explained by a second engine, for
the name, the sentences and the small context of its anomaly. That stops after `EXPLAINED_KEYS_MAX`
keys, and leaves out keys of more than `EXPLAINED_OPERATIONS_MAX` operations; the details of such a
key say so. The few operations that C found to contradict each other are all its evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from dissever.checkers.linearizability import certificate
from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.confirmation import Confirmation, confirmed_witness
from dissever.checkers.linearizability.explanation import convicted
from dissever.checkers.linearizability.family import Proof
from dissever.checkers.linearizability.judgement import ANOMALIES_MAX, Judgement, why_unknown
from dissever.checkers.linearizability.keys import Keys
from dissever.checkers.linearizability.model import UNKNOWN, Misfit, Model
from dissever.checkers.linearizability.objects import ObjectJudge
from dissever.harness.history import Operation
from dissever.harness.results import Budget, Verdict
from dissever.harness.values import freeze, show
from dissever.native.registers import KeyEngine, KeyOutcome, KeyVerdict

VALIDATED_OPERATIONS_MAX: Final = 20_000
EXPLAINED_KEYS_MAX: Final = ANOMALIES_MAX
EXPLAINED_OPERATIONS_MAX: Final = 50_000


class OutcomeJudge:
    """Judges keys in their order, and counts what it validated and explained already."""

    def __init__(self, model: Model, keys: Keys, budget: Budget) -> None:
        self._model = model
        self._keys = keys
        self._budget = budget
        self._unvalidated = VALIDATED_OPERATIONS_MAX
        self._unexplained_keys = EXPLAINED_KEYS_MAX

    def judge(self, key: int, found: KeyOutcome) -> Judgement:
        """What came of one key."""
        is_decided = found.engine is not KeyEngine.NONE
        judgement = Judgement(
            self._keys.name(key),
            self._keys.lengths[key],
            Verdict.VALID,
            "nothing was asserted",
            found.configurations,
            found.peak_bytes,
            found.engine.value if is_decided else None,
            because=found.evidence if is_decided else "",
        )
        if found.verdict is KeyVerdict.VALID:
            return self._valid(judgement, key, found) if found.operations else judgement
        if found.verdict is KeyVerdict.INVALID:
            return self._invalid(judgement, key, found)
        if found.verdict is KeyVerdict.MALFORMED:
            return judgement.with_verdict(Verdict.UNKNOWN, self._misfit(found))
        return judgement.with_verdict(Verdict.UNKNOWN, self._why_unknown(found))

    def _valid(self, judgement: Judgement, key: int, found: KeyOutcome) -> Judgement:
        if found.operations > self._unvalidated:
            return judgement.certified(None)
        self._unvalidated -= found.operations
        operations = self._keys.operations(key, in_detail=False)
        order = [self._keys.operation(at).invocation.index for at in found.order]
        return judgement.certified(certificate.flaw(self._model, operations, order))

    def _invalid(self, judgement: Judgement, key: int, found: KeyOutcome) -> Judgement:
        """By a second engine, as far as explanations go; else by what C names."""
        details = {
            "engine": found.engine.value,
            "evidence": found.evidence,
            "proof": found.reason,
        }
        witness = [self._keys.operation(at) for at in found.witness]
        why_not = self._why_not_explained(found.operations)
        if why_not:
            details["not_explained"] = why_not
        else:
            again = self._explained(judgement, key, found, witness)
            if again.is_doubted:
                return judgement.doubted(again.why)
            if again.verdict is Verdict.VALID:
                engines = f"{found.engine.value} and the other engine"
                return judgement.doubted(f"engines: {engines} contradict each other")
            if again.verdict is Verdict.INVALID:
                return replace(
                    again,
                    details={**again.details, **details},
                    engine=judgement.engine,
                    because=judgement.because,
                )
        return self._named(judgement, found, witness, details)

    def _why_not_explained(self, operations: int) -> str:
        if self._unexplained_keys == 0:
            return f"{EXPLAINED_KEYS_MAX} keys are explained already"
        if operations > EXPLAINED_OPERATIONS_MAX:
            return f"no key of more than {EXPLAINED_OPERATIONS_MAX:,} operations is explained"
        self._unexplained_keys -= 1
        return ""

    def _explained(
        self, judgement: Judgement, key: int, found: KeyOutcome, witness: Sequence[Operation]
    ) -> Judgement:
        """What a second engine says; after Ctrl-C no more keys are explained."""
        operations = self._keys.operations(key, in_detail=True)
        part = witness if found.engine in _WITNESS_IS_ENOUGH else ()
        try:
            return ObjectJudge(self._model, judgement.key, operations, self._budget).explain(part)
        except KeyboardInterrupt:
            self._unexplained_keys = 0
            return judgement.with_verdict(Verdict.UNKNOWN, "interrupted")

    def _named(
        self,
        judgement: Judgement,
        found: KeyOutcome,
        witness: Sequence[Operation],
        details: dict[str, Any],
    ) -> Judgement:
        """Invalid by the operations that C names, which others may confirm."""
        ended = tuple(sorted(witness, key=lambda each: each.indices[-1]))
        proof = Proof("nonlinearizable", found.reason, ended)
        few = calls(
            sorted(witness, key=lambda each: each.indices[0]), self._model.reads, self._model.takes
        )
        if found.engine in _WITNESS_IS_ENOUGH:
            # Each value was set once, so that nothing that was left out can explain them.
            confirmation = confirmed_witness(self._model, few, few)
        else:
            confirmation, few = Confirmation(), ()
        if (
            confirmation.doubt and found.engine is KeyEngine.CHAINS
        ):  # It may be too long to be named.
            why = "single-engine: the operations that are named are not all that led there"
            confirmation = Confirmation(why_not=why)
        return convicted(judgement, self._model, proof, confirmation, few, details)

    def _misfit(self, found: KeyOutcome) -> str:
        """What is wrong with an operation that no such object has."""
        operation = self._keys.operation(found.witness[0])
        value = freeze(operation.invocation.value)
        try:
            self._model.step(self._model.initial, operation.f, value, UNKNOWN)
            noun, value = self._model.noun, operation.invocation.value
            wrong = f"a {noun} cannot take {operation.f} {show(value)}"
        except Misfit as error:
            wrong = str(error)
        return f"malformed: event {operation.indices[-1]}: {wrong}"

    def _why_unknown(self, found: KeyOutcome) -> str:
        spent = why_unknown(found.verdict.name, found.configurations, found.peak_bytes)
        why = f"{spent}; {found.evidence}"
        if not found.witness:
            return why
        return f"{why}; reached event {self._keys.operation(found.witness[0]).indices[-1]}"


_WITNESS_IS_ENOUGH: Final = frozenset({KeyEngine.ZONES, KeyEngine.CHAINS})
"""What these name is impossible whatever else was asked."""
