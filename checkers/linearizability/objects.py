"""
One object judged in Python: by the monitor of its family where that applies, else by the search.

An order that is found is replayed by the certificate. What is invalid is made small, and others are
asked about it (`confirmation`).

Sources: Wing and Gong (1993); Lowe, "Testing for linearizability" (2017); `native/search/search.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from dissever.checkers.linearizability import certificate
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.confirmation import CONFIGURATIONS_MAX, confirmed_witness
from dissever.checkers.linearizability.counterexample import counterexample, possible_in
from dissever.checkers.linearizability.explanation import convicted
from dissever.checkers.linearizability.family import Finding, Proof
from dissever.checkers.linearizability.judgement import Judgement, why_unknown
from dissever.checkers.linearizability.model import Misfit, Model
from dissever.checkers.linearizability.sources import without_source
from dissever.checkers.linearizability.states import States, TooManyStates, states_of
from dissever.harness.history import Key, MalformedHistory, Operation
from dissever.harness.results import Budget, Verdict
from dissever.harness.values import freeze
from dissever.native import Engine, Outcome, Status, search


class ObjectJudge:
    """One object. With an engine other than the schedule, the search alone judges it."""

    def __init__(
        self,
        model: Model,
        key: Key | None,
        operations: Sequence[Operation],
        budget: Budget,
        engine: Engine = Engine.SCHEDULE,
    ) -> None:
        self._model = model
        self._operations = operations
        self._budget = budget
        self._engine = engine
        self._calls = calls(operations, model.reads, model.takes)
        self._unjudged = Judgement(key, len(operations))

    def judge(self) -> Judgement:
        """Judge it, with everything that a reader needs."""
        if not self._calls:
            return self._unjudged.with_verdict(Verdict.VALID, "nothing was asserted")
        monitor = self._model.family.monitor if self._engine is Engine.SCHEDULE else None
        finding = None
        if monitor is not None:
            with suppress(Misfit):  # What is malformed is for the search to say.
                finding = monitor.judge(self._calls, self._model)
        if monitor is None or finding is None:
            return self._search(self._calls, self._budget.configurations)
        judgement = replace(self._unjudged, engine=monitor.name, because=monitor.because)
        if finding.order is not None:
            return self._valid(judgement, finding.order, in_place=True)
        return self._found_invalid(judgement, finding)

    def explain(self, witness: Sequence[Operation]) -> Judgement:
        """
        Judge what another engine calls invalid, by the search alone.

        Args:
            witness: Operations that are said to contradict each other: a short search of what is
                connected with them decides. None of them: a search of the whole.
        """
        naming = self._model.family.naming
        if not witness or naming is None:
            return self._search(self._calls, self._budget.configurations)
        part = naming.connected(self._calls, witness)
        return self._search(part, min(self._budget.configurations, CONFIGURATIONS_MAX))

    def _valid(self, judgement: Judgement, order: Sequence[int], *, in_place: bool) -> Judgement:
        """An order counts when the certificate accepts it."""
        indices = [self._calls[i].operation.invocation.index for i in order]
        wrong = certificate.flaw(self._model, self._operations, indices, in_place=in_place)
        return judgement.certified(wrong)

    def _found_invalid(self, judgement: Judgement, finding: Finding) -> Judgement:
        """A few operations prove it; if they do not by themselves, the search is asked for more."""
        confirmation = confirmed_witness(self._model, self._calls, finding.part)
        if confirmation.doubt:
            searched = self._search(self._calls, self._budget.configurations)
            if searched.verdict is Verdict.INVALID:
                return searched
            why = f"{confirmation.doubt} (of {judgement.engine}; the search: {searched.why})"
            return judgement.doubted(why)
        witnesses = tuple(call.operation for call in finding.conflict)
        proof = self._without_source(finding) or Proof(finding.name, finding.reason, witnesses)
        details = {
            "rule": finding.rule,
            "witnesses": [list(operation.indices) for operation in witnesses],
        }
        return convicted(judgement, self._model, proof, confirmation, finding.part, details)

    def _without_source(self, finding: Finding) -> Proof | None:
        """A monitor sees no failed operation; of a value without a source they may be all."""
        if not finding.strange:
            return None
        askers = [
            each
            for each in self._operations
            if each.f in self._model.writes and (freeze(each.invocation.value),) == finding.strange
        ]
        return without_source(finding.conflict[-1].operation, askers)

    def _search(self, kept: Sequence[Call], configurations: int) -> Judgement:
        """Search in all calls, or in a part of them that decides alone."""
        judgement, memory_bytes = self._unjudged, self._budget.memory_bytes
        try:
            table = states_of(self._model, kept, memory_bytes)
            outcome = search(
                table.problem(kept),
                configurations_max=configurations,
                bytes_max=memory_bytes,
                engine=self._engine,
                frontier_max=0,
                is_interruptible=True,
            )
        except (MalformedHistory, Misfit) as error:
            return replace(judgement, why=f"malformed: {error}")
        except TooManyStates:
            why = f"states: more than fit into {memory_bytes} bytes"
            return self._unless_unwritten(replace(judgement, why=why), kept)
        judgement = replace(
            judgement,
            configurations=outcome.configurations,
            peak_bytes=outcome.peak_bytes,
            engine=outcome.engine.value,
            because="the search decides what nothing faster does",
        )
        if outcome.status is Status.VALID:
            if len(kept) < len(self._calls):  # The caller knows what an order of a part means.
                return judgement.certified(None)
            return self._valid(judgement, outcome.order, in_place=False)
        if outcome.status is Status.INVALID:
            return self._invalid(judgement, table, kept, outcome)
        judgement = replace(
            judgement,
            why=_why_unknown(outcome, kept),
            is_exhausted=outcome.status is Status.CONFIGURATIONS,
            is_interrupted=outcome.status is Status.INTERRUPTED,
        )
        return judgement if judgement.is_interrupted else self._unless_unwritten(judgement, kept)

    def _invalid(
        self, judgement: Judgement, table: States, kept: Sequence[Call], outcome: Outcome
    ) -> Judgement:
        assert outcome.failing is not None
        failing, model = kept[outcome.failing], self._model
        found = counterexample(model, table, kept, failing)
        naming, every = model.family.naming, self._calls
        proof = naming.prove(failing, every, self._operations, model.initial) if naming else None
        # A part says nothing of what else could be held.
        is_whole = len(kept) == len(every)
        holding = found.holding if is_whole else possible_in(model, every, failing)
        details = {
            "failing": list(failing.operation.indices),
            "states": list(holding.states),
            "states_cut": holding.is_cut,
            "longest_prefix": [
                index for i in outcome.order[-20:] for index in kept[i].operation.indices
            ],
            "linearized": len(outcome.order),
        }
        return convicted(
            judgement,
            model,
            proof,
            found.confirmation,
            found.calls,
            details,
            failing=failing,
            holding=holding,
            tried=found.partials,
        )

    def _unless_unwritten(self, judgement: Judgement, kept: Sequence[Call]) -> Judgement:
        """A read of what no operation wrote is invalid whatever a search would say."""
        model, naming = self._model, self._model.family.naming
        proof = naming.unwritten(kept, self._operations, model.initial) if naming else None
        if proof is None:
            return judgement
        named = [call for call in kept if call.operation in proof.operations]
        confirmation = confirmed_witness(model, kept, named)
        return convicted(judgement, model, proof, confirmation, named, {})


def _why_unknown(outcome: Outcome, kept: Sequence[Call]) -> str:
    why = why_unknown(outcome.status.name, outcome.configurations, outcome.peak_bytes)
    if outcome.failing is None:
        return why
    index = kept[outcome.failing].operation.indices[-1]
    percent = 100 * len(outcome.order) // len(kept)
    return f"{why}; reached event {index}, {percent} % of the operations"
