"""The summary of a CI job: small however much was found, and nothing in it but text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from dissever.harness.results import Anomaly, Result, Verdict, merge
from dissever.reports import Entry, entry, overview, render_markdown
from dissever.reports.markdown import BYTES_MAX

HOSTILE = "<script>1</script> | ``` @admin [x](http://a.b) **b** $x$ _y_ &amp; \n# \u202e\x1b"


def entry_of(run: Any, **changed: Any) -> Entry:
    made = entry(
        run.subject, run.history, run.results, directory="runs/a", page="runs/a/index.html"
    )
    return replace(made, **changed)


@pytest.fixture
def hostile(run_of: Callable[..., Any]) -> Entry:
    """An invalid run in which every text is out to be read as something else."""
    anomaly = Anomaly(name=HOSTILE, summary=HOSTILE, indices=(), key=HOSTILE)
    result = Result(checker=HOSTILE, verdict=Verdict.INVALID, why=HOSTILE, anomalies=(anomaly,))
    run = run_of([], merge([result]), faults=(HOSTILE,), system=HOSTILE, workload=HOSTILE)
    return entry_of(run, repeat=f"dissever test '{HOSTILE}'", page=HOSTILE)


def test_invalid_run_is_explained_with_the_line_that_repeats_it(invalid_run: Any) -> None:
    text = render_markdown(overview([entry_of(invalid_run)]))

    assert text.startswith("### ✗ dissever: invalid\n")
    assert "| ✗ invalid | dqlite | register | partition, kill, pause | 7741 |" in text
    assert "#### ✗ stale-read (linearizable)" in text
    assert "3. Later still a third client read 41, which 42 had replaced." in text
    assert f"```sh\n{invalid_run.subject.command}\n```" in text


def test_one_kind_of_finding_is_told_once_for_all_runs(invalid_run: Any, valid_run: Any) -> None:
    entries = [entry_of(invalid_run), entry_of(valid_run), entry_of(invalid_run, seed=8)]
    text = render_markdown(overview(entries))

    assert "### ✗ dissever: invalid (2 invalid, 1 valid)" in text
    assert text.count("#### ") == 1
    assert "#### ✗ stale-read (linearizable) in 2 of 3 runs" in text


def test_unknown_is_explained_and_is_no_pass(unknown_run: Any) -> None:
    text = render_markdown(overview([entry_of(unknown_run)]))

    assert text.startswith("### ? dissever: unknown\n")
    assert "It is not a pass." in text
    assert "the budget of 20,000,000 configurations ran out" in text


def test_nothing_is_unknown() -> None:
    assert render_markdown(overview([])) == "### ? dissever: unknown\n\nThere was no run.\n"


def test_hostile_texts_are_only_text(hostile: Entry) -> None:
    lines = render_markdown(overview([hostile])).splitlines()
    fences = [index for index, line in enumerate(lines) if re.fullmatch("`{4,}(sh)?", line)]
    assert len(fences) == 2
    assert fences[1] - fences[0] == 2  # The command is one line, and does not close its fence.
    prose = "\n".join(lines[: fences[0]] + lines[fences[1] + 1 :])

    assert not re.search(r"<(?!/?code>)|[@\[\]*$`_\\\x1b\u202e]|://", prose)
    rows = [line for line in lines if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {9}


@pytest.mark.parametrize("text", [HOSTILE, "|", "\N{PILE OF POO}"])
def test_summary_of_very_much_stays_small(text: str, hostile: Entry) -> None:
    (finding,) = hostile.findings
    long = text * 1_000
    findings = tuple(
        replace(finding, signature=str(n), name=long, summary=long, steps=(long,) * 12)
        for n in range(5_000)
    )
    huge = replace(hostile, findings=findings, repeat=long, page=long, system=long, faults=(long,))
    written = render_markdown(overview([huge] * 1_000))

    assert len(written.encode()) < BYTES_MAX
    assert "900 more runs with no worse verdict" in written
    assert "4,980 more kinds of findings" in written


def test_run_that_could_not_be_made_is_never_valid(valid_run: Any, invalid_run: Any) -> None:
    failed = overview([entry_of(valid_run)], "no Docker")

    assert (failed.verdict, failed.exit_status) == (Verdict.UNKNOWN, 3)
    assert render_markdown(failed).startswith("### ? dissever: unknown\n\nA run could not be made:")
    assert overview([entry_of(invalid_run)], "no Docker").exit_status == 1
