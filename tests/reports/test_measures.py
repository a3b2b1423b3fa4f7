"""What the charts ask of a run, by its own functions in a browser, against plain counting."""

from __future__ import annotations

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
SCRIPTS = (
    *("format", "slices", "draw", "data", "view", "lanes", "density", "cloud", "charts"),
    *("quantiles", "measures", "timeline"),
)


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
        """async (run, shown, limits) => {
          run.byCompletion = await completionOrder(run);
          const completions = await completionsOf(run, shown);
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


def apart(rng: Random, count: int) -> tuple[list[int], list[int], int]:
    """Starts and ends of operations that do not overlap, and when the last one ends."""
    start, end, now = [], [], 0
    for _ in range(count):
        now += int(rng.expovariate(0.02))
        start.append(now)
        now += int(rng.expovariate(rng.choice((0.5, 0.02))))
        end.append(now)
    return start, end, now


@pytest.mark.parametrize("seed", range(20))
def test_columns_hold_the_time_that_narrow_operations_took_in_each_pixel(
    page: Page, seed: int
) -> None:
    rng = Random(seed)
    start, end, last = apart(rng, rng.choice((3, 60, 2500)))
    kinds = [rng.choice((0, 0, 0, 1, 2)) for _ in start]
    sight = sorted(rng.sample(range(last + 50), 2))
    found = ask(
        page,
        """(run, sight) => {
          [view.start, view.end] = sight;
          const all = [...run.start.keys()];
          const looks = [0, 1, 2].map((kind) => all.filter((i) => run.type[i] === kind));
          const { times, bars } = columnsOf(run, { left: 100, right: 700 }, { looks, sums: null });
          return { times: [...times], bars };
        }""",
        {"start": start, "end": end, "type": kinds, "end_us": last},
        sight,
    )
    scale = 600 / (sight[1] - sight[0])
    times = [0.0] * 1800
    wide = []
    for i, (begin, stop) in enumerate(zip(start, end, strict=True)):
        x, length = (begin - sight[0]) * scale, max(1, stop - begin) * scale
        if stop < sight[0] or begin >= sight[1]:
            continue
        if length >= 5:
            wide.append(i)
            continue
        for pixel in range(max(0, int(x // 1)), min(600, ceil(x + length))):
            part = min(x + length, pixel + 1) - max(x, pixel)
            times[600 * kinds[i] + pixel] += max(0, part)

    assert found["times"] == pytest.approx(times, abs=1e-6)
    assert set(wide) <= {i for bars in found["bars"] for i in bars[::3]}


@pytest.mark.parametrize("seed", range(3))
def test_sums_over_bins_are_the_times_of_all_operations(page: Page, seed: int) -> None:
    start, end, last = apart(Random(seed), 9000)
    sight = [last // 10, last]
    found = ask(
        page,
        """async (run, sight) => {
          [view.start, view.end] = sight;
          const list = [...run.start.keys()], looks = [list, [], [], []];
          const sums = await sumsOf(run, { list, looks });
          const { times } = columnsOf(run, { left: 0, right: 500 }, { looks, sums });
          return { times: [...times.slice(0, 500)], bars: sums[0].length };
        }""",
        {"start": start, "end": end, "end_us": last},
        sight,
    )
    length = last / 2**14
    edges = [
        round((sight[0] + pixel * (sight[1] - sight[0]) / 500) / length) * length
        for pixel in range(501)
    ]
    wanted = [
        sum(
            max(0.0, min(high, begin + max(1, stop - begin)) - max(low, begin))
            for begin, stop in zip(start, end, strict=True)
        )
        for low, high in pairwise(edges)
    ]

    assert found["bars"] == 2**14 + 1
    # An edge at the middle of a bin may be rounded to either side.
    close = [abs(one - other) <= 1e-3 for one, other in zip(found["times"], wanted, strict=True)]
    assert sum(close) >= 490
    assert sum(found["times"]) == pytest.approx(sum(wanted), rel=1e-3)


@pytest.mark.parametrize("count", [100, 20_000])
def test_cells_of_latencies_hold_every_operation_in_sight(page: Page, count: int) -> None:
    rng = Random(count)
    start = sorted(rng.randrange(10**8) for _ in range(count))
    took = [int(rng.lognormvariate(7, 2)) + 1 for _ in start]
    cells = ask(
        page,
        """async (run) => {
          [view.start, view.end] = [0, run.end_us];
          const list = [...run.start.keys()], byOutcome = [list, [], []];
          const powers = await latencyPowers(run, list);
          const cloud = await cloudOf(run, byOutcome, powers);
          view.measures = { powers, byOutcome, cloud };
          const cells = cellsOf(run, { left: 0, right: 600 }, 0, 301);
          const sums = Array.from({ length: 300 }, (_, column) => {
            let sum = 0;
            for (let at = column; at < cells.length; at += 301) sum += cells[at];
            return sum;
          });
          return { sums, isSummed: cloud[0] !== null };
        }""",
        {"start": start, "end": [a + b for a, b in zip(start, took, strict=True)], "end_us": 10**8},
    )
    wanted = [0] * 300
    for each in start:
        wanted[each * 300 // 10**8] += 1

    assert cells["isSummed"] == (count > 3000)
    # A bin that two cells share counts in both by its parts.
    assert all(abs(a - b) <= 6 for a, b in zip(cells["sums"], wanted, strict=True))
    assert sum(cells["sums"]) == pytest.approx(count, abs=0.5)
