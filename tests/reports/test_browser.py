"""The page in a real browser: it draws, moves, filters, explains, and asks nobody for anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dissever.reports import render_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

RUNS = (
    "many_run",
    "crash_run",
    "invalid_run",
    "valid_run",
    "unknown_run",
    "empty_run",
    "large_run",
)
READY_LIMIT_MS = 15_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A page per synthetic run."""
    folder = tmp_path_factory.mktemp("pages")
    for name in RUNS:
        run = request.getfixturevalue(name)
        page = render_html(run.subject, run.history, run.results)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser: Browser, files: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page of a run; at the end nothing was complained of, and nothing requested."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_page(name: str, fragment: str = "", **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{(files / name).as_uri()}.html{fragment}")
        page.wait_for_selector("html[data-ready]", timeout=READY_LIMIT_MS)
        page.wait_for_selector("html[data-frame-ms]", timeout=READY_LIMIT_MS)
        return page

    yield open_page
    for context in contexts:
        context.close()
    outside = [url for url in requests if not url.startswith(("file:", "data:"))]
    assert (complaints, outside) == ([], [])


def shown_range(page: Page) -> tuple[float, float]:
    """From when to when the timeline shows, in seconds."""
    start, end = re.findall(r"[\d.]+(?= s)", page.inner_text("#range"))[:2]
    return float(start), float(end)


def next_frame(page: Page) -> None:
    page.evaluate(
        "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
    )


def press(page: Page, *keys: str) -> None:
    page.focus("#timeline-chart")
    for key in keys:
        page.keyboard.press(key)
    next_frame(page)


def stale_read(run: Any) -> Any:
    """The guilty read of the synthetic anomaly."""
    index = run.results.results[0].anomalies[0].indices[2]
    return next(each for each in run.history.operations if each.invocation.index == index)


@pytest.mark.parametrize("name", RUNS)
def test_verdict_is_in_sight_and_nothing_is_requested(
    name: str, visit: Callable[..., Page], request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    page = visit(name)

    assert run.results.verdict.word in page.inner_text("h1")
    assert page.is_hidden("#failed")
    assert page.locator("h1").bounding_box()["y"] < 300  # type: ignore[index]


@pytest.mark.parametrize("canvas", ["operations", "latencies", "rates", "overview"])
def test_drawings_are_not_empty(canvas: str, visit: Callable[..., Page]) -> None:
    colours = visit("invalid_run").evaluate(
        """(id) => {
          const canvas = document.getElementById(id);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }""",
        canvas,
    )

    assert colours > 20


def test_anchor_selects_its_operation(invalid_run: Any, visit: Callable[..., Page]) -> None:
    guilty = stale_read(invalid_run)
    for index in guilty.indices:
        page = visit("invalid_run", f"#i{index}")
        start, end = shown_range(page)

        assert "read → 41" in page.inner_text("#details")
        assert f"#{guilty.indices[1]}" in page.inner_text("#details")
        assert start < guilty.invocation.time / 1e9 < end
        assert end - start < 1


def test_anchor_of_a_fault_shows_what_it_told(invalid_run: Any, visit: Callable[..., Page]) -> None:
    index = invalid_run.history.faults[0].invocation.index
    page = visit("invalid_run", f"#i{index}")

    assert "start-partition" in page.inner_text("#details")


def test_step_leads_to_its_operation(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.click(".steps li:nth-child(3) a.op")
    page.wait_for_selector("#details:not([hidden])")

    assert "read → 41" in page.inner_text("#details")


def test_step_lights_up_its_bar(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.hover(".steps li:nth-child(3)")

    assert page.inner_text(".op-bar.lit") == "read → 41 ✗ it holds 42"


def drawn(page: Page) -> tuple[list[str], str]:
    """The numbers of the points of the order that is drawn, and what its end says."""
    points = page.locator(".drawn text").all_text_contents()
    return points, " ".join(page.locator(".op-bar .refusal").all_text_contents()).strip()


def test_order_that_gets_farthest_is_drawn_on_the_bars(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")

    assert drawn(page) == (["1", "2", "3"], "✗ it holds 42")
    assert page.inner_text(".op-bar.refused").startswith("read → 41")
    last = page.locator(".order:visible li").last.inner_text().split("\n")
    assert last == ["✗", "read → 41", "had to come by now, and is refused: it holds 42"]
    assert "read → 41 is refused" in page.inner_text(".chosen")
    for number, (x, bar) in enumerate(points_and_bars(page), 1):
        assert bar["x"] <= x <= bar["x"] + bar["width"], number


def test_points_of_an_order_stand_on_their_bars_on_paper_too(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.emulate_media(media="print")
    next_frame(page)
    found = points_and_bars(page)

    assert len(found) == 3
    for number, (x, bar) in enumerate(found, 1):
        assert bar["x"] <= x <= bar["x"] + bar["width"], number


def points_and_bars(page: Page) -> list[tuple[float, Any]]:
    """Of each point the middle, and the box of the bar that it stands on."""
    indices = [index for index, _, _ in json.loads(page.get_attribute(".order", "data-points"))]
    points = [each.bounding_box() for each in page.locator(".drawn circle:not(.no)").all()]
    bars = [page.locator(f'.op-bar[data-index="{index}"]').bounding_box() for index in indices]
    middles = [point["x"] + point["width"] / 2 for point in points if point]
    return list(zip(middles, bars, strict=True))


def test_operation_shows_the_longest_order_with_it(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    shorter = json.loads(page.locator(".order").nth(1).get_attribute("data-points") or "")
    bar = f'.op-bar[data-index="{shorter[-1][0]}"]'
    page.hover(bar)
    hovered = drawn(page), page.inner_text(".chosen")
    page.mouse.move(2, 2)
    left = drawn(page)
    page.click(bar)
    page.mouse.move(2, 2)
    kept = drawn(page)
    page.keyboard.press("Escape")

    assert hovered[0][0] == ["8", "9"]
    assert hovered[1].startswith("The longest order with #")
    assert left[0] == ["1", "2", "3"]
    assert kept[0] == ["8", "9"]
    assert drawn(page)[0] == ["1", "2", "3"]


def test_operation_that_no_order_has_shows_what_refuses_it(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.focus(".op-bar.refused")

    assert "is in no order that fits" in page.inner_text(".chosen")
    assert drawn(page)[1] == "✗ it holds 42"


def test_line_of_an_order_lies_behind_bars_and_labels(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    plot = page.locator(".window .plot").first
    behind = plot.evaluate("""plot => {
        const lines = plot.querySelector(".drawn.behind"), bar = plot.querySelector(".op-bar");
        const comes_first = lines.compareDocumentPosition(bar) & Node.DOCUMENT_POSITION_FOLLOWING;
        const level = (one) => Number(getComputedStyle(one).zIndex);
        return Boolean(comes_first) && level(lines) < level(bar);
    }""")
    lines = plot.locator(".drawn.behind :is(polyline, line)").count()

    assert behind
    assert lines >= 2
    assert plot.locator(".drawn:not(.behind) :is(polyline, line)").count() == 0


def test_a_link_to_a_folded_anomaly_unfolds_it(visit: Callable[..., Page]) -> None:
    page = visit("many_run")
    first, second = page.locator("#a1"), page.locator("#a2")
    was_folded = (first.evaluate("one => one.localName"), second.get_attribute("open"))
    page.click("#verdict .headline tbody tr:nth-child(2) a")

    assert was_folded == ("article", None)
    assert second.get_attribute("open") == ""
    assert second.locator(".drawn circle").count() > 0
    assert second.locator(".steps").is_visible()


def test_a_crash_is_on_the_first_screen_with_its_last_words(visit: Callable[..., Page]) -> None:
    page = visit("crash_run")
    headline = page.locator("#verdict .headline").first
    box = headline.bounding_box()
    card = page.locator("#a1 .card.crash")

    assert box is not None
    assert box["y"] + box["height"] < 900
    assert "n2" in headline.inner_text()
    assert "SIGSEGV" in headline.inner_text()
    assert card.locator(".fatal").inner_text() == "panic: <b>out of luck</b>"
    assert "n2 was never started again." in card.inner_text()


def test_every_operation_of_the_key_of_an_anomaly_can_be_shown(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.click("#a1 .of-key a")
    next_frame(page)
    picked = page.locator('#filters [data-filter="key"]:checked').evaluate_all(
        "boxes => boxes.map((box) => box.value)"
    )

    assert picked == ["3"]
    assert "of" in page.inner_text("#matching")
    assert "match" in page.inner_text("#matching")


@pytest.mark.parametrize("fragment", ["#key=%", "#key=%E0%A4%A", "#a", "#i", "#lanes=%", "#%"])
def test_link_typed_by_hand_never_breaks_the_page(
    visit: Callable[..., Page], fragment: str
) -> None:
    page = visit("invalid_run", fragment)

    assert page.locator("#verdict").is_visible()


def test_keys_zoom_move_and_reset(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    whole = shown_range(page)
    press(page, "+", "+")
    closer = shown_range(page)
    press(page, "ArrowRight")
    moved = shown_range(page)
    press(page, "0")

    assert closer[1] - closer[0] < 0.5 * (whole[1] - whole[0])
    assert moved[0] > closer[0]
    assert shown_range(page) == whole


def test_wheel_belongs_to_the_page_until_the_timeline_is_focused(
    visit: Callable[..., Page],
) -> None:
    page = visit("invalid_run")
    whole = shown_range(page)
    page.locator("#timeline-chart").scroll_into_view_if_needed()
    page.hover("#operations", position={"x": 600, "y": 120})
    page.mouse.wheel(0, -1)
    next_frame(page)
    untouched = shown_range(page)
    hint = page.is_visible("#hint")
    page.focus("#timeline-chart")
    page.mouse.wheel(0, -400)
    # A wheel comes when the browser gets to it, not when it was turned.
    is_zoomed = "(whole) => !document.getElementById('range').textContent.includes(whole)"
    page.wait_for_function(is_zoomed, arg=f"to {whole[1]} s")

    assert untouched == whole
    assert hint
    assert shown_range(page)[1] < whole[1]


def test_drag_moves_and_double_click_shows_all(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    whole = shown_range(page)
    press(page, "+", "+", "+")
    before = shown_range(page)
    box = page.locator("#operations").bounding_box()
    assert box is not None
    x, y = box["x"] + 600, box["y"] + 120
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 200, y, steps=4)
    page.mouse.up()
    next_frame(page)
    dragged = shown_range(page)
    page.mouse.dblclick(x, y)
    next_frame(page)

    assert dragged[0] > before[0]
    assert shown_range(page) == whole


@pytest.mark.parametrize("value", ["fail", "write", "n3"])
def test_filter_leaves_operations_out(value: str, visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.uncheck(f'#filters input[value="{value}"]')
    next_frame(page)

    matching = re.match(r"([\d,]+) of ([\d,]+) operations match", page.inner_text("#matching"))
    assert matching is not None
    assert int(matching[1].replace(",", "")) < int(matching[2].replace(",", ""))


def test_words_find_an_operation(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.fill('[data-filter="text"]', "read → 41")
    next_frame(page)
    found = page.inner_text("#matching")
    page.fill('[data-filter="text"]', "no such thing")
    next_frame(page)

    assert re.match(r"[1-9]\d* of ", found)
    assert page.inner_text("#matching").startswith("0 of ")


def test_tooltip_tells_everything_about_an_operation(
    invalid_run: Any, visit: Callable[..., Page]
) -> None:
    guilty = stale_read(invalid_run)
    page = visit("invalid_run", f"#i{guilty.invocation.index}")
    start, end = shown_range(page)
    box = page.locator("#operations").bounding_box()
    assert box is not None
    share = (guilty.invocation.time / 1e9 - start) / (end - start)
    lane = guilty.process % 10
    page.mouse.move(
        box["x"] + 104 + share * (box["width"] - 118) + 2, box["y"] + 22 + 24 * lane + 12
    )
    shown = page.inner_text("#tooltip")

    for part in (
        "read → 41",
        "outcome",
        "ok",
        "latency",
        "invoked",
        str(guilty.process),
        "n1",
        "#",
    ):
        assert part in shown


def test_keys_walk_through_operations_and_say_them(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    press(page, "n", "n", "p", "ArrowDown")
    spoken = page.inner_text("#spoken")
    press(page, "Enter")

    assert "outcome" in spoken
    assert page.is_visible("#tooltip")
    assert page.is_visible("#details")
    press(page, "Escape")
    assert page.is_hidden("#details")


def test_cursor_stands_on_every_chart(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    page.hover("#rates", position={"x": 500, "y": 40})

    assert page.locator(".cursor:visible").count() == 4
    assert page.inner_text("#cursor-time").startswith("at ")


def test_dark_mode_follows_the_system_and_the_button(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run", color_scheme="dark")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)

    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150
    assert sum(map(int, re.findall(r"\d+", light)[:3])) > 600


def test_narrow_page_does_not_scroll_sideways(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run")
    for width in (390, 768, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        next_frame(page)

        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_long_words_of_the_environment_do_not_make_the_page_wider(
    visit: Callable[..., Page],
) -> None:
    page = visit("invalid_run")
    page.evaluate(
        "for (const each of document.querySelectorAll('#environment :is(dt, dd, li)'))"
        " each.textContent = 'x'.repeat(300)"
    )
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        next_frame(page)

        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_everything_but_the_drawings_stands(browser: Browser, files: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((files / "invalid_run.html").as_uri())

    assert page.locator(".op-bar.guilty").count() == 2
    assert page.locator(".order:visible .refused").inner_text().endswith("refused: it holds 42")
    assert "need JavaScript" in page.inner_text("#timeline")
    context.close()


def test_hundred_thousand_operations_are_drawn_at_once(visit: Callable[..., Page]) -> None:
    page = visit("large_run")
    press(page, "+", "-", "+", "-")

    # Twenty times what it takes alone: other work on the machine is no reason to fail.
    assert float(page.evaluate("document.documentElement.dataset.frameMs")) < 1000


def test_printing_from_the_dark_is_light_and_open(visit: Callable[..., Page]) -> None:
    page = visit("invalid_run", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = page.evaluate("document.documentElement.dataset.theme")
    closed = page.locator("details:not([open])").count()
    page.evaluate("dispatchEvent(new Event('afterprint'))")

    assert (printed, closed) == ("light", 0)
    assert page.evaluate("document.documentElement.dataset.theme") is None
