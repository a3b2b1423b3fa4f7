"""The last lines of a run on the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dissever.harness.results import Result, Verdict, merge
from dissever.reports import render_html, summary

REPORT = Path("runs/a run/index.html")


def lines_of(of: Any, report: Path | None = REPORT, *, run: Path | None = None) -> list[str]:
    return summary(of.subject, of.history, of.results, report, run=run).plain.splitlines()


def test_invalid_run_is_explained_step_by_step(invalid_run: Any) -> None:
    lines = lines_of(invalid_run)

    assert lines[0] == "✗ INVALID"
    assert any(line.startswith("  stale-read (key 3): A read returned 41") for line in lines)
    assert "  3. Later still a third client read 41, which 42 had replaced." in lines
    assert any(line.endswith(": read → 41") for line in lines)


def test_longest_order_and_who_confirms_are_told(invalid_run: Any) -> None:
    text = " ".join(line.strip() for line in lines_of(invalid_run))

    assert (
        "the longest order gets to: write 41 (then 41), write 42 (then 42), read → 42 (then 42); "
        "read → 41 cannot follow: it holds 42 confirmed by a second engine (wgl) "
    ) in text


def test_last_lines_are_where_to_look_and_what_to_type(invalid_run: Any) -> None:
    assert lines_of(invalid_run, run=REPORT.parent)[-5:] == [
        f"  report  {REPORT}",
        f"  repeat  {invalid_run.subject.command}",
        "  check   dissever check 'runs/a run'",
        "  replay  dissever replay 'runs/a run'",
        "  shrink  dissever shrink 'runs/a run'",
    ]


def test_a_valid_run_is_not_to_be_shrunk(valid_run: Any) -> None:
    assert lines_of(valid_run, run=REPORT.parent)[-1] == "  replay  dissever replay 'runs/a run'"


def test_history_from_elsewhere_has_no_report(valid_run: Any) -> None:
    lines = lines_of(valid_run, None)

    assert not any(line.startswith(("  report", "  check")) for line in lines)


def test_unknown_run_gives_the_reason_and_is_no_pass(unknown_run: Any) -> None:
    lines = lines_of(unknown_run)

    assert lines[0] == "? UNKNOWN"
    assert "budget" in lines[1]
    assert any("not a pass" in line for line in lines)


def test_counts_and_evidence_are_in_sight(invalid_run: Any) -> None:
    text = " ".join(" ".join(lines_of(invalid_run)).split())

    assert "6 faults injected (partition, kill, pause): 4 were seen to take effect, 2 were" in text
    assert "longest time without an ok" in text


def test_brackets_in_a_reason_stay_as_they_are(run_of: Callable[..., Any]) -> None:
    why = "expected [1 2], read [bold]"
    run = run_of([], merge([Result(checker="set", verdict=Verdict.INVALID, why=why)]))

    assert lines_of(run)[1] == f"  set: {why}"


def test_signature_stands_on_the_terminal_and_on_the_page(invalid_run: Any) -> None:
    results = replace(invalid_run.results, signature="linearizable/stale-read/read@leader")
    text = summary(invalid_run.subject, invalid_run.history, results, None).plain
    page = render_html(invalid_run.subject, invalid_run.history, results)

    assert "  signature: linearizable/stale-read/read@leader (equal for" in text
    shown = re.search('<dt>Signature</dt><dd class="mono">(.*?)</dd>', page)
    assert shown is not None
    assert re.sub("<.*?>", "", shown[1]) == "linearizable/stale-read/read@leader"
    assert "signature:" not in "\n".join(lines_of(invalid_run))
