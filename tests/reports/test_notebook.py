"""What Jupyter shows: the verdict and the numbers, and nothing that a browser would carry out."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dissever.harness.history import History
from dissever.harness.results import Anomaly, Result, Results, Verdict, merge
from dissever.judging import Judged
from dissever.reports import judged_html

ALLOWED = frozenset(["p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code", "a"])
HOSTILE = '</td><script>alert(1)</script><img src=x onerror=y>" \x1b[31m\u202e'


class Tags(HTMLParser):
    """The elements of a text, with their attributes; each must be closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_verdict_reason_and_each_checker_are_shown(invalid_run: Any) -> None:
    shown = invalid_run.results._repr_html_()
    plain = html.unescape(re.sub(r"<[^>]*>", "|", shown))

    assert "✗ invalid" in plain
    assert invalid_run.results.why[:100] in plain
    assert all(f"|{result.checker}|" in plain for result in invalid_run.results.results)
    assert "stale-read (1)" in plain


def test_run_is_shown_with_its_numbers_and_its_page(invalid_run: Any) -> None:
    run = invalid_run
    shown = judged_html(run.subject, run.history, run.results, page=Path("runs/a b/index.html"))

    assert f"<code>{run.subject.command}</code>" in shown
    assert "4,215 / 330 / 37" in shown
    assert '<a href="runs/a%20b/index.html">' in shown
    assert Judged(run.subject, run.history, run.results)._repr_html_() in shown


@pytest.mark.parametrize(
    ("page", "address"),
    [("/tmp/x y", "file:///tmp/x%20y"), ("javascript:alert(1)", "javascript%3Aalert%281%29")],
)
def test_link_leads_to_a_file_and_nowhere_else(page: str, address: str, valid_run: Any) -> None:
    shown = judged_html(valid_run.subject, valid_run.history, valid_run.results, page=Path(page))

    assert [attrs for tag, attrs in Tags(shown).found if tag == "a"] == [[("href", address)]]


def test_hostile_texts_are_only_text(valid_run: Any) -> None:
    anomaly = Anomaly(name=HOSTILE, summary=HOSTILE, indices=())
    result = Result(checker=HOSTILE, verdict=Verdict.INVALID, why=HOSTILE, anomalies=(anomaly,))
    subject = replace(
        valid_run.subject, system=HOSTILE, workload=HOSTILE, faults=(HOSTILE,), command=HOSTILE
    )
    shown = judged_html(subject, History(), merge([result]), page=Path(HOSTILE))
    tags = Tags(shown).found

    assert {tag for tag, _ in tags} <= ALLOWED
    assert [name for tag, attrs in tags for name, _ in attrs] == ["href"]
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_many_checkers_and_long_texts_stay_small() -> None:
    anomalies = tuple(Anomaly(name=f"{n}" * 99, summary="", indices=()) for n in range(10, 99))
    results = Results(
        verdict=Verdict.UNKNOWN,
        why="w" * 100_000,
        results=tuple(
            Result(checker=f"c{number}", verdict=Verdict.UNKNOWN, why="w" * 99_999,
                   anomalies=anomalies)
            for number in range(500)
        ),
    )  # fmt: skip
    shown = results._repr_html_()

    assert len(shown) < 40_000
    assert "470 more checkers are left out." in shown
