"""The lines of faults in a real browser: folded, chosen, sorted, linked, printed, and safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.harness.results import merge
from dissever.reports import render_html
from tests.reports.conftest import MS, S, build_subject

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FAULTS = 318
KINDS = 30
UNSEEN = 7
"""Every fault of this number has no evidence."""

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\"'&"


def page_of(count: int = FAULTS, **extra: Any) -> str:
    """A run of many faults, one a second, each of which lasts half a second."""
    drawn: list[tuple[int, int | str, Type, str, Any]] = []
    for at in range(count):
        process, targets = f"fault-{at % KINDS:02}", [f"n{1 + at % 5}"]
        observed = {"nodes": {node: {"state": "gone", "pid": at} for node in targets}, **extra}
        struck = {"targets": targets}
        if at % UNSEEN:
            struck["evidence"] = {"held": True, **observed, "leading": ["n1"]}
        healed = {"targets": targets, "evidence": {"healed": True, **observed}}
        for time, kind, f, value in (
            (at * S + 100 * MS, Type.INVOKE, "start", None),
            (at * S + 110 * MS, Type.INFO, "start", struck),
            (at * S + 600 * MS, Type.INVOKE, "stop", None),
            (at * S + 610 * MS, Type.INFO, "stop", healed),
        ):
            drawn.append((time, process, kind, f, value))
        for client in range(4):
            asked = at * S + client * 240 * MS
            drawn.append((asked, client, Type.INVOKE, "read", None))
            drawn.append((asked + 3 * MS, client, Type.OK, "read", 1))
    drawn.sort(key=lambda each: each[0])
    rows = enumerate(drawn)
    history = History([Event(i, t, who, kind, f, value) for i, (t, who, kind, f, value) in rows])
    return render_html(build_subject(), history, merge([]))


def height(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollHeight"))


def visible(page: Page) -> list[str]:
    """The faults of the lines that are shown, in order."""
    return [
        str(name)
        for name in page.evaluate(
            "[...document.querySelectorAll('.fault-line[data-fault]')]"
            ".filter((one) => one.checkVisibility()).map((one) => one.dataset.fault)"
        )
    ]


def test_hundreds_of_faults_fold_to_a_page_of_bearable_height(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(page_of())
    folded = height(page)
    page.click("#faults-all")
    every = len(visible(page))
    page.evaluate("for (const one of document.querySelectorAll('.fault-line')) one.open = true")
    page.add_style_tag(content=".fault-line { content-visibility: visible }")

    assert every == FAULTS
    assert folded < 15_000
    assert height(page) > 50_000, "what is folded is there"


def test_missing_evidence_is_in_sight_before_anything_is_asked_for(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(page_of())
    lines = page.locator(".fault-line[data-fault]")

    assert len(visible(page)) == 40
    assert lines.nth(0).get_attribute("data-rank") == "0"
    assert (lines.nth(0).text_content() or "").count("no evidence") == 1
    assert page.inner_text("#faults-all") == f"Show {FAULTS - 40} more"


def test_fault_node_and_state_choose_lines_and_order_sorts_them(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(page_of())
    page.select_option("[name=fault-fault]", "fault-03")
    of_fault = visible(page)
    page.select_option("[name=fault-node]", "n2")
    of_both = visible(page)
    page.select_option("[name=fault-node]", "every node")
    page.select_option("[name=fault-state]", "missing evidence")
    unseen = visible(page)
    page.select_option("[name=fault-fault]", "every fault")
    page.select_option("[name=fault-state]", "every state")
    page.select_option("[name=fault-order]", "time")
    times = page.evaluate(
        "[...document.querySelectorAll('.fault-line[data-fault]')].map((one) => +one.dataset.time)"
    )

    assert of_fault == ["fault-03"] * 11
    assert of_both == []
    assert unseen == ["fault-03"] * sum(at % UNSEEN == 0 for at in range(3, FAULTS, KINDS))
    assert times == sorted(times)
    assert "318 lines" in page.inner_text("#fault-filters")


def test_fault_of_the_summary_chooses_its_lines(open_page: Callable[..., Page]) -> None:
    page = open_page(page_of(60))
    page.click(".by-faults > summary")
    page.click("a[data-choose=fault-07]")

    assert visible(page) == ["fault-07"] * 2
    assert page.input_value("[name=fault-fault]") == "fault-07"


def test_line_leads_to_the_timeline_and_back(open_page: Callable[..., Page]) -> None:
    page = open_page(page_of(60))
    line = page.locator(".fault-line[data-fault]").nth(20)
    name = line.get_attribute("id")
    line.locator(".when a").click()
    page.wait_for_selector("#details:not([hidden])")
    shown = page.inner_text("#details")
    page.select_option("[name=fault-state]", "held")
    page.select_option("[name=fault-fault]", "fault-29")
    page.click("#details a:has-text('Numbers and evidence')")
    page.wait_for_selector(f"#{name}[open]")

    assert "start" in shown
    assert page.locator(f"#{name}").is_visible()
    assert "Longest time without an ok" in page.inner_text(f"#{name}")


def test_keyboard_opens_a_line(open_page: Callable[..., Page]) -> None:
    page = open_page(page_of(20))
    line = page.locator(".fault-line[data-fault]").nth(2)
    line.locator("summary").focus()
    page.keyboard.press("Enter")

    assert line.locator(".numbers").is_visible()
    assert "Injected from 14.100 s to 14.110 s" in line.inner_text()


def test_hostile_targets_and_evidence_are_text(open_page: Callable[..., Page]) -> None:
    history = [
        Event(0, 0, 0, Type.INVOKE, "read"),
        Event(1, MS, HOSTILE, Type.INVOKE, "start"),
        Event(
            *(2, 2 * MS, HOSTILE, Type.INFO, "start"),
            {"targets": [HOSTILE], "evidence": {"held": True, HOSTILE: HOSTILE}},
            error=HOSTILE,
        ),
        Event(3, 4 * MS, HOSTILE, Type.INVOKE, "stop"),
        Event(4, 5 * MS, HOSTILE, Type.INFO, "stop", {"targets": [HOSTILE], "skipped": HOSTILE}),
        Event(5, 6 * MS, 0, Type.OK, "read", 1),
    ]
    page = open_page(render_html(build_subject(), History(history), merge([])))
    page.select_option("[name=fault-node]", HOSTILE)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")

    assert visible(page) == [HOSTILE]
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert (page.text_content(".fault-line[data-fault] .proofs") or "").count(HOSTILE) >= 2


def test_narrow_screen_shows_each_line_whole(open_page: Callable[..., Page]) -> None:
    page = open_page(page_of(30), viewport={"width": 400, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    cut = page.evaluate(
        "[...document.querySelectorAll('.fault-line[data-fault]:not(.beyond) > summary > span')]"
        ".filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"
    )

    assert wide <= 400
    assert len(visible(page)) == 20
    assert cut == []


def test_print_has_every_line_and_the_evidence_of_those_that_lack_some(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(page_of(60))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    opened = page.locator(".fault-line[data-fault][open]")

    assert len(visible(page)) == 60
    assert opened.count() == sum(at % UNSEEN == 0 for at in range(60))
    assert {opened.nth(at).get_attribute("data-rank") for at in range(opened.count())} == {"0"}


def test_without_script_every_line_is_there_and_opens(browser: Browser, tmp_path: Any) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(60), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    lines = page.locator(".fault-line[data-fault]")
    lines.nth(50).locator("summary .what").click()

    assert lines.count() == 60
    assert lines.nth(50).locator(".proofs").is_visible()
    assert not page.locator("#fault-filters").is_visible()
    context.close()
