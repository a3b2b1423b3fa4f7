"""What the charts ask of a run, by its own functions in a browser, against plain counting."""

from __future__ import annotations

import re
from itertools import pairwise
from math import ceil
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import dissever.reports
from dissever.harness.latency import quantile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FOLDER = Path(dissever.reports.__file__).parent / "page"
SCRIPTS = ("format", "draw", "data", "view", "quantiles", "measures")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Any:
    """An empty page that knows the functions of some scripts."""
    context = browser.new_context()
    made = context.new_page()
    made.add_script_tag(
        content="\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    )
    yield made
    context.close()


def ask(page: Page, script: str, *arguments: Any) -> Any:
    """What a function of the page returns."""
    return page.evaluate(f"(given) => ({script})(...given)", list(arguments))


def random_run(seed: int, *, is_thinned: bool) -> dict[str, Any]:
    """Columns as the page has them, where operations overlap, and some never complete."""
    rng = Random(seed)
    count = rng.choice((1, 7, 64, 900))
    moments = sorted(rng.sample(range(10 * count + 10), count))
    rows = []
    for start in moments:
        kind = rng.choice((0, 0, 0, 1, 2))
        is_done = kind < 2 or rng.random() < 0.5
        rows.append([start, start + int(rng.lognormvariate(3, 2)), kind, is_done])
    events = sorted(
        [(row[0], 0, place) for place, row in enumerate(rows)]
        + [(row[1], 1, place) for place, row in enumerate(rows) if row[3]]
    )
    index, done = [0] * count, [0] * count
    for number, (_, is_end, place) in enumerate(events):
        if is_end:
            done[place] = number - index[place]
        else:
            index[place] = number
    run = {
        "count": count,
        "index": index,
        "done": done,
        "start": [row[0] for row in rows],
        "end": [row[1] for row in rows],
        "type": [row[2] for row in rows],
    }
    if is_thinned:
        run["weight"] = [rng.randrange(1, 9) for _ in rows]
    return run


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("is_thinned", [False, True], ids=["whole", "thinned"])
def test_completions_per_bin_are_those_that_are_counted_one_by_one(
    page: Page, seed: int, is_thinned: bool
) -> None:
    run, rng = random_run(seed, is_thinned=is_thinned), Random(seed)
    shown = [rng.random() < 0.7 for _ in range(run["count"])]
    limits = sorted(rng.sample(range(-5, 12_000), 40))
    found = ask(
        page,
        """(run, shown, limits) => {
          run.byCompletion = completionOrder(run);
          const completions = completionsOf(run, shown);
          return [0, 1, 2].map((outcome) => completedBetween(completions, outcome, limits));
        }""",
        run,
        shown,
        limits,
    )
    weight = run.get("weight", [1] * run["count"])
    wanted = [
        [
            sum(
                weight[i]
                for i in range(run["count"])
                if shown[i] and run["done"][i] and run["type"][i] == outcome
                if start <= run["end"][i] < end
            )
            for start, end in pairwise(limits)
        ]
        for outcome in range(3)
    ]

    assert found == wanted


@pytest.mark.parametrize("seed", range(12))
def test_quantiles_of_any_stretch_are_those_of_its_sorted_latencies(page: Page, seed: int) -> None:
    rng = Random(seed)
    count = rng.choice((1, 31, 32, 33, 700))
    values = [int(rng.lognormvariate(rng.choice((1, 7, 13)), 2)) for _ in range(count)]
    values[0] = rng.choice((0, 1, 2**31 - 1))
    stretches = [sorted(rng.sample(range(count + 1), 2)) for _ in range(60)]
    found = ask(
        page,
        """async (values, stretches, shares) => {
          const levels = await makeRanks(Uint32Array.from(values));
          const of = (share, from, to) => quantileBetween(levels, share, from, to);
          return stretches.map((each) => shares.map((share) => of(share, ...each)));
        }""",
        values,
        stretches,
        [0.5, 0.95, 0.99],
    )

    wanted = [
        [quantile(sorted(values[start:end]), percent) for percent in (50, 95, 99)]
        for start, end in stretches
    ]
    assert found == wanted


def test_bars_cover_the_pixels_that_operations_of_their_look_touch(page: Page) -> None:
    page.add_script_tag(content=(FOLDER / "timeline.js").read_text(encoding="utf-8"))
    for seed in range(20):
        rng = Random(seed)
        start, end, now = [], [], 0
        for _ in range(rng.choice((3, 60, 2500))):
            now += int(rng.expovariate(0.02))
            start.append(now)
            now += int(rng.expovariate(rng.choice((0.5, 0.02))))
            end.append(now)
        sight = sorted(rng.sample(range(now + 50), 2))
        bars = ask(
            page,
            """(run, sight) => {
              [view.start, view.end] = sight;
              const bars = barsOfLook(run, { left: 100, right: 700 }, [...run.start.keys()], true);
              const covered = new Set();
              for (let k = 0; k < bars.length; k += 3) {
                const end = bars[k + 1] + bars[k + 2];
                for (let x = Math.floor(bars[k + 1]); x < end; x++) covered.add(x);
              }
              return [...covered];
            }""",
            {"start": start, "end": end},
            sight,
        )
        scale = 600 / (sight[1] - sight[0])
        places = [
            (100 + (time - sight[0]) * scale for time in pair)
            for pair in zip(start, end, strict=True)
        ]
        touched: set[int] = set()
        for begin, stop in places:
            if stop >= 100 and begin < 700:
                first = int(max(100, begin))
                touched.update(range(first, max(first + 1, ceil(min(700, stop)))))

        assert touched - set(bars) == set(), (seed, sight)
        # A bar is a pixel wide at least, so it may end in the next one.
        assert {x for x in bars if not {x - 1, x, x + 1} & touched} == set(), (seed, sight)


def test_no_two_scripts_of_the_page_have_a_function_of_one_name() -> None:
    names: dict[str, str] = {}
    for script in sorted(FOLDER.glob("*.js")):
        text = script.read_text(encoding="utf-8")
        for name in re.findall(r"^(?:async )?function (\w+)", text, re.MULTILINE):
            assert name not in names, (name, names[name], script.name)
            names[name] = script.name

    assert len(names) > 100
