"""How long a run took to start, in the head of its page and below the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dissever.harness.plan import Start, Waited
from dissever.reports import Insight, render_html
from dissever.reports.start_view import LONG_NS, start_view

S = 10**9
HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J"


def test_longest_wait_stands_first_and_short_ones_are_left_out() -> None:
    start = Start(3_200_000_000, (Waited("a", 1), Waited("b", S), Waited("c", 2 * S)))
    view = start_view(start)

    assert view is not None
    assert (view.took, view.waits, view.sentence) == ("3.20 s", "2.00 s c, 1.00 s b", "")


def test_long_start_is_told_in_a_sentence() -> None:
    long = start_view(Start(LONG_NS, (Waited("waiting for a leader", 9 * S),)))
    short = start_view(Start(LONG_NS - 1))

    assert long is not None
    assert short is not None
    assert "after 10.0 s, of which 9.00 s waiting for a leader." in long.sentence
    assert short.sentence == ""


def test_start_that_nobody_measured_is_not_shown(invalid_run: Any) -> None:
    page = render_html(invalid_run.subject, invalid_run.history, invalid_run.results)

    assert start_view(None) is None
    assert "<dt>Ready after</dt>" not in page


def test_page_says_when_the_run_was_ready_and_hostile_words_are_text(invalid_run: Any) -> None:
    insight = replace(Insight(), start=Start(25 * S, (Waited(HOSTILE, 20 * S),)))
    page = render_html(
        invalid_run.subject, invalid_run.history, invalid_run.results, insight=insight
    )

    assert "<dt>Ready after</dt><dd>25.0 s" in page
    assert "The start was long" in page
    assert "<img src=x" not in page
    assert "\x1b" not in page
