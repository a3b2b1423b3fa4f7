"""Cycles of transactions on the page: boxes, arrows with sentences, and the history to download."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.harness.reader import read_history
from dissever.harness.results import Anomaly, Edge, Result, Results, Verdict, merge
from dissever.judging import judge_file, render
from dissever.reports import Subject, render_html, summary
from dissever.reports.cycle import SHOWN_MAX

SKEW = """\
{:index 0, :type :invoke, :process 0, :f :txn, :value [[:r 1 nil] [:r 9 nil] [:append 2 5]]}
{:index 1, :type :invoke, :process 1, :f :txn, :value [[:r 2 nil] [:append 1 6]]}
{:index 2, :type :ok, :process 0, :f :txn, :value [[:r 1 []] [:r 9 []] [:append 2 5]]}
{:index 3, :type :ok, :process 1, :f :txn, :value [[:r 2 []] [:append 1 6]]}
{:index 4, :type :invoke, :process 0, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}
{:index 5, :type :ok, :process 0, :f :txn, :value [[:r 1 [6]] [:r 2 [5]]]}
"""


@pytest.fixture
def skew(tmp_path: Path) -> Path:
    file = tmp_path / "skew.edn"
    file.write_text(SKEW)
    return file


def ring(count: int, text: str = "T sees nothing") -> tuple[History, Results]:
    """Transactions, each of which missed what the next one appended."""
    events = []
    for number in range(count):
        asked = [["r", number, None], ["append", (number - 1) % count, number]]
        answer = [["r", number, []], asked[1]]
        events.append(Event(2 * number, number, number, Type.INVOKE, "txn", asked))
        events.append(Event(2 * number + 1, number + 1, number, Type.OK, "txn", answer))
    edges = tuple(
        Edge(
            source=2 * number,
            target=2 * ((number + 1) % count),
            kind="rw",
            key=number,
            text=text,
            cited=((2 * number + 1, 0), (2 * ((number + 1) % count), 1)),
        )
        for number in range(count)
    )
    indices = tuple(range(0, 2 * count, 2))
    anomaly = Anomaly(name="G2-item", summary="a ring", indices=indices, cycle=edges)
    result = Result(
        checker="transactions", verdict=Verdict.INVALID, why="a ring", anomalies=(anomaly,)
    )
    return History(events), merge([result])


def page_of(history: History, results: Results) -> str:
    return render_html(Subject(system="db", workload="append", command=""), history, results)


def texts(page: str, kind: str) -> list[str]:
    """The text of the elements of a class, without tags."""
    found = re.findall(rf'<li class="{kind}[^>]*>(.*?)</li>\s*(?=<li|</ol)', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", each).split()) for each in found]


def test_each_edge_is_an_arrow_with_its_sentence_and_each_transaction_a_box(skew: Path) -> None:
    page = render(judge_file(skew))

    boxes, arrows = texts(page, "txn"), texts(page, "arrow")
    assert len(boxes) == len(arrows) == 2
    assert all(re.match(r"T\d #\d, process \d, .*, ok ", box) for box in boxes), boxes
    assert arrows[0].startswith("T1 → T2 rw")
    assert arrows[1].startswith("T2 → T1 rw")
    assert "did not see" in arrows[0]
    assert page.count("the first did not see what the second wrote") == 2, "table and drawing"
    assert "the second overwrote" not in page, "only kinds that are shown are explained"


def test_what_an_edge_follows_from_is_marked(skew: Path) -> None:
    page = render(judge_file(skew))

    cited = re.findall(r'<li class="cited">(.*?)</li>', page)
    assert sorted(cited) == ["append 1 6", "append 2 5", "r 1 []", "r 2 []"]
    assert "<li>r 9 []</li>" in page


def test_the_window_calls_transactions_what_the_drawing_calls_them(skew: Path) -> None:
    bars = re.findall(r'class="op-bar[^>]*><span>(.*?)</span>', render(judge_file(skew)))

    assert sorted(bars)[:2] == ["T1", "T2"]


def test_the_steps_are_not_said_twice(skew: Path) -> None:
    judged = judge_file(skew)

    assert judged.results.results[0].anomalies[0].steps
    assert '<ol class="steps">' not in render(judged)


def test_the_smallest_history_is_on_the_page_and_is_judged_alike(
    skew: Path, tmp_path: Path
) -> None:
    judged = judge_file(skew)
    found = re.search(
        r'<a download="([^"]+)" href="data:application/x-ndjson;base64,([^"]+)"', render(judged)
    )
    assert found is not None
    file = tmp_path / found[1]
    file.write_bytes(base64.b64decode(found[2]))

    assert len(read_history(file).history.operations) == 2
    again = judge_file(file)
    assert again.results.verdict is Verdict.INVALID
    assert [each.name for each in again.results.results[0].anomalies] == [
        each.name for each in judged.results.results[0].anomalies
    ]


def test_the_models_are_named_on_the_page_and_on_the_terminal(skew: Path) -> None:
    judged = judge_file(skew)
    said = "models ruled out: repeatable-read and whatever is stronger"

    assert said in render(judged)
    text = summary(judged.subject, judged.history, judged.results, None).plain
    assert said in " ".join(text.split())


@pytest.mark.parametrize("count", [2, SHOWN_MAX, SHOWN_MAX + 1, 1000])
def test_a_long_cycle_folds_in_its_middle(count: int) -> None:
    page = page_of(*ring(count))

    assert len(texts(page, "txn")) == count
    folded = max(0, count - SHOWN_MAX)
    assert (f"{folded:,} more transaction" in page) == bool(folded)
    assert page.count("arrow kind-rw back") == 1
    assert texts(page, "arrow")[-1].startswith(f"T{count} → T1")


def test_hostile_texts_stay_texts() -> None:
    page = page_of(*ring(2, text="</script><img src=x onerror=alert(1)>"))

    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_cycle_that_names_what_is_not_there_is_told_by_its_steps() -> None:
    history, results = ring(3)
    part = History(history.events[:2])

    assert '<figure class="cycle">' in page_of(history, results)
    assert '<figure class="cycle">' not in page_of(part, results)


@pytest.mark.browser
def test_in_a_browser_a_box_leads_to_its_operation_and_the_file_is_saved(
    skew: Path, open_page: Any
) -> None:
    page = open_page(render(judge_file(skew)), viewport={"width": 400, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") == 400
    with page.expect_download() as started:
        page.click(".download a")
    assert read_history(Path(started.value.path())).history.operations
    page.click(".cycle .txn >> nth=1 >> a")
    assert page.evaluate("location.hash") in ("#i0", "#i1")
    assert page.is_visible(".details")


@pytest.mark.browser
def test_in_a_browser_a_ring_of_a_thousand_is_a_short_page_until_it_is_opened(
    open_page: Any,
) -> None:
    page = open_page(page_of(*ring(1000)), viewport={"width": 900, "height": 800})
    height = page.evaluate("document.querySelector('.cycle').offsetHeight")
    page.click(".cycle .folded summary")

    assert height < 2500
    assert page.evaluate("document.querySelector('.cycle').offsetHeight") > 50_000
