"""Verdicts and how they make one."""

from __future__ import annotations

import pytest

from dissever.harness.results import Result, Verdict, merge


def result(name: str, verdict: Verdict) -> Result:
    return Result(checker=name, verdict=verdict, why=f"{name} says so")


def test_verdicts_are_ordered_by_severity() -> None:
    assert Verdict.VALID < Verdict.UNKNOWN < Verdict.INVALID
    assert max(Verdict) is Verdict.INVALID
    assert Verdict.UNKNOWN.word == "unknown"


@pytest.mark.parametrize(
    ("verdicts", "expected", "why"),
    [
        ("", Verdict.UNKNOWN, "nothing was checked"),
        ("vv", Verdict.VALID, "every checker is content"),
        ("vu", Verdict.UNKNOWN, "b: b says so"),
        ("uiv", Verdict.INVALID, "b: b says so"),
        ("ivi", Verdict.INVALID, "a: a says so; c: c says so"),
    ],
)
def test_several_give_the_greatest_and_its_reasons(verdicts, expected, why) -> None:
    by_letter = {verdict.word[0]: verdict for verdict in Verdict}

    merged = merge(result(n, by_letter[v]) for n, v in zip("abc", verdicts, strict=False))

    assert merged.verdict is expected
    assert merged.why == why
    assert len(merged.results) == len(verdicts)
