"""
Linearizability: every operation takes effect at one instant between its question and its answer.

Linearizability is local (Herlihy and Wing 1990), so each key is judged alone: one that is past the
budget leaves the others decided. Registers whose values are each set once need no search
(`blocks`); other objects have `monitors` for what unique values tell. An order that is found is
replayed, an invalid verdict is searched again, by the other engine or on the guilty operations.

Sources: Wing and Gong (1993); Lowe, "Testing for linearizability" (2017); `native/search.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers import blocks, certificate, fast, shrink, stale
from dissever.checkers.calls import Call, calls
from dissever.checkers.explain import explain, possible
from dissever.checkers.judgement import Judgement, result
from dissever.checkers.lazy import TooManyStates
from dissever.checkers.models import Family, Misfit, Model
from dissever.checkers.monitors import MONITORS, Finding, Monitor, replay
from dissever.checkers.table import States, states_of
from dissever.harness.history import History, Key, MalformedHistory, Operation
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine, Outcome, Status, search

SHRINK_CONFIGURATIONS: Final = 100_000
CONFIRM_CONFIGURATIONS: Final = 1_000_000
EXPLAIN_CONFIGURATIONS: Final = 20_000
EXPLAIN_BYTES: Final = 1 << 28
CONFIRM_CALLS_MAX: Final = 300
"""Up to so many calls, what a theorem calls valid is searched too."""

FRONTIER_MAX: Final = 10_000


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
        return result(self.name, self._judge_all(by_key, budget) if judged is None else judged)

    def judge_key(
        self, key: Key | None, operations: Sequence[Operation], budget: Budget
    ) -> Judgement:
        """Judge one key, with everything that a reader needs."""
        return self._judge(key, operations, budget)

    def _judge_all(
        self, by_key: dict[Key | None, list[Operation]], budget: Budget
    ) -> list[Judgement]:
        """An equal share for each key, then what is left for those that were not decided."""
        share = max(1, budget.configurations // max(1, len(by_key)))
        left = budget.configurations
        judged: dict[Key | None, Judgement] = {}
        for key, operations in by_key.items():
            judged[key] = self._judge(key, operations, Budget(share, budget.memory_bytes))
            left -= judged[key].configurations
        for key, judgement in judged.items():
            if judgement.why.startswith(_OUT_OF_CONFIGURATIONS) and left > share:
                judged[key] = self._judge(key, by_key[key], Budget(left, budget.memory_bytes))
                left -= judged[key].configurations
        return list(judged.values())

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
            return self._confirm_valid(judgement, kept, finding)
        return self._confirm_invalid(judgement, finding)

    def _judge_register(
        self,
        key: Key | None,
        kept: Sequence[Call],
        operations: Sequence[Operation],
        budget: Budget,
    ) -> Judgement:
        finding = self._find_blocks(kept)
        if finding is not None and finding.order is not None:
            return Judgement(
                key,
                Verdict.VALID,
                "an order explains every answer",
                len(operations),
                engine="blocks",
                because="each value was set once",
            )
        if finding is None:
            return self._search(key, kept, operations, budget, kept)
        limit = min(budget.configurations, EXPLAIN_CONFIGURATIONS)
        some = Budget(limit, budget.memory_bytes)
        judgement = self._search(key, finding.part or kept, operations, some, kept)
        return _unless_found(self.model, judgement, finding)

    def _confirm_valid(
        self, judgement: Judgement, kept: Sequence[Call], finding: Finding
    ) -> Judgement:
        """Replay the order; where a theorem gave none, ask the search if the history is small."""
        if finding.order is not None:
            wrong = replay.flaw(self.model, kept, finding.order)
            if wrong is None:
                return judgement.with_verdict(Verdict.VALID, "an order explains every answer")
            why = f"certificate: the order that was found is not one: {wrong}"
            return judgement.with_verdict(Verdict.UNKNOWN, why)
        status = self._second_opinion(kept) if len(kept) <= CONFIRM_CALLS_MAX else None
        if status is Status.INVALID:
            why = f"engines: {judgement.engine} and search contradict each other"
            return judgement.with_verdict(Verdict.UNKNOWN, why)
        details = {"certificate": "search" if status is Status.VALID else "theorem"}
        why = "an order that explains every answer exists"
        return judgement.with_verdict(Verdict.VALID, why, details=details)

    def _confirm_invalid(self, judgement: Judgement, finding: Finding) -> Judgement:
        """A few operations prove it; the search is asked about them alone."""
        status = self._second_opinion(finding.part) if finding.part else None
        if status is Status.VALID:
            why = f"engines: {judgement.engine} and search contradict each other"
            return judgement.with_verdict(Verdict.UNKNOWN, why)
        witnesses = tuple(call.operation for call in finding.conflict)
        proof = stale.Proof(finding.name, finding.reason, witnesses)
        anomaly = explain(judgement.key, self.model, finding.part, None, (), proof)
        details = {
            "rule": finding.rule,
            "witnesses": [list(operation.indices) for operation in witnesses],
            "confirmed": status is Status.INVALID,
        }
        return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, details)

    def _second_opinion(self, some: Sequence[Call]) -> Status:
        """What a small search says of a few calls."""
        table = states_of(self.model, some, EXPLAIN_BYTES)
        return _search_again(
            table, some, EXPLAIN_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0
        ).status

    def _find_blocks(self, kept: Sequence[Call]) -> blocks.Finding | None:
        """What blocks say, where they apply; an order only if it is a linearization."""
        if self.model.family is not Family.REGISTER or self.engine is not Engine.SCHEDULE:
            return None
        try:
            finding = blocks.judge(kept, self.model.initial)
            if finding is None or finding.order is None:
                return finding
            return None if certificate.flaw(self.model, kept, finding.order) else finding
        except Misfit:
            return None

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
                frontier_max=FRONTIER_MAX,
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
            return judgement.with_verdict(*_validate(self.model, kept, outcome))
        if outcome.status is Status.INVALID:
            return self._invalid(judgement, table, kept, operations, outcome, every)
        why = _why_unknown(outcome, kept)
        judgement = judgement.with_verdict(Verdict.UNKNOWN, why)
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
        small = _shrink(table, kept, failing, self.model)
        again = _search_again(table, small, CONFIRM_CONFIGURATIONS, Engine.BREADTH)
        proof = (
            stale.prove(failing, every, operations, self.model.initial)
            if self.model.family is Family.REGISTER
            else None
        )
        if kept is every:
            holding = possible(table, small, again if again.frontier else outcome)
        else:  # A part says nothing of what else could be held.
            holding = self._possible_in(every, failing)
        anomaly = explain(judgement.key, self.model, small, failing, holding, proof)
        details = {
            "failing": list(failing.operation.indices),
            "states": list(holding),
            "confirmed": again.status is Status.INVALID,
            "longest_prefix": [
                index for i in outcome.order[-20:] for index in kept[i].operation.indices
            ],
            "linearized": len(outcome.order),
        }
        return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, details)

    def _possible_in(self, every: Sequence[Call], failing: Call) -> tuple[str, ...]:
        """What could be held just before a return, when a small search of all calls can tell."""
        whole = shrink.cut(every, failing, self.model.reads)
        table = states_of(self.model, whole, EXPLAIN_BYTES)
        outcome = _search_again(table, whole, EXPLAIN_CONFIGURATIONS, Engine.SCHEDULE)
        if outcome.failing is None or whole[outcome.failing].operation is not failing.operation:
            return ()
        return possible(table, whole, outcome)

    def _unless_unwritten(
        self, judgement: Judgement, kept: Sequence[Call], operations: Sequence[Operation]
    ) -> Judgement:
        """A read of what nobody wrote is invalid whatever a search would say."""
        if self.model.family is not Family.REGISTER:
            return judgement
        proof = stale.unwritten(kept, operations, self.model.initial)
        if proof is None:
            return judgement
        anomaly = explain(judgement.key, self.model, (), None, (), proof)
        return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly)


def _find(monitor: Monitor | None, kept: Sequence[Call], model: Model) -> Finding | None:
    """What a monitor says, where it applies; what is malformed is for the search to say."""
    try:
        return monitor.judge(kept, model) if monitor is not None else None
    except Misfit:
        return None


_OUT_OF_CONFIGURATIONS: Final = "budget: no more configurations"


def _unless_found(model: Model, judgement: Judgement, finding: blocks.Finding) -> Judgement:
    """Blocks proved it invalid: the search was asked only to explain it."""
    if judgement.verdict is Verdict.INVALID:
        return judgement
    if judgement.verdict is Verdict.VALID:
        why = "engines: blocks and search contradict each other"
        return judgement.with_verdict(Verdict.UNKNOWN, why)
    proof = stale.Proof(
        "nonlinearizable", finding.reason, tuple(call.operation for call in finding.conflict)
    )
    anomaly = explain(judgement.key, model, (), None, (), proof)
    return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, {"confirmed": False})


def _search_again(
    table: States,
    small: Sequence[Call],
    configurations: int,
    engine: Engine,
    frontier_max: int = FRONTIER_MAX,
) -> Outcome:
    try:
        return search(
            table.problem(small),
            configurations_max=configurations,
            bytes_max=EXPLAIN_BYTES,
            engine=engine,
            frontier_max=frontier_max,
        )
    except TooManyStates:
        return Outcome(Status.MEMORY, engine, (), None, (), 0, 0)


def _validate(model: Model, kept: Sequence[Call], outcome: Outcome) -> tuple[Verdict, str]:
    wrong = certificate.flaw(model, kept, outcome.order)
    if wrong is None:
        return Verdict.VALID, "an order explains every answer"
    return Verdict.UNKNOWN, f"certificate: the order that was found is not one: {wrong}"


def _shrink(table: States, kept: Sequence[Call], failing: Call, model: Model) -> tuple[Call, ...]:
    pure = {each for each in table.transitions if table.is_pure(each)}
    return shrink.without_needless_reads(
        shrink.cut(kept, failing, model.reads),
        lambda call: call is not failing and call.transition in pure,
        lambda some: (
            _search_again(
                table, some, SHRINK_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0
            ).status
            is Status.INVALID
        ),
    )


def _why_unknown(outcome: Outcome, kept: Sequence[Call]) -> str:
    reasons = {
        Status.CONFIGURATIONS: f"{_OUT_OF_CONFIGURATIONS} ({outcome.configurations} explored)",
        Status.MEMORY: f"budget: no more memory ({outcome.peak_bytes} bytes held)",
        Status.WIDE: "open operations: more at one time than the search can hold",
        Status.CAPPED: "crashed operations: more of one kind than the search counts",
    }
    why = reasons[outcome.status]
    if outcome.failing is None:
        return why
    index = kept[outcome.failing].operation.indices[-1]
    percent = 100 * len(outcome.order) // len(kept)
    return f"{why}; reached event {index}, {percent} % of the operations"
