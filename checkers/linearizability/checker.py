"""
Linearizability: every operation takes effect at one instant between its question and its answer.

Linearizability is local (Herlihy and Wing 1990), so each key is judged alone: one that is past the
budget leaves the others decided. All histories take one way, from their columns: C judges every key
of a family that it knows whole; other objects are judged one by one, in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.linearizability.judgement import Judgement, result
from dissever.checkers.linearizability.key_outcomes import OutcomeJudge
from dissever.checkers.linearizability.keys import Keys
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.objects import ObjectJudge
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine
from dissever.native.columns import OK

NIL: Final = 0
"""The id of None among the values of columns."""


@dataclass(frozen=True, slots=True)
class Linearizable:
    """
    The checker: each key is an object that behaves like `model`.

    `engine` is for tests: another than the schedule searches alone, whatever the family knows.
    `threads` is how many C may use at most; None means one a core. No result depends on it.
    """

    model: Model
    name: str = "linearizable"
    engine: Engine = Engine.SCHEDULE
    threads: int | None = None

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge each key; no key gets more than the budget, nor do all together."""
        try:
            keys = Keys(_without_silent_reads(history.interned, self.model))
        except (MalformedHistory, OverflowError) as error:
            large = "a process, an index or a time is too large: "
            why = f"malformed: {large if isinstance(error, OverflowError) else ''}{error}"
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why)
        judged = self._checked(keys, self._judge_keys(keys, budget))
        return result(self.name, judged, noun=self.model.noun)

    def _judge_keys(self, keys: Keys, budget: Budget) -> list[Judgement]:
        judge_keys = self.model.family.judge_keys
        if judge_keys is None or self.engine is not Engine.SCHEDULE:
            return self._judge_each(keys, budget)
        outcomes = judge_keys(keys.columns, self.model, budget, self.threads)
        judge = OutcomeJudge(self.model, keys, budget)
        return [judge.judge(key, outcomes[key]) for key in keys.lengths]

    def _checked(self, keys: Keys, judged: Sequence[Judgement]) -> list[Judgement]:
        """The same, where keys do not count as checked that no answer says anything of."""
        asserting = keys.asserting(self.model.writes)
        return [
            each if key in asserting or each.verdict is not Verdict.VALID else each.unchecked()
            for key, each in zip(keys.lengths, judged, strict=True)
        ]

    def _judge_each(self, keys: Keys, budget: Budget) -> list[Judgement]:
        """An equal share for each key, then what is left for those that ran out of it."""
        share = max(1, budget.configurations // max(1, len(keys.lengths)))
        left = budget.configurations
        judged: dict[int, Judgement] = {}
        waiting = iter(keys.lengths)
        for key in waiting:
            judged[key] = self._judge(key, keys, Budget(share, budget.memory_bytes))
            left -= judged[key].configurations
            if judged[key].is_interrupted:
                rest = [_stopped(each, keys, "before it was judged") for each in waiting]
                return [*judged.values(), *rest]
        for key in [key for key, each in judged.items() if each.is_exhausted]:
            if left > share:
                judged[key] = self._judge(key, keys, Budget(left, budget.memory_bytes))
                if judged[key].is_interrupted:
                    break
                left -= judged[key].configurations
        return list(judged.values())

    def _judge(self, key: int, keys: Keys, budget: Budget) -> Judgement:
        """From columns where that is enough. Ctrl-C leaves the keys before it judged."""
        family, name = self.model.family, keys.name(key)
        try:
            if (
                self.engine is Engine.SCHEDULE
                and family.monitor is not None
                and family.has_order is not None
                and family.has_order(keys.columns, keys.rows[key], self.model)
            ):
                engine, because = family.monitor.name, family.monitor.because
                judgement = Judgement(name, keys.lengths[key], engine=engine, because=because)
                return judgement.certified(None)
            operations = keys.operations(key, in_detail=True)
            return ObjectJudge(self.model, name, operations, budget, self.engine).judge()
        except KeyboardInterrupt:
            return _stopped(key, keys, "while it was judged")


def _without_silent_reads(history: History, model: Model) -> History:
    """The history without reads that answer nil, where nil says nothing."""
    if not model.ignores_nil:
        return history
    columns = history.columns
    reads = {number for number, f in enumerate(columns.fs) if f in model.reads}
    rows = zip(columns.type, columns.f, columns.value_out, strict=True)
    silent = [kind == OK and f in reads and value == NIL for kind, f, value in rows]
    return history.chosen([i for i, is_silent in enumerate(silent) if not is_silent])


def _stopped(key: int, keys: Keys, when: str) -> Judgement:
    why = f"interrupted: stopped {when}"
    return Judgement(keys.name(key), 0, why=why, is_interrupted=True)
