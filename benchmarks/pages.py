"""
What the page of a long run costs: to read, judge and write it, and to move in it.

The floor is what a page would hold that did nothing clever: the same columns as lists in JSON,
and gzip. Seconds are those of the processor, because those compare on a machine with other work.
Frames are timed by the page itself, in the distribution's Chromium; the least of some repetitions
is what a frame takes when nothing else runs. A long task is what the browser reports as one: 50 ms
or more in which the page cannot answer. The load is that of the last minute.

    python benchmarks/pages.py [--operations 1000000] [--without-browser] [--keep FOLDER]
    python benchmarks/pages.py --page PAGE
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from long_run import write_run

REPEATS: Final = 10
ZOOMS: Final = 10
STEPS_OF_ZOOM: Final = 3
FAULTS: Final = 200
STALE: Final = 3
KIB: Final = 1024
MB: Final = 1_000_000
LIMIT_MS: Final = 120_000

NEXT_FRAME: Final = (
    "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
)

WATCH_TASKS: Final = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.tasks.push(duration);
}).observe({ type: "longtask", buffered: true });
"""
TASKS_SHOWN: Final = 3

_Made = TypeVar("_Made")


def measured(what: str, work: Callable[[], _Made]) -> _Made:
    """Do something, and print what it took."""
    began, began_cpu = time.perf_counter(), time.process_time()
    made = work()
    cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / MB
    print(f"{what:<28}{cpu_s:8.2f} s of the processor{wall_s:8.2f} s{peak_mb:8.0f} MB", flush=True)
    return made


def write(run: Path) -> None:
    """Read, judge and write a run, in this process."""
    # Imported here: the process that compares has no use for it, and its peak would count it.
    from dissever import judging
    from dissever.harness import store
    from dissever.harness.reader import read_history
    from dissever.reports.drawn import COLUMNS, drawn

    measured("read", lambda: read_history(run / store.HISTORY))
    judged = measured("read and judge", lambda: judging.judge(run))
    page = measured("write the page", lambda: judging.publish(run, judged))
    print(f"{'the page':<28}{page.stat().st_size / MB:8.2f} MB")
    operations = drawn(judged.history)
    lists = [list(getattr(operations, name)) for name in COLUMNS] + [operations.tables.text]
    floor = measured("floor: JSON and gzip", lambda: gzip.compress(json.dumps(lists).encode(), 6))
    print(f"{'floor, in base64':<28}{len(floor) * 4 / 3 / MB:8.2f} MB")


def look(page: Path) -> Iterator[str]:
    """Move in a page; a line for each thing that was timed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport={"width": 1280, "height": 1000})
        opened.add_init_script(WATCH_TASKS)
        yield _load()
        opened.goto(page.as_uri())
        opened.wait_for_selector("html[data-ready]", timeout=LIMIT_MS)
        opened.wait_for_selector("html[data-frame-ms]", timeout=LIMIT_MS)
        paint = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        yield f"first paint {opened.evaluate(paint):,.0f} ms"
        yield f"drawings after {opened.evaluate('() => performance.now()'):,.0f} ms"
        yield f"opening: {_tasks(opened)}"
        yield from _zooms(opened)
        for grouping in opened.locator("#grouping option").all_text_contents()[1:]:
            yield f"lanes by {grouping}: {_timed(opened, lambda g=grouping: _lay(opened, g))}"
            yield from _zooms(opened)
        _lay(opened, "worker")
        for what, field, text in (
            ("search", "text", "read → 22"),
            ("search removed", "text", ""),
        ):
            took = _timed(opened, lambda f=field, t=text: opened.fill(f'[data-filter="{f}"]', t))
            yield f"{what}: {took}, {opened.inner_text('#matching')}"
        yield _load()
        browser.close()


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _lay(page: Any, grouping: str) -> None:
    page.select_option("#grouping", grouping)


def _zooms(page: Any) -> Iterator[str]:
    """Frames from the whole run to what is as close as some steps lead."""
    page.focus("#timeline-chart")
    for _ in range(ZOOMS):
        frames = sorted(_frames(page))
        where = page.inner_text("#range")
        median = frames[len(frames) // 2]
        yield f"{where:<46} {frames[0]:6.1f} ms, median {median:6.1f} ms, most {frames[-1]:6.1f} ms"
        for _ in range(STEPS_OF_ZOOM):
            page.keyboard.press("+")
    page.keyboard.press("0")
    page.evaluate(NEXT_FRAME)


def _frames(page: Any) -> Iterator[float]:
    for _ in range(REPEATS):
        page.evaluate("() => dispatchEvent(new Event('resize'))")
        page.evaluate(NEXT_FRAME)
        yield float(page.evaluate("() => document.documentElement.dataset.frameMs"))


def _tasks(page: Any) -> str:
    """The long tasks since somebody asked last."""
    page.evaluate(NEXT_FRAME)
    tasks = sorted(page.evaluate("() => window.tasks.splice(0)"), reverse=True)
    longest = ", ".join(f"{task:,.0f}" for task in tasks[:TASKS_SHOWN])
    return f"{len(tasks)} long tasks" + (f" ({longest} ms)" if tasks else "")


def _timed(page: Any, act: Callable[[], None]) -> str:
    """How long something took until it was drawn, and its long tasks."""
    _tasks(page)
    began = page.evaluate("() => performance.now()")
    act()
    page.evaluate(NEXT_FRAME)
    page.wait_for_selector("html:not([data-filtering]):not([data-laying])", timeout=LIMIT_MS)
    page.evaluate(NEXT_FRAME)
    took = page.evaluate("() => performance.now()") - began
    return f"{took:,.0f} ms, {_tasks(page)}"


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--without-browser", action="store_true")
    parser.add_argument("--keep", type=Path, help="where the run is kept")
    parser.add_argument("--page", type=Path, help="a page that stands, only to be looked at")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.page:
        for line in look(asked.page.absolute()):
            print(line, flush=True)
        return
    if asked.write:
        write(asked.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        run = asked.keep or Path(folder) / "run"
        if not run.exists():
            write_run(run, asked.operations, FAULTS, STALE, seed=1)
        subprocess.run([sys.executable, __file__, "--write", str(run)], check=True)
        if not asked.without_browser:
            for line in look(run / "index.html"):
                print(line, flush=True)


if __name__ == "__main__":
    main()
