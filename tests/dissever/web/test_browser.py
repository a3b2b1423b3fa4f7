"""The pages in a real browser: filters, two runs, a run that goes on; nothing leaves the server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dissever.harness import store
from dissever.harness.history import Event, Type
from dissever.harness.results import Anomaly, Verdict
from dissever.runs import index
from dissever.web import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Keep = Callable[..., Path]
Visit = Callable[..., "Page"]

S = 1_000_000_000
SPOILED = (Path(__file__).parents[2] / "reports" / "widths.js").read_text(encoding="utf-8")
LIMITS = {"slack": 1, "word": 20, "overlap": 3}
STALE = Anomaly(
    name="stale-read", summary="old", indices=(1,), signature="linearizable/stale-read/read"
)


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """Opens a page; at the end nothing was complained of, and nobody else was asked."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_page(path: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(server.url.rstrip("/") + path)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    outside = [url for url in requests if not url.startswith((server.url, "data:"))]
    assert (complaints, outside) == ([], [])


def path_of(run: Path, runs: Path) -> str:
    return str(run.relative_to(runs))


def events(*, seconds: int, latency_ms: int, ok: bool = True) -> tuple[Event, ...]:
    """Ten operations a second."""
    found = []
    for number in range(10 * seconds):
        start = number * S // 10
        kind = Type.OK if ok else Type.FAIL
        found.append(Event(2 * number, start, 0, Type.INVOKE, "read"))
        found.append(Event(2 * number + 1, start + latency_ms * 1_000_000, 0, kind, "read"))
    return tuple(found)


@pytest.fixture
def three(runs: Path, keep_run: Keep) -> dict[int, Path]:
    return {
        1: keep_run(runs, 1, events=events(seconds=20, latency_ms=2)),
        2: keep_run(
            *(runs, 2, Verdict.INVALID),
            age=timedelta(days=1),
            anomalies=(STALE,),
            events=events(seconds=10, latency_ms=50),
        ),
        3: keep_run(runs, 3, Verdict.UNKNOWN, age=timedelta(days=2), system="redis"),
    }


def seeds(page: Page) -> list[str]:
    """Of the rows that are seen."""
    cells = page.locator(".runs tbody tr:visible td:nth-child(6)")
    return [text.strip() for text in cells.all_inner_texts()]


def test_list_is_filtered_by_links_and_fields(three: dict[int, Path], visit: Visit) -> None:
    page = visit("/")
    assert seeds(page) == ["1", "2", "3"]

    page.click(".verdicts a.verdict-invalid")
    assert seeds(page) == ["2"]
    assert "verdict=invalid" in page.url

    page.click(".verdicts a.verdict-invalid")
    page.select_option("select[name=system]", "redis")
    page.click("button:has-text('Filter')")
    assert seeds(page) == ["3"]

    page.click("text=Clear")
    page.click(".kinds a >> text=linearizable/stale-read/read")
    assert seeds(page) == ["2"]


def test_list_is_sorted_by_its_heads(three: dict[int, Path], visit: Visit) -> None:
    page = visit("/")
    page.click("th a >> text=Operations")
    assert seeds(page) == ["1", "2", "3"]

    page.click("th a >> text=Operations")
    assert seeds(page) == ["3", "2", "1"]
    assert page.get_attribute("th:has-text('Operations')", "aria-sort") == "ascending"


def test_search_hides_rows_while_one_types(three: dict[int, Path], visit: Visit) -> None:
    page = visit("/")
    page.keyboard.press("/")
    page.keyboard.type("stale-read INVALID")
    assert seeds(page) == ["2"]

    page.fill("#search", "")
    assert seeds(page) == ["1", "2", "3"]


def test_two_runs_are_chosen_and_compared(three: dict[int, Path], runs: Path, visit: Visit) -> None:
    page = visit("/")
    button = page.locator("button:has-text('Compare')")
    assert button.is_disabled()

    for box in page.locator(".runs input[type=checkbox]").all()[:2]:
        box.check()
    assert button.is_enabled()

    button.click()
    page.wait_for_selector("h1:has-text('Two runs')")
    text = page.inner_text("main")
    assert "Different seeds, same options, same versions." in text
    assert "only B" in text
    assert "linearizable/stale-read/read" in text
    assert "2.00 ms" in text
    assert "50.0 ms" in text


def test_curves_are_where_the_numbers_are(three: dict[int, Path], runs: Path, visit: Visit) -> None:
    """Run A lasts twice as long as B, and is 25 times as fast."""
    both = "&".join(f"run={path_of(three[seed], runs)}" for seed in (1, 2))
    page = visit(f"/compare?{both}")
    boxes = page.evaluate(
        """() => [...document.querySelectorAll(".curve")].map((curve) =>
          [...curve.querySelectorAll("path.line")].map((path) => {
            const { x, y, width, height } = path.getBBox();
            return [x, y, width, height];
          }))"""
    )

    rates, median, _ = boxes
    assert rates[0][0] + rates[0][2] == pytest.approx(1000, abs=20)
    assert rates[1][0] + rates[1][2] == pytest.approx(500, abs=20)
    assert median[0][1] > median[1][1] + 20  # A is lower: its latency is smaller.
    assert median[0][3] < 2


def test_pages_work_without_script(three: dict[int, Path], runs: Path, visit: Visit) -> None:
    page = visit("/", java_script_enabled=False)
    page.select_option("select[name=system]", "redis")
    page.click("button:has-text('Filter')")
    page.wait_for_url("**system=redis**")
    assert seeds(page) == ["3"]

    page.goto(page.url.partition("?")[0])
    for box in page.locator(".runs input[type=checkbox]").all()[:2]:
        box.check()
    page.click("button:has-text('Compare')")
    page.wait_for_selector("path.line", state="attached")
    assert page.locator("path.line").count() == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_the_window(
    width: int, scheme: Any, three: dict[int, Path], runs: Path, visit: Visit
) -> None:
    first, second = (path_of(three[seed], runs) for seed in (1, 2))
    size = {"width": width, "height": 800}
    for path in ("/", f"/run/{first}/", f"/live/{first}/", f"/compare?run={first}&run={second}"):
        page = visit(path, viewport=size, color_scheme=scheme)

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(SPOILED, LIMITS) == [], path


def test_keyboard_reaches_everything(three: dict[int, Path], visit: Visit) -> None:
    page = visit("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(({ name, id, textContent }) => name || id || textContent.trim())"
                "(document.activeElement)"
            )
        )
    assert {"system", "signature", "search", "run", "Operations"} <= seen


def test_colours_are_remembered(three: dict[int, Path], visit: Visit) -> None:
    page = visit("/")
    page.click("#theme")
    page.click("#theme")
    page.reload()
    page.wait_for_selector("html[data-ready]")

    assert page.get_attribute("html", "data-theme") == "dark"


EVIL = """<!doctype html><title>evil</title><p id=out>waiting</p><script>
(async () => {
  const said = [];
  const load = () => new Promise((ok, no) => {
    const image = new Image();
    image.onload = ok;
    image.onerror = no;
    image.src = "/style.css";
  });
  const acts = [
    () => fetch("/"), load, () => localStorage.getItem("theme"), () => document.cookie,
    () => open("/") || Promise.reject(),
  ];
  for (const act of acts) {
    try { await act(); said.push("could"); } catch { said.push("refused"); }
  }
  document.getElementById("out").textContent = said.join(" ");
})();
</script>"""


def test_report_that_holds_any_script_cannot_read_other_runs(
    three: dict[int, Path], runs: Path, browser: Browser, server: Server
) -> None:
    (three[2] / "index.html").write_text(EVIL)
    page = browser.new_page()
    try:
        page.goto(f"{server.url}report/{path_of(three[2], runs)}")
        page.wait_for_function("document.getElementById('out').textContent !== 'waiting'")
        said = page.inner_text("#out")
        page.goto(f"{server.url}run/{path_of(three[2], runs)}/")
    finally:
        page.close()

    assert said == "refused refused refused refused refused"


def test_page_of_a_run_that_goes_on_follows_it_to_its_end(
    runs: Path, keep_run: Keep, visit: Visit
) -> None:
    run = keep_run(runs, 1, None, has_outcome=False)
    path = path_of(run, runs)
    encode = msgspec.json.Encoder().encode_lines
    kill = [
        Event(100, S, "kill", Type.INVOKE, "kill"),
        Event(101, S, "kill", Type.INFO, "kill", {"targets": ["n2"], "evidence": {"held": True}}),
    ]
    with store.being_made(run):
        page = visit(f"/live/{path}/")
        assert "preparing" in page.inner_text("#live")

        (run / store.HISTORY).write_bytes(encode(events(seconds=3, latency_ms=2)) + encode(kill))
        page.wait_for_selector("#live >> text=30")
        page.wait_for_selector("#live >> text=kill n2")
        assert "killed" in page.inner_text(".nodes article:has-text('n2')")
        assert "● up" in page.inner_text(".nodes article:has-text('n1')")
    done = keep_run(runs, 1, Verdict.VALID, name="other")
    for name in (store.OUTCOME, store.RESULTS, store.REPORT):
        shutil.copy(done / name, run / name)
    page.wait_for_selector("#report")
    page.click("#report")

    assert page.inner_text("body") == "the report"


def test_page_says_when_the_server_is_gone(
    runs: Path, keep_run: Keep, browser: Browser, server: Server
) -> None:
    run = keep_run(runs, 1, None, has_outcome=False)
    page = browser.new_page()
    try:
        with store.being_made(run):
            page.goto(f"{server.url}live/{path_of(run, runs)}/")
            page.route("**/part/**", lambda route: route.abort())
            page.wait_for_selector("#lost:visible")
    finally:
        page.close()


def test_real_report_works_in_its_sandbox(runs: Path, server: Server, browser: Browser) -> None:
    """The run is made by another process: this thread belongs to the browser's event loop."""
    command = [sys.executable, "-m", "dissever", "test", "simulated", "-t", "2", "--quiet"]
    subprocess.run(
        [*command, "--bug", "stale-read", "--seed", "1", "--runs", runs],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # It is invalid.
    )
    (run,) = index(runs).runs
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{server.url}report/{run.path}")
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("html[data-frame-ms]")
    heading = page.inner_text("h1")
    page.click("[data-copy]")
    page.close()

    assert "invalid" in heading
    assert complaints == []


@pytest.mark.cluster
def test_real_run_is_watched_from_its_first_second_to_its_report(runs: Path, visit: Visit) -> None:
    command = [sys.executable, "-m", "dissever", "test", "dqlite", "-w", "register", "-f", "pause"]
    with subprocess.Popen(
        [*command, "-t", "6", "--fault-interval", "2", "--runs", runs, "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (found := index(runs).runs):
            assert process.poll() is None
        page = visit(f"/live/{found[0].path}/")
        page.wait_for_selector("#live >> text=/[1-9]\\d* s of 6 s/", timeout=60_000)
        assert page.locator("path.line").count() == 5
        page.wait_for_selector("#report", timeout=100_000)
        assert process.wait() in (0, 2)
    assert page.inner_text("#live h1") == "dqlite, register"
