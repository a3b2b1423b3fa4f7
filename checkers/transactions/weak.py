"""
Weak models in words: read committed, read atomic and causal consistency.

The engine gives a commit order or a cycle; `axioms.py` derives either once more from the events.
A step of the cycle that no two transactions make alone, `commit`, is explained with the third one
that demands it. A cycle by way of the initial values is shown without them, as an edge `rw`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from dissever.checkers.transactions.axioms import Axiom, refute_commit_order, refute_walk
from dissever.checkers.transactions.explanation import Explained, deeds, indices_of
from dissever.checkers.transactions.models import PROCESS
from dissever.checkers.transactions.narration import Narrator
from dissever.checkers.transactions.narration import Step as Told
from dissever.checkers.transactions.view import (
    VALIDATED_MAX,
    Transaction,
    external,
    is_small,
    key_value,
    owner,
    same,
    shown,
)
from dissever.harness import results
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Edge
from dissever.harness.values import count_text
from dissever.native.weak import (
    INITIAL,
    STEPS_MAX,
    Kind,
    Level,
    Outcome,
    Step,
    Verdict,
    judge_level,
)

NAMES: Final[Mapping[Level, str]] = {
    Level.READ_COMMITTED: "G-monotonic",
    Level.READ_ATOMIC: "fractured-read",
    Level.CAUSAL: "non-causal-read",
}
"""What a cycle is called that only this level, of those up to it, need not allow."""

AXIOMS: Final[Mapping[Level, Axiom]] = {
    Level.READ_COMMITTED: Axiom.READ_COMMITTED,
    Level.READ_ATOMIC: Axiom.READ_ATOMIC,
    Level.CAUSAL: Axiom.CAUSAL,
}

SET_BITS_MAX: Final = 2_000_000_000
"""For causal consistency, the square of the number of transactions."""

CONFIRMED: Final = "the axioms were tried on the recorded events once more"
ALONE: Final = "single-engine: the history is too large to try the axioms on all of it once more"


@dataclass(frozen=True, slots=True)
class Weak:
    """
    What one weak level says of a history.

    `found` is a cycle in words, None without one; its anomaly has a confirmation unless the axioms
    refuted it. `why` says why nothing is proved, and is None where the level holds; then
    `certificate` says what it rests on.
    """

    outcome: Outcome
    found: Explained | None
    why: str | None
    certificate: str = ""


def judged(
    history: History,
    level: Level,
    *,
    sessions: bool = True,
    rules: str = "append",
    steps_max: int = STEPS_MAX,
) -> Weak:
    """
    Judge a history by a weak level.

    Args:
        sessions: Whether what one process did stays in order. Causal consistency needs it.
        rules: `append` or `wr`.
        steps_max: See `judge_level`.

    Raises:
        ValueError, MemoryError: As `judge_level`.
    """
    micro = history.micro
    outcome = judge_level(micro, level, sessions=sessions, steps_max=steps_max)
    is_whole = is_small(micro, VALIDATED_MAX)
    if level is Level.CAUSAL:
        is_whole = is_whole and outcome.transactions**2 <= SET_BITS_MAX
    axiom = AXIOMS[level]
    if outcome.walk:
        found = explained(Narrator(history, micro), outcome)
        flaw = (
            refute_walk(history, found.anomaly.cycle, axiom=axiom, sessions=sessions, rules=rules)
            if is_whole
            else None
        )
        confirmation = "" if flaw is not None else CONFIRMED if is_whole else ALONE
        found = replace(found, anomaly=structs.replace(found.anomaly, confirmation=confirmation))
        contradiction = f"contradiction: the engine found {found.name}, but {flaw}"
        return Weak(outcome, found, found.anomaly.summary if flaw is None else contradiction)
    if outcome.verdict is not Verdict.VALID:
        return Weak(outcome, None, _unproved(outcome))
    flaw = None
    if is_whole:
        order = [micro.columns.inv[position] for position in outcome.order]
        flaw = refute_commit_order(history, order, axiom=axiom, sessions=sessions, rules=rules)
    if flaw is not None:
        return Weak(outcome, None, f"contradiction: the commit order of the engine: {flaw}")
    count = count_text(len(outcome.order), "transaction")
    how = CONFIRMED if is_whole else ALONE
    return Weak(outcome, None, None, f"a commit order of {count} proves {axiom.value}: {how}")


def _unproved(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.AMBIGUOUS:
        keys = count_text(outcome.ambiguous, "key")
        return f"ambiguous-values: a value was written twice to {keys}"
    if outcome.verdict is Verdict.BUDGET:
        return "budget: transactions times sessions are too many to decide causal consistency"
    reads = count_text(outcome.errors_n, "read")
    names = sorted({each.wrong.name.lower().replace("_", "-") for each in outcome.errors})
    return f"{reads} fit no order ({', '.join(names)})"


def explained(narrator: Narrator, outcome: Outcome) -> Explained:
    """The cycle of an outcome that has one, with a sentence for each of its edges."""
    steps = _without_initial(narrator, outcome.walk)
    readers = [_reader(narrator, step) for step in steps]
    whys = [why for step in steps for why in step.why]
    positions = [step.source for step in steps]
    witnesses = [reader for reader in readers if reader is not None]
    witnesses += [end for why in whys for end in (why.source, why.target)]
    named = narrator.transactions(sorted({*positions, *witnesses}))
    cycle = tuple(_edge(narrator, step, named) for step in steps)
    sentences = tuple(
        results.Step(
            f"{named[step.source].label} → {named[step.target].label} ({edge.kind}): {edge.text}",
            tuple(sorted({edge.source, edge.target, *(index for index, _ in edge.cited)})),
        )
        for step, edge in zip(steps, cycle, strict=True)
    )
    last = results.Step(f"so {named[steps[0].source].label} comes before itself")
    anomaly = Anomaly(
        name=_name(outcome, steps),
        summary=_summary(outcome.level, steps, named, narrator),
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named), *sentences, last),
        cycle=cycle,
    )
    keys = frozenset(each.key for each in (*steps, *whys) if each.kind is not Kind.SESSION)
    return Explained(anomaly, tuple(dict.fromkeys(positions)), tuple(witnesses), keys)


def _name(outcome: Outcome, steps: Sequence[Step]) -> str:
    """Cycles of ww and wr alone have the names of Adya."""
    kinds = {each.kind for step in steps for each in (step, *step.why)}
    bare = NAMES[outcome.level]
    if Kind.COMMIT not in kinds:
        bare = "G1c" if Kind.WR in kinds else "G0"
    return bare + (PROCESS if Kind.SESSION in kinds else "")


def _without_initial(narrator: Narrator, walk: Sequence[Step]) -> tuple[Step, ...]:
    """
    A walk t2 → initial → t2 as the steps that make t2 visible to the reader, and the step from the
    reader, which saw nothing yet, to t2.
    """
    first = next((each for each in walk if each.target == INITIAL), None)
    if first is None:
        return tuple(walk)
    reader = owner(narrator.micro, first.at)
    back = Step(reader, first.source, Kind.COMMIT, first.key, first.at)
    return (*first.why, back)


def _is_initial(step: Step) -> bool:
    return step.kind is Kind.COMMIT and not step.why


def _reader(narrator: Narrator, step: Step) -> int | None:
    """The third transaction of a commit step."""
    return owner(narrator.micro, step.at) if step.kind is Kind.COMMIT else None


def _edge(narrator: Narrator, step: Step, named: Mapping[int, Transaction]) -> Edge:
    source, target = named[step.source], named[step.target]
    if step.kind is not Kind.COMMIT:
        return narrator.edge(_told(step), named)[0]
    read, cited = _read(narrator, step.at, named)
    key = key_value(narrator.micro, step.key)
    wrote = source if not _is_initial(step) else target
    over = [each.cited for each in wrote.writes(key)[-1:]]
    if _is_initial(step):
        text = f"{read}, and did not see what {target.label} wrote to it"
    else:
        whys = [_why(narrator, why, named) for why in step.why]
        over += [place for _, places in whys for place in places]
        seen = "; ".join(text for text, _ in whys)
        text = (
            f"{read}, although {source.label}, which also wrote to key {shown(key)}, was visible "
            f"to it: {seen}; so {source.label} comes before {target.label}"
        )
    return Edge(
        source=source.operation.invocation.index,
        target=target.operation.invocation.index,
        kind="rw" if _is_initial(step) else step.kind.name.lower(),
        key=key,
        text=text,
        cited=(cited, *over),
    )


def _told(step: Step) -> Told:
    """A step that two transactions make alone, in the form of other cycles."""
    return Told(step.source, step.target, step.kind.name.lower(), step.key)


def _why(
    narrator: Narrator, step: Step, named: Mapping[int, Transaction]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Why a transaction is visible to the next, and the micro-operations that show it."""
    if step.kind is Kind.SESSION:
        edge, _ = narrator.edge(_told(step), named)
        return edge.text, edge.cited
    text, cited = _read(narrator, step.at, named)
    return text, (cited,)


def _read(
    narrator: Narrator, at: int, named: Mapping[int, Transaction]
) -> tuple[str, tuple[int, int]]:
    """A read in words with whose write it shows, and its place."""
    position = owner(narrator.micro, at)
    place = at - narrator.micro.first[position]
    reader, read = named[position], named[position].micro[place]
    begin = f"{reader.label} read key {shown(read.key)} as"
    found = external(reader, place) if isinstance(read.value, list) else [read.value]
    if not found or found[-1] is None:
        return f"{begin} {shown(read.value)}, as it was at first", read.cited
    writer = next(
        (
            each.label
            for each in named.values()
            if any(same(write.value, found[-1]) for write in each.writes(read.key))
        ),
        "another transaction",
    )
    if isinstance(read.value, list):
        with_last = f"with {shown(found[-1])}, which {writer} appended"
        return f"{begin} {shown(read.value, found[-1:])}, {with_last}", read.cited
    return f"{begin} {shown(read.value)}, which {writer} wrote", read.cited


def _summary(
    level: Level, steps: Sequence[Step], named: Mapping[int, Transaction], narrator: Narrator
) -> str:
    """One sentence for a newcomer."""
    step = next((each for each in steps if each.kind is Kind.COMMIT), None)
    labels = ", ".join(named[each.source].label for each in steps)
    if step is None:
        return f"{labels} each come after another of them, so none of them can have been first"
    if len(steps) > 2 and not _is_initial(step):
        return f"{labels} must each be committed before the next one, so no order explains them"
    reader = named[owner(narrator.micro, step.at)].label
    seen = named[step.target if _is_initial(step) else step.source].label
    key = shown(key_value(narrator.micro, step.key))
    how = {
        Level.READ_COMMITTED: f"{reader} had read from {seen}, and then read an older value of key"
        f" {key} than {seen} wrote (a read that goes back)",
        Level.READ_ATOMIC: f"{reader} saw a part of {seen} and an older value of key {key} than"
        f" {seen} wrote (a fractured read)",
        Level.CAUSAL: f"{reader} saw something that came after {seen}, and an older value of key"
        f" {key} than {seen} wrote (a read that is not causal)",
    }[level]
    if level is not Level.READ_COMMITTED and [why.kind for why in step.why or steps[:-1]] == [
        Kind.SESSION
    ]:
        how = f"{reader} came after {seen} in its process, and read an older value of key {key}"
        return f"{how} than {seen} wrote (its process went back)"
    return how
