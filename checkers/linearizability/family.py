"""
What engines know of one kind of object, one record for each family of models, and what they find.

A model names its record, and engines ask the record. A model without knowledge is judged all the
same: the search decides it. Where a function takes a model, its type is Any: models name families.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from dissever.checkers.linearizability.calls import Call
    from dissever.harness.history import Operation
    from dissever.harness.results import Budget
    from dissever.native.columns import Columns
    from dissever.native.registers import KeyOutcomes

JudgeKeys: TypeAlias = "Callable[[Columns, Any, Budget, int | None], KeyOutcomes]"
"""Judges every key in one call of C. The last argument limits threads; None: one a core."""

JudgeCalls: TypeAlias = "Callable[[Sequence[Call], Any], Finding | None]"
"""Decides the calls of one object; None where it does not apply."""

HasOrder: TypeAlias = "Callable[[Columns, Sequence[int], Any], bool]"
"""Whether the operations at some positions of columns, all of one object, surely have an order."""

Answers: TypeAlias = Callable[[str, Hashable, Hashable], bool]
"""Does one operation (f, the value in, the value out) and says whether its answer is right."""

Replayer: TypeAlias = "Callable[[Any, set[Hashable]], Answers]"
"""A new object, given the values that acknowledged operations without a value answered."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Valid with an order (positions in the calls); or invalid without one, and why.

    `name` is that of the anomaly, `rule` the broken rule by its name in the literature, `conflict`
    the calls that break it: the last is the one that cannot be. `part` holds calls that are invalid
    alone, small enough to search; answers of reads may be cut to the elements that matter.
    `strange` holds the value, if any, that was answered and that no call had asked for by then.
    """

    order: tuple[int, ...] | None
    name: str = ""
    rule: str = ""
    reason: str = ""
    conflict: tuple[Call, ...] = ()
    part: tuple[Call, ...] = ()
    strange: tuple[Hashable, ...] = ()


class Invalid(Exception):
    """No linearization exists."""

    def __init__(
        self,
        name: str,
        rule: str,
        reason: str,
        conflict: Sequence[Call],
        part: Sequence[Call] = (),
        strange: Sequence[Hashable] = (),
    ) -> None:
        super().__init__(reason)
        inside = {call.inv: call for call in (*conflict, *part)}
        every = tuple(inside[inv] for inv in sorted(inside))
        self.finding = Finding(None, name, rule, reason, tuple(conflict), every, tuple(strange))


@dataclass(frozen=True, slots=True)
class Monitor:
    """A way to judge one object in polynomial time; `because` says when it applies."""

    name: str
    judge: JudgeCalls
    because: str


@dataclass(frozen=True, slots=True)
class Parts:
    """
    When a few operations prove something of the whole history: rules for the validator.

    `needs` gives the values that a named operation depends on, and `helps` those with which an
    operation that was left out could explain one. Where `cuts_answers`, answers of named reads hold
    only the elements that the named operations handle. Where `takes_any`, a crashed operation may
    have taken any value that no other operation took. `proves` is a proof of another kind, from
    all calls and the named ones.
    """

    needs: Callable[[Call], Iterable[Hashable]]
    helps: Callable[[Call], Iterable[Hashable]]
    cuts_answers: bool = False
    takes_any: bool = False
    proves: Callable[[Any, Sequence[Call], Sequence[Call]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """
    The name of an anomaly, and the operations that prove it; the last one cannot be.

    `against` is the one of them that contradicts it; None where no single one does.
    """

    name: str
    reason: str
    operations: tuple[Operation, ...]
    against: Operation | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """
    Better names for what cannot be, each with a small proof.

    `prove` takes the call that cannot be, all calls, all operations and the initial state.
    `unwritten` finds a call that no search is needed for. `connected` gives those calls that some
    calls depend on, directly or not: they are invalid alone if the whole is.
    """

    prove: Callable[[Call, Sequence[Call], Sequence[Operation], Hashable], Proof | None]
    unwritten: Callable[[Sequence[Call], Sequence[Operation], Hashable], Proof | None]
    connected: Callable[[Sequence[Call], Sequence[Operation]], Sequence[Call]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    What is known of one kind of object; None where nothing is.

    `judge_keys` decides all keys in C. Else `has_order` looks at the columns of one key, then
    `monitor` at its calls. `replayer` makes an object that changes in place, where a step of the
    model would copy its state. `cells_max` limits the table of states (`states`).
    """

    judge_keys: JudgeKeys | None = None
    has_order: HasOrder | None = None
    monitor: Monitor | None = None
    replayer: Replayer | None = None
    parts: Parts | None = None
    naming: Naming | None = None
    cells_max: int | None = None


OTHER: Final = Family()
"""Nothing is known: the search decides."""
