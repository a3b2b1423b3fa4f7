"""
What clients got before a fault, while it was in force, and after it had healed.

The three windows of a fault have one length, that for which it was in force. They do not reach
over the time in which clients were asked to work: from the first invocation to the end of the run,
where the harness asks whether the system has come back. So the first or the last may be shorter.

An operation belongs to one of the three at most. It is *before* if it had completed when the fault
began, *during* if it was pending at some time in between, and *after* if it was invoked after the
healing. So an operation that a fault may have delayed never counts in the window before it. An
operation that never completed counts where it was invoked.

Source: jepsen-io/jepsen#594 asks for latencies under faults, palantir/atlasdb#1359 for the time to
recover after each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dissever.harness.episodes import Episode, Episodes
from dissever.harness.latency import Span, Successes
from dissever.harness.ranks import Ranks
from dissever.native.columns import OK, Columns

NS_PER_US: Final = 1_000
NS_PER_S: Final = 1_000_000_000
BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Window:
    """
    What clients got in a stretch of time.

    `asked` counts its operations, and `ok` those that were ok. `answers` are the ok completions in
    it, whenever they were invoked. Latencies are of the ok operations, to the µs; None without any.
    `others` is how many other faults were in force at some time in it.
    """

    start_ns: int
    end_ns: int
    asked: int
    ok: int
    answers: int
    p50_ns: int | None
    p99_ns: int | None
    others: int

    @property
    def share(self) -> float | None:
        """How many of the operations were ok, from 0 to 1; None without operations."""
        return self.ok / self.asked if self.asked else None

    @property
    def per_s(self) -> float | None:
        """How many ok completions there were a second; None in no time."""
        lasted_ns = self.end_ns - self.start_ns
        return self.answers * NS_PER_S / lasted_ns if lasted_ns > 0 else None


@dataclass(frozen=True, slots=True)
class Around:
    """
    The windows of one fault; each is None where there is no time for it.

    `first_ok_ns` is from the injection to the first ok of an operation invoked after it, and
    `recovered_ns` from the healing; None without any. `silence_ns` is the longest time without an
    ok that began or went on while the fault was in force; it lasts to the next ok, or to the end.
    None where the fault was not in force while clients worked.
    """

    before: Window | None = None
    during: Window | None = None
    after: Window | None = None
    first_ok_ns: int | None = None
    recovered_ns: int | None = None
    silence_ns: int | None = None


def arounds(columns: Columns, found: Episodes, *, end_ns: int) -> dict[int, Around]:
    """
    The windows of every strike, by the index of its injection.

    Args:
        columns: Of all client operations; times must order them.
        end_ns: When the run ended.
    """
    if not len(columns) or not found.strikes:
        return {}
    answers = _Answers(columns)
    worked = answers.asked_ns[0], min([end_ns, *(step.start_ns for step in found.end_of_run)])
    spans = [_clipped((each.start_ns, each.end_ns), worked) for each in found.strikes]
    pending = answers.pending(start for start, _ in spans)
    return {
        each.injection.invocation.index: _around(
            each, span, worked, answers, pending[span[0]], found.strikes
        )
        for each, span in zip(found.strikes, spans, strict=True)
    }


class _Answers:
    """The operations by invocation, and those that were ok."""

    def __init__(self, columns: Columns) -> None:
        asked_ns, kinds = columns.inv_time.tolist(), bytes(columns.type)
        answered_ns = columns.ret_time.tolist()
        if any(before > after for before, after in pairwise(asked_ns)):
            order = sorted(range(len(asked_ns)), key=asked_ns.__getitem__)
            asked_ns = [asked_ns[at] for at in order]
            answered_ns = [answered_ns[at] for at in order]
            kinds = bytes(kinds[at] for at in order)
        self.asked_ns: list[int] = asked_ns
        self._answered_ns: list[int] = answered_ns
        self._kinds = kinds
        self.ok = Successes(
            (asked, answered)
            for asked, answered, kind in zip(asked_ns, answered_ns, kinds, strict=True)
            if kind == OK
        )
        # Small integers compare fast.
        self._ranks = Ranks(
            [(answered - asked) // NS_PER_US for asked, answered in self.ok.spans()]
        )
        self._gaps = [after - before for before, after in pairwise(self.ok.ends_ns)]
        self._greatest = [
            max(self._gaps[at : at + BLOCK]) for at in range(0, len(self._gaps), BLOCK)
        ]

    def pending(self, moments: Iterable[int]) -> dict[int, list[int]]:
        """Moment -> the positions of the operations that were pending then."""
        ordered = sorted(set(moments))
        found: dict[int, list[int]] = {moment: [] for moment in ordered}
        ordered.append(max(self._answered_ns) + 1)
        at = 0
        next_ns = ordered[0]
        for place, (asked, answered) in enumerate(
            zip(self.asked_ns, self._answered_ns, strict=True)
        ):
            while next_ns <= asked and at + 1 < len(ordered):
                at += 1
                next_ns = ordered[at]
            if answered > next_ns:
                until = bisect_left(ordered, answered)
                for moment in ordered[at:until]:
                    found[moment].append(place)
        return found

    def window(
        self, span: Span, *, more: Sequence[int] = (), without: Sequence[int] = (), others: int
    ) -> Window | None:
        """
        The operations that were invoked in a stretch of time, its end excluded.

        Args:
            more: Positions of earlier operations that belong to it.
            without: Positions of operations in it that do not.
        """
        start, end = span
        if end <= start:
            return None
        first, last = (bisect_left(self.asked_ns, each) for each in span)
        without = [at for at in without if first <= at < last]
        ok_more, ok_without = self._took_us(more), self._took_us(without)
        kinds = self._kinds[first:last]
        ok = kinds.count(OK) + len(ok_more) - len(ok_without)
        p50_ns, p99_ns = None, None
        if ok:
            ok_first, ok_last = (bisect_left(self.ok.starts_ns, each) for each in span)
            p50_ns, p99_ns = (
                value * NS_PER_US
                for value in self._ranks.smallest(
                    [-(-ok * percent // 100) for percent in (50, 99)],
                    ok_first,
                    ok_last,
                    more=ok_more,
                    without=ok_without,
                )
            )
        return Window(
            *span,
            asked=len(kinds) + len(more) - len(without),
            ok=ok,
            answers=bisect_right(self.ok.ends_ns, end) - bisect_right(self.ok.ends_ns, start),
            p50_ns=p50_ns,
            p99_ns=p99_ns,
            others=others,
        )

    def _took_us(self, positions: Iterable[int]) -> list[int]:
        return [
            (self._answered_ns[at] - self.asked_ns[at]) // NS_PER_US
            for at in positions
            if self._kinds[at] == OK
        ]

    def silence_ns(self, span: Span, until_ns: int) -> int:
        """The longest time without an ok from the start of a span to the first ok after its end."""
        ends, (start, end) = self.ok.ends_ns, span
        count = bisect_right(ends, until_ns)
        first, last = (min(count, at) for at in (bisect_right(ends, start), bisect_left(ends, end)))
        if first == count:
            return until_ns - start
        closing_ns = until_ns - ends[count - 1] if last == count else 0
        within_ns = self._gap_ns(first, min(last, count - 1))
        return max(ends[first] - start, within_ns, closing_ns)

    def _gap_ns(self, first: int, last: int) -> int:
        """The longest of the gaps between two of the ok answers, which are positions."""
        start, end = -(-first // BLOCK), last // BLOCK
        if start >= end:
            return max(self._gaps[first:last], default=0)
        parts = (
            self._gaps[first : start * BLOCK],
            self._greatest[start:end],
            self._gaps[end * BLOCK : last],
        )
        return max(max(part, default=0) for part in parts)


def _around(
    episode: Episode,
    span: Span,
    worked: Span,
    answers: _Answers,
    at_start: Sequence[int],
    every: Sequence[Episode],
) -> Around:
    start, end = span
    length = end - start
    is_healed = episode.healing is not None
    first_ok_ns = answers.ok.first_after_ns(episode.start_ns)
    recovered_ns = answers.ok.first_after_ns(episode.end_ns) if is_healed else None
    if length <= 0:
        return Around(first_ok_ns=first_ok_ns, recovered_ns=recovered_ns)
    before = _clipped((start - length, start), worked)
    after = _clipped((end, end + length), worked)
    return Around(
        before=answers.window(before, without=at_start, others=_others(episode, before, every)),
        during=answers.window(span, more=at_start, others=_others(episode, span, every)),
        after=(answers.window(after, others=_others(episode, after, every)) if is_healed else None),
        first_ok_ns=first_ok_ns,
        recovered_ns=recovered_ns,
        silence_ns=answers.silence_ns(span, worked[1]),
    )


def _clipped(span: Span, worked: Span) -> Span:
    return max(span[0], worked[0]), min(span[1], worked[1])


def _others(episode: Episode, span: Span, every: Sequence[Episode]) -> int:
    """How many other faults were in force at some time in between."""
    start, end = span
    return sum(
        each is not episode and each.start_ns < end and each.end_ns > start for each in every
    )
