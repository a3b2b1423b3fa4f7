"""
Registers and texts judged in C, all keys in one call: zones where values are unique, else the
search.

A key that is valid is done. Its linearization is replayed in C before that is said; the
independent `certificate` replays it here as well, for keys in the order of the history until
`VALIDATED_OPERATIONS_MAX` operations are spent: small histories wholly, large ones as a sample. A
key that is invalid goes the long way once more, for the names, sentences and the small context of
its anomaly; past `EXPLAINED_KEYS_MAX` keys, and for keys of more than `EXPLAINED_OPERATIONS_MAX`
operations, the few operations that C found to contradict each other are all the evidence.

Cost: 2 to 4 µs an operation to make columns of a history, then see `native/keys.h`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from dissever.checkers import certificate
from dissever.checkers.calls import calls
from dissever.checkers.counterexample import Confirmation, confirmed_witness, told
from dissever.checkers.explain import SINGLE_ENGINE, explain
from dissever.checkers.judgement import ANOMALIES_MAX, Judgement
from dissever.checkers.models import UNKNOWN, Family, Misfit, Model
from dissever.checkers.possible import Possible
from dissever.checkers.stale import Proof
from dissever.harness.columns import columns_of
from dissever.harness.history import History, Key, Operation
from dissever.harness.results import Budget, Verdict
from dissever.harness.values import freeze, show
from dissever.native.columns import Columns
from dissever.native.registers import KeyEngine, KeyOutcome, KeyOutcomes, KeyVerdict, judge_keys
from dissever.native.texts import judge_texts

VALIDATED_OPERATIONS_MAX: Final = 20_000
EXPLAINED_KEYS_MAX: Final = ANOMALIES_MAX
EXPLAINED_OPERATIONS_MAX: Final = 50_000

JUDGED: Final = frozenset({Family.REGISTER, Family.TEXT})
"""What C judges whole."""

Explain: TypeAlias = Callable[[Key | None, Sequence[Operation], Budget], Judgement]
"""Judges one key with everything that a reader needs."""


def judge(
    history: History,
    by_key: Mapping[Key | None, Sequence[Operation]],
    model: Model,
    budget: Budget,
    explain_key: Explain,
) -> list[Judgement] | None:
    """Judge each key; None where this does not apply: another model, or numbers past 32 bits."""
    if model.family not in JUDGED:
        return None
    try:
        columns = columns_of(history)
    except OverflowError:
        return None
    ids = {freeze(key): number for number, key in enumerate(columns.keys)}
    findings = _find(columns, model, budget, threads=None)
    shell = _Shell(model, budget, explain_key, lambda i: history.operations[i])
    return [
        shell.judgement(key, findings[ids[freeze(key)]], operations)
        for key, operations in by_key.items()
    ]


def judge_keys_of(
    columns: Columns,
    operations: Mapping[int, Sequence[Operation]],
    operation: Callable[[int], Operation],
    model: Model,
    budget: Budget,
    explain_key: Explain,
    threads: int | None,
) -> list[Judgement]:
    """
    Judge each key of columns; their operations are asked for only where they are shown or sampled.

    Args:
        operations: By id of key.
        operation: That at a position in the columns.
        threads: At most; None means one a core. The result does not depend on it.

    Raises:
        ValueError: When the columns contradict each other.
    """
    findings = _find(columns, model, budget, threads=threads)
    shell = _Shell(model, budget, explain_key, operation)
    return [
        shell.judgement(columns.keys[key], findings[key], some) for key, some in operations.items()
    ]


def _find(columns: Columns, model: Model, budget: Budget, *, threads: int | None) -> KeyOutcomes:
    if model.family is Family.TEXT:
        return judge_texts(
            columns,
            initial=str(model.initial),
            configurations_max=budget.configurations,
            bytes_max=budget.memory_bytes,
            threads=threads,
        )
    return judge_keys(
        columns,
        initial=_id_of(model.initial, columns.values),
        has_cas=_has_cas(model),
        configurations_max=budget.configurations,
        bytes_max=budget.memory_bytes,
        threads=threads,
    )


def _id_of(initial: Hashable, values: Sequence[Any]) -> int:
    """Cheap for None, which every history numbers 0; else linear."""
    if initial is None:
        return 0
    return next((i for i, value in enumerate(values) if freeze(value) == initial), -1)


def _has_cas(model: Model) -> bool:
    try:
        model.step(model.initial, "cas", (model.initial, model.initial), UNKNOWN)
    except Misfit:
        return False
    return True


class _Shell:
    """From what C found to judgements; counts what it explained and validated already."""

    def __init__(
        self,
        model: Model,
        budget: Budget,
        explain_key: Explain,
        operation: Callable[[int], Operation],
    ) -> None:
        self._model = model
        self._budget = budget
        self._explain_key = explain_key
        self._operation = operation
        self._explained = 0
        self._validated = 0

    def judgement(
        self, key: Key | None, finding: KeyOutcome, operations: Sequence[Operation]
    ) -> Judgement:
        judgement = Judgement(
            key,
            Verdict.VALID,
            "nothing was asserted",
            len(operations),
            finding.configurations,
            finding.peak_bytes,
            None if finding.engine is KeyEngine.NONE else finding.engine.value,
            because="" if finding.engine is KeyEngine.NONE else finding.evidence,
        )
        if finding.verdict is KeyVerdict.VALID:
            return self._valid(judgement, finding, operations)
        if finding.verdict is KeyVerdict.MALFORMED:
            return judgement.with_verdict(Verdict.UNKNOWN, self._misfit(finding))
        if finding.verdict is KeyVerdict.INVALID:
            return self._invalid(judgement, finding, operations)
        return judgement.with_verdict(Verdict.UNKNOWN, self._why(finding))

    def _valid(
        self, judgement: Judgement, finding: KeyOutcome, operations: Sequence[Operation]
    ) -> Judgement:
        if finding.operations == 0:
            return judgement
        if self._validated + finding.operations <= VALIDATED_OPERATIONS_MAX:
            self._validated += finding.operations
            wrong = self._flaw(finding, operations)
            if wrong is not None:
                why = f"certificate: the order that was found is not one: {wrong}"
                return judgement.with_verdict(Verdict.UNKNOWN, why)
        return judgement.with_verdict(Verdict.VALID, "an order explains every answer")

    def _flaw(self, finding: KeyOutcome, operations: Sequence[Operation]) -> str | None:
        assert finding.order is not None
        order = [self._operation(i).invocation.index for i in finding.order]
        return certificate.flaw(self._model, operations, order)

    def _invalid(
        self, judgement: Judgement, finding: KeyOutcome, operations: Sequence[Operation]
    ) -> Judgement:
        is_small = finding.operations <= EXPLAINED_OPERATIONS_MAX
        if is_small and self._explained < EXPLAINED_KEYS_MAX:
            self._explained += 1
            again = self._again(judgement.key, operations)
            if again.is_doubted:
                return judgement.doubted(again.why)
            if again.verdict is Verdict.VALID:
                why = f"engines: {finding.engine.value} and the other engine contradict each other"
                return judgement.doubted(why)
            if again.verdict is Verdict.INVALID:
                details = {**again.details, **_details(finding)}
                return replace(
                    again, details=details, engine=judgement.engine, because=judgement.because
                )
        witness = sorted(
            (self._operation(i) for i in finding.witness), key=lambda each: each.indices[-1]
        )
        proof = Proof("nonlinearizable", finding.reason, tuple(witness))
        anomaly = explain(judgement.key, self._model, (), None, Possible(), proof)
        if finding.engine not in (KeyEngine.ZONES, KeyEngine.CHAINS):
            details = {"confirmed": False, "confirmation": SINGLE_ENGINE, **_details(finding)}
            return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, details)
        # Each value was set once, so that nothing that was left out can explain them.
        few = calls(sorted(witness, key=lambda each: each.indices[0]), self._model.reads)
        confirmation = confirmed_witness(self._model, few, few)
        if confirmation.doubt and finding.engine is KeyEngine.ZONES:
            return judgement.doubted(confirmation.doubt)
        if confirmation.doubt:  # A chain may be too long to be named whole.
            why = "single-engine: the operations that are named are not all that led there"
            confirmation = Confirmation(why_not=why)
        return told(self._model, judgement, anomaly, confirmation, few, _details(finding))

    def _again(self, key: Key | None, operations: Sequence[Operation]) -> Judgement:
        """What the long way tells; after Ctrl-C nothing more is explained."""
        try:
            return self._explain_key(key, operations, self._budget)
        except KeyboardInterrupt:
            self._explained = EXPLAINED_KEYS_MAX
            return Judgement(key, Verdict.UNKNOWN, "interrupted", len(operations))

    def _misfit(self, finding: KeyOutcome) -> str:
        """What is wrong with an operation that no such object has."""
        operation = self._operation(finding.witness[0])
        value = freeze(operation.invocation.value)
        try:
            self._model.step(self._model.initial, operation.f, value, UNKNOWN)
            noun, value = self._model.noun, operation.invocation.value
            wrong = f"a {noun} cannot take {operation.f} {show(value)}"
        except Misfit as error:
            wrong = str(error)
        return f"malformed: event {operation.indices[-1]}: {wrong}"

    def _why(self, finding: KeyOutcome) -> str:
        reasons = {
            KeyVerdict.CONFIGURATIONS: (
                f"budget: no more configurations ({finding.configurations} explored)"
            ),
            KeyVerdict.MEMORY: f"budget: no more memory ({finding.peak_bytes} bytes held)",
            KeyVerdict.WIDE: "open operations: more at one time than the search can hold",
            KeyVerdict.CAPPED: "crashed operations: more of one kind than the search counts",
            KeyVerdict.UNDECIDED: "interrupted: stopped before this object was judged",
            KeyVerdict.FLAWED: "certificate: the order that was found is not one: C refused it",
        }
        why = f"{reasons[finding.verdict]}; {finding.evidence}"
        if not finding.witness:
            return why
        return f"{why}; reached event {self._operation(finding.witness[0]).indices[-1]}"


def _details(finding: KeyOutcome) -> dict[str, Any]:
    return {"engine": finding.engine.value, "evidence": finding.evidence, "proof": finding.reason}
