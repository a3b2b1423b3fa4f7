"""The page as text: it stands alone, is safe, and keeps its size."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Result, Step, Verdict, merge
from dissever.reports import Subject, render_html
from tests.reports.unpacked import data_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028 & \"'"
HALF_A_PAIR = "\ud800"


class Elements(HTMLParser):
    """Counts elements, and collects what could ask for something from outside."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "data") and not (value or "").startswith("#"):
                self.outside.append(value or "")


@pytest.mark.parametrize("name", ["invalid_run", "valid_run", "unknown_run", "empty_run"])
def test_page_names_its_verdict_and_asks_for_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    page = render_html(run.subject, run.history, run.results)

    assert f'<span class="word">{run.results.verdict.word}</span>' in page
    assert run.subject.command in page
    assert Elements(page).outside == ["data:,"]


def test_same_run_gives_the_same_page(invalid_run: Any) -> None:
    pages = {
        render_html(invalid_run.subject, invalid_run.history, invalid_run.results) for _ in range(2)
    }

    assert len(pages) == 1


def test_policy_allows_our_script_alone(valid_run: Any) -> None:
    page = render_html(valid_run.subject, valid_run.history, valid_run.results)
    match = re.search(r"<script>(.*?)</script>", page, re.DOTALL)

    assert match is not None
    digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_no_value_becomes_markup(run_of: Callable[..., Any]) -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, HOSTILE, HOSTILE, key=HOSTILE, node=HOSTILE),
        Event(1, 9, 0, Type.INFO, HOSTILE, HOSTILE, key=HOSTILE, node=HOSTILE, error=HOSTILE),
        Event(2, 10, HOSTILE, Type.INVOKE, "start-" + HOSTILE),
        Event(3, 11, HOSTILE, Type.INFO, "start-" + HOSTILE,
              {"targets": [HOSTILE], "evidence": {"held": True, HOSTILE: {HOSTILE: [HOSTILE]}}}),
        Event(4, 12, HOSTILE, Type.INFO, "kill", {"targets": [HOSTILE]}),
    ]  # fmt: skip
    anomaly = Anomaly(
        name=HOSTILE, summary=HOSTILE, indices=(0, 1), key=HOSTILE, steps=(Step(HOSTILE, (0,)),)
    )
    result = Result(
        checker=HOSTILE, verdict=Verdict.INVALID, why=HOSTILE, anomalies=(anomaly,),
        details={HOSTILE: HOSTILE},
    )  # fmt: skip
    run = run_of(events, merge([result]), system=HOSTILE, system_options={HOSTILE: HOSTILE})
    page = render_html(run.subject, run.history, run.results)
    elements = Elements(page)

    assert elements.tags.count("script") == 3  # What is drawn, the logs, and what draws them.
    assert "img" not in elements.tags
    assert data_of(page)["operations"]["columns"]["asked"] == [HOSTILE]


def test_text_that_no_file_can_hold_is_replaced(run_of: Callable[..., Any]) -> None:
    events = [Event(0, 0, 0, Type.INVOKE, "write", HALF_A_PAIR)]
    result = Result(checker="x", verdict=Verdict.INVALID, why=HALF_A_PAIR)
    run = run_of(events, merge([result]))

    assert render_html(run.subject, run.history, run.results).encode()


def test_page_of_a_hundred_thousand_operations_keeps_the_limit(large_run: Any) -> None:
    page = render_html(large_run.subject, large_run.history, large_run.results)

    assert len(page.encode()) <= 2_000_000
    assert 'id="thinned"' not in page
    assert len(data_of(page)["operations"]["columns"]["index"]) == len(large_run.history.operations)


def page_with_room(run: Any, room_bytes: int) -> tuple[str, int]:
    """A page whose operations have this much room, whatever all else takes; and its limit."""
    least = render_html(run.subject, run.history, run.results, size_bytes_max=0)
    limit = len(least.encode()) + room_bytes
    return render_html(run.subject, run.history, run.results, size_bytes_max=limit), limit


def test_page_above_the_limit_says_that_it_is_thinned(invalid_run: Any) -> None:
    page, limit = page_with_room(invalid_run, 30_000)
    data = data_of(page)
    drawn = set(data["operations"]["columns"]["index"])

    assert len(page.encode()) <= limit
    assert len(drawn) > 100
    assert 'id="thinned"' in page
    assert f"show {len(drawn):,} of" in page
    assert drawn >= set(invalid_run.results.results[0].anomalies[0].indices[::2])


def test_thinned_operations_stand_for_the_others(invalid_run: Any) -> None:
    page, _ = page_with_room(invalid_run, 30_000)
    weights = data_of(page)["operations"]["columns"]["weight"]

    assert sum(weights) == len(invalid_run.history.operations)


def test_fault_without_evidence_is_flagged(invalid_run: Any) -> None:
    page = render_html(invalid_run.subject, invalid_run.history, invalid_run.results)

    assert page.count("! no evidence") == 1
    assert page.count("✗ did not take hold") == 1
    assert "6 injected: 4 were seen to take effect, 2 were not seen to take effect" in page


def test_every_anomaly_is_on_the_page(run_of_two_anomalies: Any) -> None:
    run = run_of_two_anomalies
    page = render_html(run.subject, run.history, run.results)

    assert "<h3>stale-read</h3>" in page
    assert "<h3>second-anomaly</h3>" in page


def test_unknown_never_reads_as_a_pass(unknown_run: Any, empty_run: Any) -> None:
    for run in (unknown_run, empty_run):
        page = render_html(run.subject, run.history, run.results)

        assert "It is not a pass." in page
        assert '<span class="word">valid</span>' not in page


def test_valid_says_what_it_does_not_prove(valid_run: Any) -> None:
    page = render_html(valid_run.subject, valid_run.history, valid_run.results)

    assert "It does not prove the system correct." in page
    assert "all 5 keys are linearizable" in page


def test_faults_of_a_history_from_elsewhere_are_shown() -> None:
    steps = ["start-partition", "kill", "check-offsets", "start", "stop-partition", "pause"]
    events = [
        Event(2 * n + i, 10**9 * (2 * n + i), "nemesis", Type.INFO, f)
        for n, f in enumerate(steps)
        for i in (0, 1)
    ]
    read = [
        Event(12, 12 * 10**9, 0, Type.INVOKE, "read"),
        Event(13, 13 * 10**9, 0, Type.OK, "read"),
    ]
    subject = Subject(system="history.edn", workload="as register", command="dissever check")
    page = render_html(subject, History((*events, *read)), merge([]))
    data = data_of(page)

    assert data["kinds"] == ["partition", "kill", "check-offsets", "pause"]
    assert [
        (band["fault"], band["start"], band["held"], band["end"], band["healed"])
        for band in data["bands"]
    ] == [
        ("partition", 0, 1_000_000, 8_000_000, True),
        ("kill", 2_000_000, 3_000_000, 6_000_000, True),
        ("pause", 10_000_000, 11_000_000, 13_000_000, False),
    ]
    assert [mark["f"] for mark in data["marks"]] == ["check-offsets"]
    assert "3 injected (partition, kill, pause)" in page
    assert page.count("! no evidence") == 5
    assert "seed" not in page.split("</title>")[0]
