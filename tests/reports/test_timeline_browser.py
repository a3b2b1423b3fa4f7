"""The timeline in a real browser: shading, folds, lanes, links, keys, marks and waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dissever.harness.history import Event, Type
from dissever.harness.results import Result, Verdict, merge
from dissever.nemesis.faults import FAMILIES
from dissever.reports import render_html

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

S = 1_000_000_000
END_S = 60
NODES = ("n1", "n2", "n3")
KINDS = (
    *("partition", "latency", "packet-loss", "kill", "pause", "disk-full"),
    *("clock-jump", "transfer", "limit-cpu", "snapshot-error"),
)
LONG_KEY = "a key that is much longer than any gutter should be, and longer still"
HOSTILE = "<img src=x onerror=alert(1)>"
RED = (196, 41, 15)
PLOT_RIGHT_PX = 14


def events_of_clients(until_s: int, keys: int) -> list[dict[str, Any]]:
    """Three processes, each with an operation of 20 ms each 100 ms."""
    events = []
    for process, node in enumerate(NODES):
        for i in range(until_s * 10):
            start = i * S // 10 + process * 1_000_000
            shared = {"process": process, "f": "read", "key": i % keys, "node": node}
            events.append({**shared, "time": start, "type": Type.INVOKE, "value": None})
            events.append({**shared, "time": start + S // 50, "type": Type.OK, "value": i})
    return events


def events_of_faults(kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each kind is in force for half a second on n1, each 5 s; and n2 is killed for 4 s."""
    events = []

    def add(start_s: float, end_s: float, process: str, f: str, value: Any) -> None:
        shared = {"process": process, "f": f}
        invoked = {**shared, "time": round(start_s * S), "type": Type.INVOKE, "value": None}
        done = {**shared, "time": round(end_s * S), "type": Type.INFO, "value": value}
        events.extend((invoked, done))

    for number, kind in enumerate(kinds):
        for turn in range(6):
            at = 1 + 5 * turn + number * 0.1
            add(at, at, kind, f"start-{kind}", {"targets": ["n1"]})
            add(at + 0.5, at + 0.5, kind, f"stop-{kind}", {"targets": ["n1"]})
    add(32, 32, "stop", "terminate", {"targets": ["n2"]})
    add(36, 36, "stop", "start", {"targets": ["n2"]})
    add(42, 58, "recovery", "await-ready", {"missing": "n3 names no leader"})
    return events


@pytest.fixture
def busy_page(run_of: Callable[..., Any], open_page: Callable[..., Page]) -> Callable[..., Page]:
    """A run with many faults, a node that ended unasked, and a long wait at its end."""

    def visit(
        kinds: tuple[str, ...] = KINDS, keys: int = 20, fragment: str = "", **options: Any
    ) -> Page:
        events = [*events_of_clients(40, keys), *events_of_faults(kinds)]
        events.sort(key=lambda event: event["time"])
        unasked = {"what": "n3 ended by SIGSEGV", "node": "n3", "time_ns": 10 * S}
        unasked |= {"why": None, "is_restarted": True, "next_ns": 20 * S}
        nodes = Result(
            checker="nodes", verdict=Verdict.INVALID, why="", details={"unasked": [unasked]}
        )
        run = run_of(
            [Event(index=index, **event) for index, event in enumerate(events)],
            merge([nodes]),
            nodes=NODES,
            concurrency=3,
        )
        text = render_html(run.subject, run.history, run.results, families=FAMILIES)
        page = open_page(text, viewport={"width": 1280, "height": 900}, **options)
        if fragment:
            page.goto(f"{page.url}{fragment}")
            page.reload()
            page.wait_for_selector("html[data-ready]")
        settle(page)
        return page

    return visit


def settle(page: Page) -> None:
    page.evaluate(
        "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
    )


def labels(page: Page) -> list[str]:
    """The names to the left of the rows, from top to bottom."""
    return page.locator("#lane-labels > *").all_text_contents()


def label_y(page: Page, name: str) -> float:
    """The middle of the row with that name, within the canvas."""
    script = """(name) => {
      const all = [...document.querySelectorAll("#lane-labels > *")];
      const found = all.filter((one) => one.textContent === name).at(-1);
      return found.offsetTop + found.offsetHeight / 2;
    }"""
    return float(page.evaluate(script, name))


def x_of(page: Page, time_s: float, end_s: float) -> float:
    """Where a time of the whole run stands on the canvas."""
    width = page.evaluate("document.getElementById('operations').clientWidth")
    left = float(page.evaluate("document.documentElement.dataset.gutter"))
    return left + time_s / end_s * (float(width) - PLOT_RIGHT_PX - left)


def colours(
    page: Page, x: float, y: float, size: int, canvas: str = "operations"
) -> set[tuple[int, int, int]]:
    """The colours of a square of a canvas, on white ground."""
    script = """([x, y, size, name]) => {
      const canvas = document.getElementById(name);
      const ratio = canvas.width / canvas.clientWidth;
      const copy = document.createElement("canvas");
      const pen = copy.getContext("2d", { willReadFrequently: true });
      pen.fillStyle = "white";
      pen.fillRect(0, 0, size, size);
      pen.drawImage(canvas, x * ratio, y * ratio, size, size, 0, 0, size, size);
      return [...pen.getImageData(0, 0, size, size).data];
    }"""
    data = page.evaluate(script, [round(x), round(y), size, canvas])
    return {tuple(data[at : at + 3]) for at in range(0, len(data), 4)}


def pixel(page: Page, x: float, y: float) -> tuple[int, int, int]:
    (colour,) = colours(page, x, y, 1)
    return colour


def shaded(page: Page) -> int:
    return int(page.evaluate("document.documentElement.dataset.shaded"))


def point_at(page: Page, time_s: float, y: float, end_s: float = 58) -> None:
    page.hover("#operations", position={"x": x_of(page, time_s, end_s), "y": y})
    settle(page)


def shown_range(page: Page) -> tuple[float, float]:
    start, end = re.findall(r"[\d.]+(?= s)", page.inner_text("#range"))[:2]
    return float(start), float(end)


def test_of_many_faults_only_the_one_pointed_at_shades(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    x, y = x_of(page, 1.05, 58), 24.0
    before = shaded(page), pixel(page, x, y)
    point_at(page, 1.05, label_y(page, "network"))
    during = shaded(page), pixel(page, x, y)
    page.mouse.move(5, 5)
    settle(page)

    assert (before[0], during[0]) == (0, 1)
    assert before[1] != during[1]
    assert (shaded(page), pixel(page, x, y)) == before


def test_few_faults_in_sight_all_shade(busy_page: Callable[..., Page]) -> None:
    page = busy_page(KINDS[:1])

    assert shaded(page) == 7


def test_selected_fault_goes_on_shading(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    point_at(page, 1.05, label_y(page, "network"))
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(5, 5)
    settle(page)
    selected = shaded(page)
    page.keyboard.press("Escape")
    settle(page)

    assert (selected, shaded(page)) == (1, 0)
    assert page.is_hidden("#details")


def test_many_kinds_fold_by_family_and_a_click_unfolds(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    folded = labels(page)
    page.click('[data-family="network"]')
    settle(page)
    unfolded = labels(page)
    page.click('[data-family="network"]')
    settle(page)

    assert "network" in folded
    assert "latency" not in folded
    for kind in ("partition", "latency", "packet-loss"):
        assert kind in unfolded
    assert "pause" not in unfolded
    assert labels(page) == folded


def test_few_kinds_are_unfolded_and_a_family_of_one_has_no_fold(
    busy_page: Callable[..., Page],
) -> None:
    page = busy_page(("partition", "latency", "disk-full"))

    assert {"network", "partition", "latency", "disk-full"} <= set(labels(page))
    assert "disks" not in labels(page)


def test_key_unfolds_and_folds_all_families(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    folded = labels(page)
    page.focus("#timeline-chart")
    page.keyboard.press("f")
    settle(page)
    unfolded = labels(page)
    page.keyboard.press("f")
    settle(page)

    assert set(KINDS) - {"transfer", "limit-cpu", "clock-jump"} <= set(unfolded)
    assert labels(page) == folded


def test_fold_works_by_keyboard_and_keeps_the_focus(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    page.focus('[data-family="network"]')
    page.keyboard.press("Enter")
    settle(page)

    assert "latency" in labels(page)
    assert page.evaluate("document.activeElement.dataset.family") == "network"
    assert page.get_attribute('[data-family="network"]', "aria-expanded") == "true"


def test_rows_without_anything_are_left_out(busy_page: Callable[..., Page]) -> None:
    page = busy_page(())
    page.uncheck('#filters input[value="n2"]')
    settle(page)

    assert labels(page) == ["worker 0", "worker 2", "stop", "end of run", "n2", "n3"]


def test_lanes_stand_for_workers_nodes_or_keys(busy_page: Callable[..., Page]) -> None:
    page = busy_page(keys=3)
    by_worker = labels(page)[:3]
    workers_told = page.is_visible("#worker-rule"), page.is_visible("#group-rule")
    page.select_option("#grouping", "node")
    settle(page)
    by_node = labels(page)[:3]
    nodes_told = page.is_visible("#worker-rule"), page.is_visible("#group-rule")
    page.select_option("#grouping", "key")
    settle(page)

    assert by_worker == ["worker 0", "worker 1", "worker 2"]
    assert by_node == ["n1", "n2", "n3"]
    assert (workers_told, nodes_told) == ((True, False), (False, True))
    assert labels(page)[:3] == ["key 0", "key 1", "key 2"]
    assert page.inner_text("#lanes-note") == ""


def test_keys_are_capped_and_the_page_says_so(busy_page: Callable[..., Page]) -> None:
    page = busy_page(fragment="#lanes=key")

    assert len([label for label in labels(page) if label.startswith("key ")]) == 12
    assert page.inner_text("#lanes-note").startswith("12 of 20 keys: first those that an anomaly")


def test_link_keeps_the_lanes_and_the_operation(busy_page: Callable[..., Page]) -> None:
    page = busy_page(fragment="#i30&lanes=node")
    hash_before = page.evaluate("location.hash")
    page.keyboard.press("Escape")
    settle(page)

    assert page.evaluate("document.getElementById('grouping').value") == "node"
    assert hash_before == "#i30&lanes=node"
    assert page.evaluate("location.hash") == "#lanes=node"


def test_key_that_an_anomaly_names_comes_first(
    invalid_run: Any, open_page: Callable[..., Page]
) -> None:
    page = open_page(render_html(invalid_run.subject, invalid_run.history, invalid_run.results))
    page.select_option("#grouping", "key")
    settle(page)

    assert labels(page)[0] == "key 3"


def test_chip_shows_half_a_second_around_its_operation(
    invalid_run: Any, open_page: Callable[..., Page]
) -> None:
    page = open_page(render_html(invalid_run.subject, invalid_run.history, invalid_run.results))
    chip = page.locator("#anomalies a.op").first
    index = int((chip.get_attribute("href") or "").removeprefix("#i"))
    operation = next(each for each in invalid_run.history.operations if index in each.indices)
    chip.click()
    settle(page)
    start, end = shown_range(page)

    assert end - start == pytest.approx(0.5, abs=0.002)
    assert (start + end) / 2 == pytest.approx(operation.invocation.time / S, abs=0.01)


def test_link_to_an_anomaly_shows_its_operations(
    invalid_run: Any, open_page: Callable[..., Page]
) -> None:
    page = open_page(render_html(invalid_run.subject, invalid_run.history, invalid_run.results))
    page.goto(f"{page.url}#a1")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    settle(page)
    start, end = shown_range(page)
    named = invalid_run.results.results[0].anomalies[0].indices
    times = [event.time / S for event in invalid_run.history if event.index in named]

    assert start <= min(times)
    assert end >= max(times)
    assert end - start < max(times) - min(times) + 1


def test_escape_closes_from_anywhere(busy_page: Callable[..., Page]) -> None:
    page = busy_page(fragment="#i30")
    is_open = page.is_visible("#details")
    page.focus('[data-filter="text"]')
    page.keyboard.press("Escape")
    settle(page)

    assert is_open
    assert page.is_hidden("#details")
    assert page.evaluate("location.hash") == ""


def test_list_of_keys_opens_by_button_and_key_and_closes(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    closed = page.is_hidden("#keys")
    page.click('[popovertarget="keys"]')
    by_button = page.is_visible("#keys")
    page.keyboard.press("Escape")
    escaped = page.is_hidden("#keys")
    page.keyboard.press("?")

    assert (closed, by_button, escaped) == (True, True, True)
    assert page.is_visible("#keys")
    assert "next and previous operation" in page.inner_text("#keys")


def test_question_mark_in_a_field_is_text(busy_page: Callable[..., Page]) -> None:
    page = busy_page()
    page.focus('[data-filter="text"]')
    page.keyboard.press("?")

    assert page.is_hidden("#keys")
    assert page.input_value('[data-filter="text"]') == "?"


def test_unasked_end_is_a_red_mark_and_a_band_until_the_restart(
    busy_page: Callable[..., Page],
) -> None:
    page = busy_page(())
    y = label_y(page, "n3") - 2
    mark = pixel(page, x_of(page, 10, 58) - 6, y)
    band, after = (colours(page, x_of(page, at, 58), y, 6) for at in (15, 25))
    point_at(page, 15, y)

    assert mark == RED
    assert all(red > blue + 10 for red, _, blue in band)
    assert any(red > blue + 60 for red, _, blue in band)
    assert not any(red > blue + 60 for red, _, blue in after)
    assert "n3 ended by SIGSEGV" in page.inner_text("#tooltip")
    assert "by nobody" in page.inner_text("#tooltip")


def test_unasked_end_is_a_red_line_across_the_operations(busy_page: Callable[..., Page]) -> None:
    page = busy_page(())
    page.select_option("#grouping", "key")
    settle(page)
    x = round(x_of(page, 10, 58))

    assert RED in colours(page, x - 3, 19, 7)
    assert RED not in colours(page, x + 9, 19, 7)


def test_killed_node_has_a_grey_band_until_its_start(busy_page: Callable[..., Page]) -> None:
    page = busy_page(())
    y = label_y(page, "n2") - 2
    during, after = (pixel(page, x_of(page, at, 58), y) for at in (34, 38))
    point_at(page, 34, y)

    assert max(during) - min(during) < 20
    assert max(during) < 240
    assert during != after
    assert "by a fault" in page.inner_text("#tooltip")


def test_long_wait_has_words(busy_page: Callable[..., Page]) -> None:
    page = busy_page(())
    y = 40.0
    hatched = colours(page, x_of(page, 44, 58), y, 10)
    words = colours(page, x_of(page, 50, 58) - 60, 52, 40)
    point_at(page, 44, y)
    told = page.inner_text("#tooltip")

    assert len(hatched) > 1
    assert not any(max(colour) < 100 for colour in hatched)
    assert any(max(colour) < 100 for colour in words)
    assert "waiting for every node to serve" in told
    assert "16.0 s" in told
    assert "n3 names no leader" in told


def test_strip_of_the_whole_run_shows_crashes_and_waits(busy_page: Callable[..., Page]) -> None:
    page = busy_page(())
    mark = colours(page, x_of(page, 10, 58) - 6, 6, 3, "overview")
    wait, quiet = (colours(page, x_of(page, at, 58), 3, 4, "overview") for at in (50, 39))

    assert RED in mark
    assert len(wait) > 1
    assert len(quiet) == 1


def test_strip_of_the_whole_run_shades_few_faults_and_draws_a_line_of_many(
    busy_page: Callable[..., Page],
) -> None:
    few, many = busy_page(("kill",)), busy_page(KINDS)
    spots = [
        colours(page, x_of(page, 6.3, 58), y, 1, "overview") for page in (few, many) for y in (2, 7)
    ]

    assert few.get_attribute("#overview", "data-faults") == "shaded"
    assert many.get_attribute("#overview", "data-faults") == "density"
    assert spots[0] == spots[1]
    assert spots[2] != spots[3] == {(255, 255, 255)}


def test_tap_shows_the_words_of_a_wait_and_of_a_node_that_was_down(
    busy_page: Callable[..., Page],
) -> None:
    page = busy_page((), has_touch=True)
    canvas = page.locator("#operations")
    canvas.tap(position={"x": x_of(page, 44, 58), "y": 40})
    wait = page.inner_text("#tooltip")
    canvas.tap(position={"x": x_of(page, 34, 58), "y": label_y(page, "n2") - 2})
    down = page.inner_text("#tooltip")
    page.tap("h1")

    assert "waiting for every node to serve" in wait
    assert "by a fault" in down
    assert page.is_hidden("#tooltip")


def test_no_table_is_wider_than_the_paper(busy_page: Callable[..., Page]) -> None:
    page = busy_page(KINDS)
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins.
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    settle(page)
    wider = page.evaluate(
        """() => [...document.querySelectorAll(".wide")].filter((one) => one.offsetWidth)
          .map((one) => one.scrollWidth - one.clientWidth)"""
    )

    assert len(wider) > 3
    assert max(wider) <= 1


def test_table_of_events_breaks_no_word(busy_page: Callable[..., Page]) -> None:
    page = busy_page(("limit-bandwidth",), fragment="")
    point_at(page, 1.2, label_y(page, "limit-bandwidth"))
    page.mouse.down()
    page.mouse.up()
    page.set_viewport_size({"width": 400, "height": 800})
    lines = page.evaluate(
        """() => [...document.querySelectorAll('#details td')].map((cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return [cell.textContent, range.getClientRects().length];
        }).filter(([text]) => text && !/[ -]/.test(text))"""
    )

    assert "#" in lines[0][0]
    assert all(count == 1 for _, count in lines)


def test_names_fit_or_are_cut_with_a_title(
    run_of: Callable[..., Any], open_page: Callable[..., Page]
) -> None:
    events = [
        Event(2 * i + part, i * S + part, 0, kind, "read", i, key=key)
        for i, key in enumerate((LONG_KEY, "k", HOSTILE))
        for part, kind in enumerate((Type.INVOKE, Type.OK))
    ]
    run = run_of(events, nodes=(), concurrency=1)
    page = open_page(render_html(run.subject, run.history, run.results))
    before = float(page.evaluate("document.documentElement.dataset.gutter"))
    page.select_option("#grouping", "key")
    settle(page)

    assert before < float(page.evaluate("document.documentElement.dataset.gutter")) == 220
    assert labels(page) == [f"key {HOSTILE}", f"key {LONG_KEY}", "key k"]
    titles = [each.get_attribute("title") for each in page.locator("#lane-labels > *").all()]
    assert titles[1:] == [f"key {LONG_KEY}", None]
    assert page.locator("#timeline img").count() == 0


def test_narrow_screen_shows_the_refused_operation_first(
    invalid_run: Any, open_page: Callable[..., Page]
) -> None:
    page = open_page(
        render_html(invalid_run.subject, invalid_run.history, invalid_run.results),
        viewport={"width": 400, "height": 800},
    )
    settle(page)
    bar = page.locator(".op-bar.refused").first.bounding_box()
    figure = page.locator(".across").first

    assert figure.evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert bar is not None
    assert 0 <= bar["x"] <= 400 - bar["width"]


def test_timeline_of_thousands_of_faults_is_drawn(
    run_of: Callable[..., Any], open_page: Callable[..., Page]
) -> None:
    events = [*events_of_clients(2, 1)]
    for i in range(3000):
        for part, f in enumerate(("start-partition", "stop-partition")):
            shared = {"time": i * S // 100 + part * S // 200, "process": "partition", "f": f}
            events.append({**shared, "type": Type.INVOKE})
            events.append({**shared, "type": Type.INFO, "value": {"targets": ["n1"]}})
    events.sort(key=lambda event: event["time"])
    run = run_of([Event(index=index, **event) for index, event in enumerate(events)], nodes=NODES)
    page = open_page(render_html(run.subject, run.history, run.results))
    settle(page)

    assert shaded(page) == 0
    assert labels(page)[-2:] == ["partition", "n1"]
    page.focus("#timeline-chart")
    for _ in range(16):
        page.keyboard.press("+")
    settle(page)
    assert 0 < shaded(page) <= 8
