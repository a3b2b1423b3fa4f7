"""A comment for a pull request: what it says, what it folds, and that it always fits."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from msgspec.structs import replace

from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Result, Step, Verdict, merge
from dissever.reports import Subject
from dissever.reports.exports.pull_request import CHARACTERS_MAX, render
from dissever.reports.exports.record import Record

HOSTILE = "<script>|`x`|</details> @all #1 [a](http://evil) $x$ ![i](u) \x1b[31m\u202e"
"""What Markdown, HTML or GitHub would read."""


def record_of(run: Any, **more: Any) -> Record:
    more.setdefault("directory", "runs/dqlite/register/1")
    return Record(run.subject, run.history, run.results, "ab", **more)


def tags(text: str) -> list[str]:
    return re.findall(r"<(/?[a-z]+)>", text)


def test_invalid_run_is_told_with_its_finding_its_faults_and_the_line_that_repeats_it(
    invalid_run: Any,
) -> None:
    text = render([record_of(invalid_run)])
    plain = html.unescape(text)
    anomaly = invalid_run.results.results[0].anomalies[0]

    assert text.startswith("### ✗ dissever: invalid\n")
    assert anomaly.summary[:60] in plain
    assert "#### ✗ stale-read (linearizable)" in plain
    assert "1. " in text
    assert "| struck | in force | held | healed | ok before → during → after |" in text
    assert f"```sh\n{invalid_run.subject.command}\n```" in text
    assert tags(text).count("details") == tags(text).count("/details") == 2


def test_valid_run_is_short_and_is_no_proof(valid_run: Any) -> None:
    text = render([record_of(valid_run)])

    assert text.startswith("### ✓ dissever: valid\n")
    assert "It does not prove the system correct." in text
    assert "####" not in text


def test_fault_that_lacks_evidence_comes_first() -> None:
    """The first kill was seen to hold and to heal; of the second, nobody saw anything."""
    steps = [
        ("start-kill", {"targets": ["n1"], "evidence": {"held": True}}),
        ("stop-kill", {"targets": ["n1"], "evidence": {"healed": True}}),
        ("start-kill", {"targets": ["n2"]}),
    ]
    events = []
    for number, (f, value) in enumerate(steps):
        time = number * 1_000_000_000
        events.append(Event(2 * number, time, "kill", Type.INVOKE, f))
        events.append(Event(2 * number + 1, time, "kill", Type.INFO, f, value))
    text = render([Record(Subject(system="own", workload="register", command=""), History(events),
                          merge([]), "ab")])  # fmt: skip
    rows = [line for line in text.splitlines() if re.match(r"\| [\d.,]+ s \|", line)]

    assert [row.split(" | ")[2:6] for row in rows] == [
        ["n2", "0 s", "! no evidence", "! never"],
        ["n1", "1.00 s", "✓ held", "✓ healed"],
    ]
    assert "<summary>2 faults, 1 to look at</summary>" in text


def test_fault_that_was_left_out_is_not_said_to_have_held() -> None:
    skipped = {"targets": [], "skipped": "no room", "evidence": {"held": None}}
    events = [
        Event(0, 0, "kill", Type.INVOKE, "start-kill"),
        Event(1, 0, "kill", Type.INFO, "start-kill", skipped),
    ]
    subject = Subject(system="own", workload="register", command="")
    text = render([Record(subject, History(events), merge([]), "ab")])

    assert "<summary>0 faults, 1 more left out</summary>" in text


def test_one_kind_of_finding_of_several_runs_is_told_once(invalid_run: Any, valid_run: Any) -> None:
    text = render([record_of(invalid_run), record_of(valid_run), record_of(invalid_run)])

    assert text.startswith("### ✗ dissever: invalid (2 invalid, 1 valid)")
    assert text.count("#### ✗ stale") == 1
    assert "in 2 of 3 runs" in text


def test_run_without_results_is_unknown_with_the_reason(unknown_run: Any) -> None:
    text = render([record_of(unknown_run)])

    assert text.startswith("### ? dissever: unknown")
    reasons = [each.why for each in unknown_run.results.results if each.verdict is Verdict.UNKNOWN]
    assert all(reason[:60] in html.unescape(text) for reason in reasons)
    assert reasons


def test_hostile_texts_are_only_text(invalid_run: Any) -> None:
    anomaly = Anomaly(
        name=HOSTILE, summary=HOSTILE, indices=(0,), steps=(Step(HOSTILE),), signature=HOSTILE
    )
    result = Result(checker=HOSTILE, verdict=Verdict.INVALID, why=HOSTILE, anomalies=(anomaly,))
    subject = replace(invalid_run.subject, system=HOSTILE, workload=HOSTILE, faults=(HOSTILE,))
    record = Record(subject, invalid_run.history, merge([result]), "ab", directory=HOSTILE)
    text = render([record])
    outside = re.sub(r"(?s)```.*?\n```", "", text)

    assert set(tags(outside)) <= {"details", "/details", "summary", "/summary", "code", "/code"}
    assert tags(text).count("details") == tags(text).count("/details")
    assert not re.search(r"@all|\]\(|#1\b|\$x|`x|\x1b|\u202e", outside)
    assert HOSTILE.partition("\x1b")[0] in html.unescape(outside)


@pytest.mark.parametrize("text", ["<" * 3_000, "x" * 3_000, "é" * 3_000])
def test_comment_always_fits(text: str, invalid_run: Any) -> None:
    anomalies = tuple(
        Anomaly(
            name=f"{text}{number}",
            summary=text,
            indices=(0,),
            steps=(Step(text),) * 20,
            signature=f"c/{number}",
        )
        for number in range(40)
    )
    results = merge([Result(checker="c", verdict=Verdict.INVALID, why=text, anomalies=anomalies)])
    subject = replace(invalid_run.subject, system=text, workload=text, command=text)
    record = Record(subject, invalid_run.history, results, "ab", directory=text)
    told = render([record] * 200)

    assert len(told) <= CHARACTERS_MAX
    assert len(told) > CHARACTERS_MAX // 2
    assert "left out" in told
    assert "did not fit into one comment" in told
    assert tags(told).count("details") == tags(told).count("/details")
