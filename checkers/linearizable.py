"""
Linearizability: every operation takes effect at one instant between its question and its answer.

Linearizability is local (Herlihy and Wing 1990), so each key is judged alone: one that is past the
budget leaves the others decided. Registers whose values are each set once need no search
(`blocks`); other objects have `monitors` for what unique values tell. An order that is found is
replayed; what is invalid is made small, and a second engine and a validator are asked about it.

Sources: Wing and Gong (1993); Lowe, "Testing for linearizability" (2017); `native/search.h`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dissever.checkers import blocks, certificate, fast, stale
from dissever.checkers.calls import Call, calls
from dissever.checkers.counterexample import (
    EXPLAIN_CONFIGURATIONS,
    confirmed_witness,
    counterexample,
    possible_in,
    second_opinion,
    told,
)
from dissever.checkers.explain import explain
from dissever.checkers.judgement import Judgement, result
from dissever.checkers.lazy import TooManyStates
from dissever.checkers.models import Family, Misfit, Model
from dissever.checkers.monitors import MONITORS, Finding, Monitor, replay
from dissever.checkers.possible import Possible
from dissever.checkers.table import States, states_of
from dissever.harness.history import History, Key, MalformedHistory, Operation
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine, Outcome, Status, search

CONFIRM_CALLS_MAX: Final = 300
"""Up to so many calls, what a theorem calls valid is searched too."""


@dataclass(frozen=True, slots=True)
class Linearizable:
    """
    The checker: each key is an object that behaves like `model`.

    `engine` is for tests: the schedule, with blocks before it, is the right one.
    """

    model: Model
    name: str = "linearizable"
    engine: Engine = Engine.SCHEDULE

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge each key; no key gets more than the budget, nor do all together."""
        try:
            operations = history.operations
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        by_key: dict[Key | None, list[Operation]] = {}
        for operation in operations:
            by_key.setdefault(operation.key, []).append(operation)
        judged = None
        if self.engine is Engine.SCHEDULE:
            judged = fast.judge(history, by_key, self.model, budget, self.judge_key)
        return result(self.name, self.judge_keys(by_key, budget) if judged is None else judged)

    def judge_key(
        self, key: Key | None, operations: Sequence[Operation], budget: Budget
    ) -> Judgement:
        """Judge one key, with everything that a reader needs."""
        return self._judge(key, operations, budget)

    def judge_keys(
        self, by_key: Mapping[Key | None, Sequence[Operation]], budget: Budget
    ) -> list[Judgement]:
        """An equal share for each key, then what is left for those that were not decided."""
        share = max(1, budget.configurations // max(1, len(by_key)))
        left = budget.configurations
        judged: dict[Key | None, Judgement] = {}
        keys = iter(by_key)
        for key in keys:
            judged[key] = self._judge_or_stop(key, by_key, Budget(share, budget.memory_bytes))
            left -= judged[key].configurations
            if judged[key].is_interrupted:
                rest = {each: self._stopped(each, "before it was judged") for each in keys}
                return [*judged.values(), *rest.values()]
        for key, judgement in judged.items():
            if judgement.why.startswith(_OUT_OF_CONFIGURATIONS) and left > share:
                more = Budget(left, budget.memory_bytes)
                judged[key] = self._judge_or_stop(key, by_key, more)
                if judged[key].is_interrupted:
                    break
                left -= judged[key].configurations
        return list(judged.values())

    def _judge_or_stop(
        self, key: Key | None, by_key: Mapping[Key | None, Sequence[Operation]], budget: Budget
    ) -> Judgement:
        """Ctrl-C leaves the keys before it judged."""
        try:
            return self._judge(key, by_key[key], budget)
        except KeyboardInterrupt:
            return self._stopped(key, "while it was judged")

    def _stopped(self, key: Key | None, when: str) -> Judgement:
        why = f"interrupted: stopped {when}"
        return Judgement(key, Verdict.UNKNOWN, why, 0, is_interrupted=True)

    def _judge(self, key: Key | None, operations: Sequence[Operation], budget: Budget) -> Judgement:
        """By the engine that the data allow: blocks or a monitor, else the search."""
        kept = calls(operations, self.model.reads)
        if not kept:
            return Judgement(key, Verdict.VALID, "nothing was asserted", len(operations))
        if self.model.family is Family.REGISTER:
            return self._judge_register(key, kept, operations, budget)
        monitor = MONITORS.get(self.model.family) if self.engine is Engine.SCHEDULE else None
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
        if finding.is_valid:
            return self._confirm_valid(judgement, kept, operations, finding)
        return self._confirm_invalid(judgement, kept, operations, budget, finding)

    def _judge_register(
        self,
        key: Key | None,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        budget: Budget,
    ) -> Judgement:
        finding = self._find_blocks(kept, operations)
        if finding is None:
            return self._search(key, kept, operations, budget, kept)
        if finding.order is not None:
            return Judgement(
                key,
                Verdict.VALID,
                "an order explains every answer",
                len(operations),
                engine="blocks",
                because="each value was set once",
            )
        limit = min(budget.configurations, EXPLAIN_CONFIGURATIONS)
        some = Budget(limit, budget.memory_bytes)
        judgement = self._search(key, finding.part or kept, operations, some, kept)
        return self._unless_found(judgement, kept, finding)

    def _confirm_valid(
        self,
        judgement: Judgement,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        finding: Finding,
    ) -> Judgement:
        """Replay the order; where a theorem gave none, ask the search if the history is small."""
        if finding.order is not None:
            wrong = replay.flaw(self.model, kept, finding.order)
            if wrong is None:
                return judgement.with_verdict(Verdict.VALID, "an order explains every answer")
            return judgement.doubted(f"certificate: the order that was found is not one: {wrong}")
        status = second_opinion(self.model, kept) if len(kept) <= CONFIRM_CALLS_MAX else None
        if status is Status.INVALID:
            return judgement.doubted(
                f"engines: {judgement.engine} and search contradict each other"
            )
        details = {"certificate": "search" if status is Status.VALID else "theorem"}
        why = "an order that explains every answer exists"
        return judgement.with_verdict(Verdict.VALID, why, details=details)

    def _confirm_invalid(
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
        proof = stale.Proof(finding.name, finding.reason, witnesses)
        anomaly = explain(judgement.key, self.model, finding.part, None, Possible(), proof)
        details = {
            "rule": finding.rule,
            "witnesses": [list(operation.indices) for operation in witnesses],
        }
        return told(self.model, judgement, anomaly, confirmation, finding.part, details)

    def _find_blocks(
        self, kept: Sequence[Call], operations: Sequence[Operation]
    ) -> blocks.Finding | None:
        """What blocks say, where they apply; an order only if it is a linearization."""
        if self.model.family is not Family.REGISTER or self.engine is not Engine.SCHEDULE:
            return None
        try:
            finding = blocks.judge(kept, self.model.initial)
            if finding is None or finding.order is None:
                return finding
            return None if self._flaw(kept, operations, finding.order) else finding
        except Misfit:
            return None

    def _flaw(
        self, kept: Sequence[Call], operations: Sequence[Operation], order: Sequence[int]
    ) -> str | None:
        indices = [kept[i].operation.invocation.index for i in order]
        return certificate.flaw(self.model, operations, indices)

    def _search(
        self,
        key: Key | None,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        budget: Budget,
        every: Sequence[Call],
    ) -> Judgement:
        """Search in `kept`, which may be a part of `every` call of the key that decides alone."""
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
            return Judgement(key, Verdict.UNKNOWN, f"malformed: {error}", len(operations))
        except TooManyStates:
            why = f"states: more than fit into {budget.memory_bytes} bytes"
            judgement = Judgement(key, Verdict.UNKNOWN, why, len(operations))
            return self._unless_unwritten(judgement, kept, operations)
        judgement = Judgement(
            key,
            Verdict.UNKNOWN,
            "",
            len(operations),
            outcome.configurations,
            outcome.peak_bytes,
            outcome.engine.value,
            "the search decides what nothing faster does",
        )
        if outcome.status is Status.VALID:
            # What is found of a part is no order of the whole: the caller knows what that means.
            wrong = self._flaw(kept, operations, outcome.order) if kept is every else None
            if wrong is None:
                return judgement.with_verdict(Verdict.VALID, "an order explains every answer")
            return judgement.doubted(f"certificate: the order that was found is not one: {wrong}")
        if outcome.status is Status.INVALID:
            return self._invalid(judgement, table, kept, operations, outcome, every)
        why = _why_unknown(outcome, kept)
        judgement = judgement.with_verdict(Verdict.UNKNOWN, why)
        if outcome.status is Status.INTERRUPTED:
            return replace(judgement, is_interrupted=True)
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
        proof = (
            stale.prove(failing, every, operations, self.model.initial)
            if self.model.family is Family.REGISTER
            else None
        )
        # A part says nothing of what else could be held.
        holding = found.holding if kept is every else possible_in(self.model, every, failing)
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
        return told(
            self.model, judgement, anomaly, found.confirmation, found.calls, details, found.partials
        )

    def _unless_unwritten(
        self, judgement: Judgement, kept: Sequence[Call], operations: Sequence[Operation]
    ) -> Judgement:
        """A read of what nobody wrote is invalid whatever a search would say."""
        if self.model.family is not Family.REGISTER:
            return judgement
        proof = stale.unwritten(kept, operations, self.model.initial)
        if proof is None:
            return judgement
        named = [call for call in kept if call.operation in proof.operations]
        return self._proven(judgement, kept, named, proof)

    def _unless_found(
        self, judgement: Judgement, kept: Sequence[Call], finding: blocks.Finding
    ) -> Judgement:
        """Blocks proved it invalid: the search was asked only to explain it, and agrees or not."""
        if judgement.verdict is Verdict.INVALID or judgement.is_doubted:
            return judgement
        if judgement.verdict is Verdict.VALID:
            return judgement.doubted("engines: blocks and search contradict each other")
        conflict = tuple(call.operation for call in finding.conflict)
        proof = stale.Proof("nonlinearizable", finding.reason, conflict)
        return self._proven(judgement, kept, finding.part or finding.conflict, proof)

    def _proven(
        self,
        judgement: Judgement,
        kept: Sequence[Call],
        named: Sequence[Call],
        proof: stale.Proof,
    ) -> Judgement:
        """A few operations prove it, which the search alone could not say."""
        confirmation = confirmed_witness(self.model, kept, named)
        if confirmation.doubt:
            return judgement.doubted(confirmation.doubt)
        anomaly = explain(judgement.key, self.model, (), None, Possible(), proof)
        return told(self.model, judgement, anomaly, confirmation, named, {})


def _find(monitor: Monitor | None, kept: Sequence[Call], model: Model) -> Finding | None:
    """What a monitor says, where it applies; what is malformed is for the search to say."""
    try:
        return monitor.judge(kept, model) if monitor is not None else None
    except Misfit:
        return None


_OUT_OF_CONFIGURATIONS: Final = "budget: no more configurations"


def _why_unknown(outcome: Outcome, kept: Sequence[Call]) -> str:
    reasons = {
        Status.CONFIGURATIONS: f"{_OUT_OF_CONFIGURATIONS} ({outcome.configurations} explored)",
        Status.MEMORY: f"budget: no more memory ({outcome.peak_bytes} bytes held)",
        Status.WIDE: "open operations: more at one time than the search can hold",
        Status.CAPPED: "crashed operations: more of one kind than the search counts",
        Status.INTERRUPTED: f"interrupted: stopped after {outcome.configurations} configurations",
    }
    why = reasons[outcome.status]
    if outcome.failing is None:
        return why
    index = kept[outcome.failing].operation.indices[-1]
    percent = 100 * len(outcome.order) // len(kept)
    return f"{why}; reached event {index}, {percent} % of the operations"
