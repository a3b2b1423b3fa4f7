"""At 400 px and on paper: nothing is cut without a sign, no word is broken, no cell is covered."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from dissever.harness.results import Anomaly, Result, Verdict, merge
from dissever.reports import read_insight, render_html
from dissever.reports.templates import whole
from tests.reports.traces import trace_lines

if TYPE_CHECKING:
    from playwright.sync_api import Page

SPOILED = Path(__file__).with_name("widths.js").read_text(encoding="utf-8")
LIMITS = {"slack": 1, "word": 20, "overlap": 3}
"""In px; longer words than `word` characters may break where they do not fit."""

COMMAND = (
    "dissever test ./systems/a-key-value-store.py:KeyValueStore --workload register"
    " --plan plans/partition-and-power-failure.yaml --time-limit 180 --operation-limit 1"
    " --fault-interval 2.5 --consistency-model strict-serializable --seed 1777010889"
)
PAPER_PX = 700


@pytest.mark.parametrize(
    "text",
    ["a --time-limit 8", "kill,pause,packet-loss", "invariants/durability", "/a//b, c/,d", "", ","],
)
def test_line_of_whole_pieces_says_the_same(text: str) -> None:
    assert re.sub("<.*?>", "", whole(text)) == text


def test_pieces_end_at_spaces_commas_and_slashes_only() -> None:
    pieces = re.findall(">(.*?)</span>", whole("x --time-limit 8 kill,packet-loss a/b-c <b>"))

    assert pieces == ["x", "--time-limit", "8", "kill,", "packet-loss", "a/", "b-c", "&lt;b&gt;"]


@pytest.fixture(scope="module")
def pages(request: pytest.FixtureRequest) -> dict[str, str]:
    """A page with a crash, one with anomalies, one of a simulation whose rule was broken."""
    made = {}
    for name in ("crash_run", "many_run", "unknown_run"):
        run = request.getfixturevalue(name)
        subject = replace(run.subject, command=COMMAND, directory="/home/somebody/key-value-store")
        made[name] = render_html(subject, run.history, run.results)
    run = request.getfixturevalue("invalid_run")
    broken = Anomaly(name="log-matching", summary="Two logs differ.", indices=())
    found = Result(checker="invariants", verdict=Verdict.INVALID, why="x", anomalies=(broken,))
    known = read_insight(trace_lines(), None, None)
    results = merge([*run.results.results, found])
    made["simulation"] = render_html(run.subject, run.history, results, insight=known)
    return made


def spoiled(page: Page) -> list[str]:
    """What the width of the page spoils, with everything unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate(
        "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
    )
    found: list[str] = page.evaluate(SPOILED, LIMITS)
    return found


NAMES = ("crash_run", "many_run", "unknown_run", "simulation")


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_spoiled_on_a_narrow_screen(
    name: str, pages: dict[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page(pages[name], viewport={"width": 400, "height": 800})

    assert spoiled(page) == []


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_spoiled_on_paper(
    name: str, pages: dict[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page(pages[name], viewport={"width": PAPER_PX, "height": 1000})
    page.emulate_media(media="print")

    assert spoiled(page) == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("main.insertAdjacentHTML('beforeend', '<p style=\"width:500px\">' + 'a '.repeat(200))",
         "beyond the screen"),
        ("main.insertAdjacentHTML('beforeend', "
         "'<div style=\"overflow:hidden;width:50px;white-space:nowrap\">some text is here</div>')",
         "cut"),
        ("main.insertAdjacentHTML('beforeend', "
         "'<div style=\"overflow-x:auto\"><p style=\"width:900px\">a</p></div>')",
         "scrolls without a sign"),
        ("main.insertAdjacentHTML('beforeend', "
         "'<p style=\"width:60px;overflow-wrap:anywhere\">durability</p>')",
         "broken word"),
        ("main.insertAdjacentHTML('beforeend', '<p style=\"width:60px\">a --time-limit</p>')",
         "broken word"),
        ("main.insertAdjacentHTML('beforeend', '<table style=\"table-layout:fixed;width:90px\">"
         "<tr><td style=\"white-space:nowrap;overflow:visible\">a long text</td><td>x y</td>')",
         "covers its neighbour"),
    ],
)  # fmt: skip
def test_spoiled_page_is_found(
    script: str, what: str, pages: dict[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page(pages["unknown_run"], viewport={"width": 400, "height": 800})
    page.evaluate(f"(() => {{ const main = document.querySelector('main'); {script}; }})()")

    assert any(each.startswith(what) for each in spoiled(page))
