"""
One object judged in Python: by the monitor of its family where that applies, else by the search.

An order that is found is replayed by the certificate. What is invalid is made small, and others are
asked about it (`confirmation`).

Sources: Wing and Gong (1993); Lowe, "Testing for linearizability" (2017); `native/search/search.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dissever.checkers.linearizability import certificate
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.confirmation import CONFIGURATIONS_MAX, confirmed_witness
from dissever.checkers.linearizability.counterexample import counterexample, possible_in
from dissever.checkers.linearizability.explanation import convicted, explain
from dissever.checkers.linearizability.family import Monitor
from dissever.checkers.linearizability.finding import Finding, Proof
from dissever.checkers.linearizability.judgement import ORDER_FOUND, Judgement, why_unknown
from dissever.checkers.linearizability.model import Misfit, Model
from dissever.checkers.linearizability.possible import Possible
from dissever.checkers.linearizability.states import States, TooManyStates, states_of
from dissever.harness.history import Key, MalformedHistory, Operation
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine, Outcome, Status, search


@dataclass(frozen=True, slots=True)
class ObjectJudge:
    """Judges objects of a model. With an engine other than the schedule, the search alone does."""

    model: Model
    engine: Engine = Engine.SCHEDULE

    def judge(self, key: Key | None, operations: Sequence[Operation], budget: Budget) -> Judgement:
        """Judge one object, with everything that a reader needs."""
        kept = calls(operations, self.model.reads)
        if not kept:
            return Judgement(key, Verdict.VALID, "nothing was asserted", len(operations))
        monitor = self.model.family.monitor if self.engine is Engine.SCHEDULE else None
        finding = _find(monitor, kept, self.model)
        if monitor is None or finding is None:
            return self._search(key, kept, operations, budget, kept)
        judgement = Judgement(
            key,
            Verdict.UNKNOWN,
            "",
            len(operations),
            engine=monitor.name,
            because=monitor.because,
        )
        if finding.order is not None:
            return self._valid(judgement, kept, operations, finding.order, in_place=True)
        return self._found_invalid(judgement, kept, operations, budget, finding)

    def explain(
        self,
        key: Key | None,
        operations: Sequence[Operation],
        budget: Budget,
        witness: Sequence[Operation],
    ) -> Judgement:
        """
        Judge one object that another engine calls invalid, by the search alone.

        Args:
            witness: Operations that are said to contradict each other: a short search of what is
                connected with them decides. None of them: a search of the whole.
        """
        kept = calls(operations, self.model.reads)
        naming = self.model.family.naming
        if not witness or naming is None:
            return self._search(key, kept, operations, budget, kept)
        part = naming.connected(kept, witness)
        limit = min(budget.configurations, CONFIGURATIONS_MAX)
        return self._search(key, part, operations, Budget(limit, budget.memory_bytes), kept)

    def _valid(
        self,
        judgement: Judgement,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        order: Sequence[int],
        *,
        in_place: bool,
    ) -> Judgement:
        """An order counts when the certificate accepts it."""
        indices = [kept[i].operation.invocation.index for i in order]
        wrong = certificate.flaw(self.model, operations, indices, in_place=in_place)
        return judgement.certified(wrong)

    def _found_invalid(
        self,
        judgement: Judgement,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        budget: Budget,
        finding: Finding,
    ) -> Judgement:
        """A few operations prove it; if they do not by themselves, the search is asked for more."""
        confirmation = confirmed_witness(self.model, kept, finding.part)
        if confirmation.doubt:
            searched = self._search(judgement.key, kept, operations, budget, kept)
            if searched.verdict is Verdict.INVALID:
                return searched
            why = f"{confirmation.doubt} (of {judgement.engine}; the search: {searched.why})"
            return judgement.doubted(why)
        witnesses = tuple(call.operation for call in finding.conflict)
        proof = Proof(finding.name, finding.reason, witnesses)
        anomaly = explain(judgement.key, self.model, finding.part, None, Possible(), proof)
        details = {
            "rule": finding.rule,
            "witnesses": [list(operation.indices) for operation in witnesses],
        }
        return convicted(judgement, self.model, anomaly, confirmation, finding.part, details)

    def _search(
        self,
        key: Key | None,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        budget: Budget,
        every: Sequence[Call],
    ) -> Judgement:
        """Search in `kept`, which may be a part of `every` call of the key that decides alone."""
        judgement = Judgement(key, Verdict.UNKNOWN, "", len(operations))
        try:
            table = states_of(self.model, kept, budget.memory_bytes)
            outcome = search(
                table.problem(kept),
                configurations_max=budget.configurations,
                bytes_max=budget.memory_bytes,
                engine=self.engine,
                frontier_max=0,
                is_interruptible=True,
            )
        except (MalformedHistory, Misfit) as error:
            return replace(judgement, why=f"malformed: {error}")
        except TooManyStates:
            why = f"states: more than fit into {budget.memory_bytes} bytes"
            return self._unless_unwritten(replace(judgement, why=why), kept, operations)
        judgement = replace(
            judgement,
            configurations=outcome.configurations,
            peak_bytes=outcome.peak_bytes,
            engine=outcome.engine.value,
            because="the search decides what nothing faster does",
        )
        if outcome.status is Status.VALID:
            if len(kept) < len(every):  # The caller knows what an order of a part means.
                return judgement.with_verdict(Verdict.VALID, ORDER_FOUND)
            return self._valid(judgement, kept, operations, outcome.order, in_place=False)
        if outcome.status is Status.INVALID:
            return self._invalid(judgement, table, kept, operations, outcome, every)
        judgement = replace(
            judgement,
            why=_why_unknown(outcome, kept),
            is_exhausted=outcome.status is Status.CONFIGURATIONS,
            is_interrupted=outcome.status is Status.INTERRUPTED,
        )
        if judgement.is_interrupted:
            return judgement
        return self._unless_unwritten(judgement, kept, operations)

    def _invalid(
        self,
        judgement: Judgement,
        table: States,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        outcome: Outcome,
        every: Sequence[Call],
    ) -> Judgement:
        assert outcome.failing is not None
        failing = kept[outcome.failing]
        found = counterexample(self.model, table, kept, failing)
        if found.confirmation.doubt:
            return judgement.doubted(found.confirmation.doubt)
        naming = self.model.family.naming
        proof = naming.prove(failing, every, operations, self.model.initial) if naming else None
        # A part says nothing of what else could be held.
        is_whole = len(kept) == len(every)
        holding = found.holding if is_whole else possible_in(self.model, every, failing)
        anomaly = explain(judgement.key, self.model, found.calls, failing, holding, proof)
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
            self.model,
            anomaly,
            found.confirmation,
            found.calls,
            details,
            found.partials,
        )

    def _unless_unwritten(
        self, judgement: Judgement, kept: Sequence[Call], operations: Sequence[Operation]
    ) -> Judgement:
        """A read of what no operation wrote is invalid whatever a search would say."""
        naming = self.model.family.naming
        proof = naming.unwritten(kept, operations, self.model.initial) if naming else None
        if proof is None:
            return judgement
        named = [call for call in kept if call.operation in proof.operations]
        confirmation = confirmed_witness(self.model, kept, named)
        anomaly = explain(judgement.key, self.model, (), None, Possible(), proof)
        return convicted(judgement, self.model, anomaly, confirmation, named, {})


def _find(monitor: Monitor | None, kept: Sequence[Call], model: Model) -> Finding | None:
    """What a monitor finds, where it applies; what is malformed is for the search to say."""
    try:
        return monitor.judge(kept, model) if monitor is not None else None
    except Misfit:
        return None


def _why_unknown(outcome: Outcome, kept: Sequence[Call]) -> str:
    why = why_unknown(outcome.status.name, outcome.configurations, outcome.peak_bytes)
    if outcome.failing is None:
        return why
    index = kept[outcome.failing].operation.indices[-1]
    percent = 100 * len(outcome.order) // len(kept)
    return f"{why}; reached event {index}, {percent} % of the operations"
