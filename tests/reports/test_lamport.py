"""The window of messages and the strips of servers, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dissever.reports import read_insight, render_html
from tests.reports.traces import trace_lines

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

AXIS_PX, STRIP_PX = 22, 90
CHART = "#a1 .lamport .chart"


@pytest.fixture(scope="module")
def text(invalid_run: Any) -> str:
    known = read_insight(trace_lines(), None, None)
    return render_html(invalid_run.subject, invalid_run.history, invalid_run.results, insight=known)


@pytest.fixture
def page(text: str, open_page: Callable[..., Page]) -> Page:
    opened = open_page(text, viewport={"width": 1280, "height": 900})
    opened.locator(CHART).scroll_into_view_if_needed()
    return opened


def next_frame(page: Page) -> None:
    page.evaluate(
        "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
    )


def shown(page: Page) -> tuple[float, float]:
    """From when to when the window shows, in seconds."""
    next_frame(page)
    start, end = re.findall(r"[\d.]+(?= s)", page.inner_text("#a1 .lamport .range"))[:2]
    return float(start), float(end)


@pytest.mark.parametrize("canvas", ["#a1 .lamport canvas", "#node-strips"])
def test_drawings_are_not_empty(canvas: str, page: Page) -> None:
    colours = page.evaluate(
        """(selector) => {
          const canvas = document.querySelector(selector);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }""",
        canvas,
    )

    assert colours > 20


def test_keys_and_buttons_move_and_zoom_the_window_alone(page: Page) -> None:
    timeline = page.inner_text("#range")
    home = shown(page)
    page.focus(CHART)
    page.keyboard.press("+")
    closer = shown(page)
    page.click('#a1 [data-lamport="left"]')
    earlier = shown(page)
    page.focus(CHART)
    page.keyboard.press("0")

    assert closer[1] - closer[0] < 0.8 * (home[1] - home[0])
    assert earlier[0] < closer[0]
    assert shown(page) == home
    assert page.inner_text("#range") == timeline


def test_next_message_is_said_with_its_term_and_what_it_holds(page: Page) -> None:
    page.focus(CHART)
    said = []
    for _ in range(3):
        page.keyboard.press("n")
        said.append(page.inner_text("#a1 .said"))

    assert all(re.match(r"n\d → n\d \w+ term 5; says .*; sent 16\.\d+ s", each) for each in said)
    assert len(set(said)) == 3
    page.keyboard.press("Escape")
    assert page.inner_text("#a1 .said") == ""


def test_pointer_on_an_arrow_tells_its_message_and_a_click_keeps_it(page: Page) -> None:
    box = page.locator("#a1 .lamport canvas").bounding_box()
    assert box is not None
    for x in range(200, 1100, 6):
        # Between the lines of the second and the third server only arrows stand.
        page.mouse.move(box["x"] + x, box["y"] + box["height"] - 3.5 * 62)
        if page.is_visible("#tooltip") and "sent" in page.inner_text("#tooltip"):
            break
    tooltip = page.inner_text("#tooltip")
    page.mouse.down()
    page.mouse.up()

    assert re.search(r"n\d → n\d Append", tooltip)
    assert "term" in tooltip
    assert page.inner_text("#a1 .said").startswith(tooltip.split("\n")[0])


def test_repeats_are_counted_and_can_be_shown(page: Page) -> None:
    page.focus(CHART)
    for _ in range(4):
        page.keyboard.press("-")
    next_frame(page)
    folded = page.inner_text("#a1 .drawn-count")
    page.check("#a1 .repeats")
    next_frame(page)

    assert re.search(r"\d+ repeats folded", folded)
    assert "faint" in page.inner_text("#a1 .drawn-count")


def test_step_leads_to_the_messages_around_its_operation(invalid_run: Any, page: Page) -> None:
    index = invalid_run.results.results[0].anomalies[0].steps[1].indices[0]
    asked = next(each.time for each in invalid_run.history if each.index == index) / 1e9
    home = shown(page)
    page.click("#a1 .steps li:nth-child(2) .to-messages")
    start, end = shown(page)

    assert start < asked < end
    assert end - start < 0.5 * (home[1] - home[0])


def test_server_tells_its_state_on_the_strips(page: Page) -> None:
    told = []
    for y in (8, 60):  # In the strip itself, and in the log below it.
        page.hover("#node-strips", position={"x": 700, "y": AXIS_PX + STRIP_PX + y})
        told.append(page.inner_text("#tooltip"))

    assert all(text.startswith("n2: leader") for text in told)
    assert all("committed" in text for text in told)
    assert page.locator("canvas[id$=strips]").count() == 1


def test_narrow_page_does_not_scroll_sideways(text: str, open_page: Callable[..., Page]) -> None:
    page = open_page(text, viewport={"width": 400, "height": 800}, color_scheme="dark")

    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_page_of_hostile_lines_is_drawn(invalid_run: Any, open_page: Callable[..., Page]) -> None:
    lines: list[Any] = [
        {"time": 0, "kind": "send", "id": 1, "from": "n1", "to": "\x1b\u202e", "what": ""},
        {"time": 5, "kind": "server", "node": "__proto__", "role": "none"},
        {"time": 2**53, "kind": "note", "node": None, "text": "far away"},
        {"time": 2**53, "kind": "server", "node": "n1", "role": "leader", "commit": 2**53},
        {"time": 9, "kind": "violation", "name": "x", "text": "nobody"},
    ]  # fmt: skip
    known = read_insight([json.dumps(line).encode() for line in lines], None, None)
    page = open_page(
        render_html(invalid_run.subject, invalid_run.history, invalid_run.results, insight=known)
    )

    assert page.is_hidden("#failed")


RECORD = """() => {
  const plain = CanvasRenderingContext2D.prototype.fillText;
  window.written = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    if (this.canvas.closest("#a1 .lamport")) {
      const { width } = this.measureText(text);
      const left = this.textAlign === "center" ? x - width / 2 : x;
      window.written.push({ text, left, right: left + width, y });
    }
    plain.call(this, text, x, y);
  };
}"""
"""Notes each text of the drawing; a middle at y, as all of them are drawn."""

GUTTER_PX, TEXT_PX, SERVERS = {1280: 104, 400: 72}, 12, 5


def written(page: Page, width_px: int) -> tuple[list[dict[str, Any]], float]:
    """The texts among the servers of the drawing, and where the first server's line is."""
    page.evaluate(RECORD)
    page.focus(CHART)
    page.keyboard.press("+")
    next_frame(page)
    page.evaluate("window.written.length = 0")
    page.keyboard.press("0")
    next_frame(page)
    box = page.locator("#a1 .lamport canvas").bounding_box()
    assert box is not None
    first = box["height"] - 6 - (SERVERS - 0.5) * 62
    texts: list[dict[str, Any]] = page.evaluate("window.written")
    among = [
        each
        for each in texts
        if each["y"] > first - 20 and each["left"] >= GUTTER_PX[width_px] and len(each["text"]) > 1
    ]
    return among, first


@pytest.mark.parametrize("width_px", [1280, 400])
def test_no_words_of_messages_and_servers_cover_each_other(
    width_px: int, text: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(text, viewport={"width": width_px, "height": 900})
    page.locator(CHART).scroll_into_view_if_needed()
    texts, first = written(page, width_px)
    covered = [
        (one["text"], other["text"])
        for number, one in enumerate(texts)
        for other in texts[number + 1 :]
        if min(one["right"], other["right"]) > max(one["left"], other["left"])
        and abs(one["y"] - other["y"]) < TEXT_PX
    ]
    struck = [
        each["text"]
        for each in texts
        if any(abs(each["y"] - first - number * 62) < TEXT_PX / 2 for number in range(SERVERS))
        and each["text"] not in ("killed", "paused", "stopped")
    ]

    assert len(texts) > 5
    assert covered == []
    assert struck == []


def test_messages_without_words_are_counted(text: str, open_page: Callable[..., Page]) -> None:
    page = open_page(text, viewport={"width": 400, "height": 900})
    page.locator(CHART).scroll_into_view_if_needed()
    texts, _ = written(page, 400)
    said = page.inner_text("#a1 .drawn-count")
    without = re.search(r"(\d+) without words", said)
    messages = re.search(r"(\d+) messages?", said)

    assert without is not None
    assert messages is not None
    assert any(re.fullmatch(r"\+\d+", each["text"]) for each in texts)
    counted = sum(int(each["text"]) for each in texts if each["text"].startswith("+"))
    assert counted <= int(without[1])
    words = sum(each["text"].startswith(("Append", "Vote", "Request")) for each in texts)
    assert words == int(messages[1]) - int(without[1])


def test_every_kind_of_message_is_in_the_legend(page: Page) -> None:
    kinds = {json.loads(line)["what"] for line in trace_lines() if b'"send"' in line}
    shown_kinds = set(re.findall(r"\w+", page.inner_text("#a1 .whats")))

    assert len(kinds) >= 4
    assert kinds <= shown_kinds
