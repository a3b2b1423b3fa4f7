"""
How a table tells anomalies of transactions: each cause in one row, and the words it uses.

Many wrong answers can have one cause, such as one append that was lost. The checker tells causes,
and of each how many reads show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dissever.harness.episodes import Episodes
from dissever.harness.history import Operation, Type
from dissever.harness.results import Anomaly, Result
from dissever.harness.values import count_text, show
from dissever.reports.around import brief
from dissever.reports.cycle import MEANINGS
from dissever.reports.labels import time_text
from dissever.reports.meaning import meaning_of_name

CHECKER: Final = "transactions"
DISAGREEMENT: Final = "incompatible-order"
KEPT_MAX: Final = 64
"""Of the wrong reads of one name, the checker groups as many; it counts the others."""

COLUMNS: Final = (
    "What", "Key", "Appended by", "First wrong read", "Wrong reads", "Fault in force"
)  # fmt: skip


def is_disagreement(checker: str, anomaly: Anomaly) -> bool:
    """Whether lists that differ are told by the element that decides."""
    return checker == CHECKER and anomaly.name == DISAGREEMENT and bool(anomaly.wrong)


def disagreement_cells(
    anomaly: Anomaly, by_index: Mapping[int, Operation], faults: Episodes
) -> tuple[str, ...]:
    """The cells of one cause, in the order of COLUMNS."""
    wrong = anomaly.wrong[0]
    adder = None if wrong.against is None else by_index.get(wrong.against)
    reader = by_index.get(wrong.answer)
    named = [each for each in (adder, reader) if each is not None]
    start_ns = min((each.invocation.time for each in named), default=0)
    end_ns = max(((each.completion or each.invocation).time for each in named), default=0)
    return (
        wrong.value,
        "" if anomaly.key is None else show(anomaly.key),
        _adder(adder),
        "" if reader is None else f"{_who(reader)} at {time_text(reader.invocation.time)}",
        f"{anomaly.wrong_count:,}",
        brief(faults, start_ns, end_ns) if named else "",
    )


def _adder(adder: Operation | None) -> str:
    if adder is None:
        return ""
    end = adder.completion
    if end is None or end.type is Type.INFO:
        return f"{_who(adder)}, never acknowledged"
    if end.type is Type.FAIL:
        return f"{_who(adder)}, failed at {time_text(end.time)}"
    return f"{_who(adder)}, acknowledged at {time_text(end.time)}"


def _who(operation: Operation) -> str:
    node = operation.invocation.node
    return f"process {operation.process}" + (f" on {node}" if node else "")


def disagreement_title(some: Sequence[Anomaly], result: Result) -> str:
    """How many causes there are, as far as the checker looked."""
    count, is_all = _causes(some, result)
    are_missing = all(each.wrong[0].value.endswith("is missing") for each in some)
    if are_missing:
        what = "was read in a list and is" if count == 1 else "were read in lists and are"
        noun, end = count_text(count, "element"), f"{what} missing from other reads"
    else:
        noun, end = count_text(count, "place"), "where reads disagree on the order of a list"
    return f"{'' if is_all else 'At least '}{noun} {end}"


def _causes(some: Sequence[Anomaly], result: Result) -> tuple[int, bool]:
    causes = result.details.get("causes")
    count = causes.get(DISAGREEMENT) if isinstance(causes, dict) else None
    reads = _reads(result)
    return (count if isinstance(count, int) else len(some)), reads <= KEPT_MAX


def _reads(result: Result) -> int:
    counts = result.details.get("counts")
    reads = counts.get(DISAGREEMENT, 0) if isinstance(counts, dict) else 0
    return reads if isinstance(reads, int) else 0


def disagreement_note(some: Sequence[Anomaly], result: Result) -> str:
    """What the numbers count."""
    count, is_all = _causes(some, result)
    reads = _reads(result)
    told = f"{count_text(reads, 'read')} contradict"
    told += "s the longest list of its key." if reads == 1 else " the longest list of their key."
    looked = "" if is_all else f" The first {KEPT_MAX} were looked at for their causes."
    left = f" {len(some)} of {count} causes are told." if count > len(some) else ""
    return f"{told}{looked}{left}" if reads else ""


def counted(some: Sequence[Anomaly], result: Result) -> int:
    """How many anomalies of a name the checker counts; of cycles those that are told."""
    counts = result.details.get("counts")
    count = counts.get(some[0].name) if isinstance(counts, dict) else None
    shown = sum(max(1, each.wrong_count) for each in some)
    return max(shown, count) if isinstance(count, int) and not some[0].cycle else shown


def causes_note(some: Sequence[Anomaly], result: Result) -> str:
    """How many of what was counted the rows tell, if they are not all."""
    count, shown = counted(some, result), sum(max(1, each.wrong_count) for each in some)
    if count == len(some):
        return ""
    causes = count_text(len(some), "cause")
    if count == shown:
        return f"They have {causes}."
    each = "accounts" if len(some) == 1 else "account"
    return f"The page tells {causes}, which {each} for {shown:,} of these {count:,}."


_MISSED: Final = "one missed a write that came before it"
_SHOWN_BY: Final[Mapping[str, str]] = {
    "G0": "they wrote over each other in a circle",
    "G1c": "they saw each other's writes in a circle",
    "G-single": _MISSED,
    "G-single-process": _MISSED,
    "G-single-realtime": _MISSED,
    "G-nonadjacent": "they saw states that do not fit together",
    "write-skew": "each missed what the other one changed",
}


def shown_by(name: str) -> str:
    """What the transactions of a cycle show, in a few words."""
    return _SHOWN_BY.get(name, "no order of them gives these answers")


def again_note(some: Sequence[Anomaly], told: Sequence[Anomaly]) -> str:
    """How many of a kind are about transactions that stood in a table before."""
    before = {frozenset(each.indices) for each in told if each.name != some[0].name}
    again = sum(frozenset(each.indices) in before for each in some)
    if not again:
        return ""
    which = "It joins" if again == len(some) == 1 else f"{again:,} of {len(some):,} join"
    return f"{which} the same transactions as an anomaly above: one cause, seen in two ways."


def words_of(anomalies: Sequence[Anomaly]) -> tuple[tuple[str, str], ...]:
    """The words of the literature that a table uses, each with what it means."""
    name = anomalies[0].name
    kinds = dict.fromkeys(edge.kind for each in anomalies for edge in each.cycle)
    told: list[tuple[str, Any]] = [(name, meaning_of_name(name))]
    if not anomalies[0].cycle and not name.startswith("G"):
        return ()  # Its name is plain English.
    told += [(kind, f"{MEANINGS[kind]}.") for kind in kinds if kind in MEANINGS]
    return tuple((word, text) for word, text in told if text)
