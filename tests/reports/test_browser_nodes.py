"""Strips and logs of nodes in a real browser: they draw, filter, lead to the timeline and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dissever.reports import render_html
from dissever.reports.insight import Insight
from dissever.reports.node_logs import LogsRead, NodeLogText, Piece
from dissever.reports.node_states import read_states

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

BEGAN_S = 1_796_071_500
HOSTILE = "</script><img src=x onerror=\"document.title='broken'\"> {{ 7 * 7 }} \x1b[2J\u202e"


def log(node: str, *lines: str) -> NodeLogText:
    path = f"nodes/{node}/stderr-1.log"
    return NodeLogText(node, path, 1, "stderr", (Piece(1, lines),), len(lines), 100)


def line(second: float, text: str) -> str:
    return f"2026-11-30T20:45:{second:06.3f}Z {text}"


def insight() -> Insight:
    """Two nodes that log something each 10 ms of 5 s; n1 leads until 2 s, then n2."""
    steady = [line(i / 100, f"INFO tick {i}") for i in range(500)]
    states = [
        (0, "n1", "true"), (0, "n2", "false"), (2, "n1", "false"), (2, "n2", "true"),
    ]  # fmt: skip
    lines = [f'{{"time":0,"kind":"clock","unix_ns":{BEGAN_S}000000000}}'] + [
        f'{{"time":{second * 10**9},"kind":"node","node":"{node}","state":"running",'
        f'"incarnation":1,"leads":{leads},"snapshots":[]}}'
        for second, node, leads in states
    ]
    others = (line(3, "ERROR the disk is on fire"), "  at burn()", line(4, f"WARN {HOSTILE}"))
    read = LogsRead((log("n1", *steady), log("n2", *others)), BEGAN_S * 10**9)
    return Insight(states=read_states(text.encode() for text in lines), logs=read)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, invalid_run: Any) -> Path:
    """The page of a run with logs."""
    path = tmp_path_factory.mktemp("pages") / "nodes.html"
    page = render_html(
        invalid_run.subject, invalid_run.history, invalid_run.results, insight=insight()
    )
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Browser, file: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page; at the end nothing was complained of, and nothing requested."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_page(width: int = 1280, **options: Any) -> Page:
        viewport: Any = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-frame-ms]", timeout=15_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def rows(page: Page) -> list[str]:
    return page.locator("#log-lines .log-text").all_inner_texts()


def test_lines_of_all_nodes_stand_by_time(visit: Callable[..., Page]) -> None:
    page = visit()
    page.click("[data-log=later]")
    shown = rows(page)
    at = next(i for i, text in enumerate(shown) if "on fire" in text)

    assert "503 lines" in page.inner_text("#log-count")
    assert shown[at - 1].endswith("tick 300")
    assert shown[at + 1] == "  at burn()"
    assert shown[at + 2].endswith("tick 301")


def test_lines_are_filtered_by_node_level_and_words(visit: Callable[..., Page]) -> None:
    page = visit()
    page.click("label:has([data-log-filter=node][value=n1])")
    assert len(rows(page)) == 3

    page.click("label:has([data-log-filter=level][value=none])")
    page.click("label:has([data-log-filter=level][value=warning])")
    assert [text[-7:] for text in rows(page)] == ["on fire"]
    assert "1 of 503 lines match" in page.inner_text("#log-count")

    page.click("label:has([data-log-filter=node][value=n1])")
    page.fill("#log-text", "TICK 49")
    assert len(rows(page)) == 11

    page.fill("#log-text", "/tick 4[0-1]$/")
    assert [text[-2:] for text in rows(page)] == ["40", "41"]

    page.fill("#log-text", "/(/")
    assert "No expression" in page.inner_text("#log-problem")


def test_line_leads_to_its_time_in_the_timeline(visit: Callable[..., Page]) -> None:
    page = visit()
    page.fill("#log-text", "on fire")
    page.click("#log-lines li")
    start, end = page.inner_text("#range").split(" (")[0].split(" to ")

    assert float(start.removesuffix(" s")) < 3 < float(end.removesuffix(" s"))
    assert page.locator("#log-lines li[aria-current]").count() == 1
    assert page.locator("#timeline .cursor:visible").count() == 1


def test_line_is_followed_with_the_keyboard(visit: Callable[..., Page]) -> None:
    page = visit()
    page.fill("#log-text", "on fire")
    before = page.inner_text("#range")
    page.focus("#log-lines li")
    page.keyboard.press("Enter")

    assert page.inner_text("#range") != before


def test_list_follows_the_range_of_the_timeline(visit: Callable[..., Page]) -> None:
    page = visit()
    page.fill("#log-text", "on fire")
    page.click("#log-lines li")
    page.fill("#log-text", "")
    page.check("#log-range")
    near = rows(page)
    page.click("[data-zoom=reset]")
    page.wait_for_function(
        "(few) => document.querySelectorAll('#log-lines li').length > few", arg=len(near)
    )

    assert any("on fire" in text for text in near)
    assert not any(text.endswith("tick 100") for text in near)
    assert len(near) < 110


def test_strip_leads_to_the_lines_of_its_time(visit: Callable[..., Page]) -> None:
    page = visit()
    page.hover("#node-strips", position={"x": 500, "y": 30})
    tooltip = page.inner_text("#tooltip")
    page.click("#node-strips", position={"x": 500, "y": 30})

    assert tooltip.startswith("n1: ")
    assert page.locator("#log-lines li[aria-current]").count() == 1


def test_long_lists_are_turned_in_pages(visit: Callable[..., Page]) -> None:
    page = visit()
    assert len(rows(page)) == 200
    assert page.is_disabled("[data-log=first]")

    page.click("[data-log=later]")
    assert "201 to 400 here" in page.inner_text("#log-count")
    page.click("[data-log=last]")
    assert page.is_disabled("[data-log=last]")
    page.click("[data-log=earlier]")
    assert "104 to 303 here" in page.inner_text("#log-count")


def test_next_error_or_warning_is_found_from_anywhere(visit: Callable[..., Page]) -> None:
    page = visit()
    chosen = []
    for _ in range(3):
        page.click("[data-log=grave]")
        chosen.append(page.inner_text("#log-lines [aria-current] .log-text")[25:35])

    assert chosen == ["ERROR the ", "WARN </scr", "ERROR the "]


def test_hostile_line_is_text(visit: Callable[..., Page]) -> None:
    page = visit()
    page.fill("#log-text", "onerror")
    (text,) = rows(page)

    assert "</script><img src=x" in text
    assert "{{ 7 * 7 }} \\x1b[2J\\u202e" in text
    assert page.title() != "broken"
    assert page.locator("#log-lines img, .telling img").count() == 0


@pytest.mark.parametrize("width", [400, 1280])
def test_strips_are_drawn_and_the_page_is_not_wider_than_the_screen(
    width: int, visit: Callable[..., Page]
) -> None:
    page = visit(width, color_scheme="dark")
    colours = page.evaluate(
        """() => {
          const canvas = document.getElementById("node-strips");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )

    assert colours > 10
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_a_script_a_table_has_what_tells_most(visit: Callable[..., Page]) -> None:
    page = visit(java_script_enabled=False)

    assert page.is_hidden("#log-view")
    assert "the disk is on fire" in page.inner_text("table.telling")
    assert "nodes/n2/stderr-1.log:1" in page.inner_text("table.telling")
    assert "2.00 s" in page.inner_text("table.of-nodes")
