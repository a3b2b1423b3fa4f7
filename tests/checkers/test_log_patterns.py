"""Lines and exits that no healthy node leaves behind."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dissever.checkers import LogPatterns, NodeLog
from dissever.checkers.log_patterns import PATTERNS, Pattern
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("node: src/raft.c:12: start: Assertion `x' failed.", "assertion"),
        ("free(): double free detected in tcache 2", "memory-error"),
        ("malloc(): invalid size", "memory-error"),
        ("==1==ERROR: AddressSanitizer: heap-use-after-free", "memory-error"),
        ("==1==ERROR: LeakSanitizer: detected memory leaks", "leak"),
        ("log.c:3:1: runtime error: signed integer overflow", "undefined-behaviour"),
        ("Aborted (core dumped)", "abort"),
        ("raft_start(): io: load closed segment", "start-failed"),
        ("conflicting terms 3 and 4", "log-conflict"),
        ("new index conflicts with committed entry", "log-conflict"),
        ("commit index goes back from 266 to 260, applied 266", "commit-goes-back"),
        ("prepare segment failed", "disk-failed"),
    ],
)
def test_suspicious_line_is_shown(history: Notation, line: str, name: str) -> None:
    log = NodeLog("n2", "n2/stderr.log", ["started", line])

    result = LogPatterns([log])(history(""), Budget())

    assert result.verdict is Verdict.INVALID
    assert [each.name for each in result.anomalies] == [name]
    assert result.anomalies[0].steps[0].text == f"n2/stderr.log:2: {line}"


def test_calm_logs_are_valid(history: Notation) -> None:
    log = NodeLog("n2", "n2/stderr.log", ["started", "elected"])

    assert LogPatterns([log])(history(""), Budget()).verdict is Verdict.VALID


def test_no_logs_are_unknown(history: Notation) -> None:
    assert LogPatterns([])(history(""), Budget()).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("line", "value", "verdict"),
    [
        ("raft_start(): io: short read", "{'targets': ['n2'], 'damages_disk': True}", "valid"),
        ("raft_start(): io: short read", "{'targets': ['n1'], 'damages_disk': True}", "invalid"),
        ("raft_start(): io: short read", "{'targets': ['n2']}", "invalid"),
        ("double free detected", "{'targets': ['n2'], 'damages_disk': True}", "invalid"),
    ],
)
def test_to_refuse_a_disk_that_a_fault_damaged_is_right(
    history: Notation, line: str, value: str, verdict: str
) -> None:
    struck = f"disk-flip invoke start-disk-flip\ndisk-flip info start-disk-flip {value}"
    log = NodeLog("n2", "n2/stderr.log", [line])

    result = LogPatterns([log])(history(struck), Budget())

    assert result.verdict is Verdict(verdict)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_no_line_matches_without_one_of_the_words(pattern: Pattern) -> None:
    alternatives = pattern.regex.pattern.replace(r"\b", "").split("|")
    texts = [re.sub(r"\\(.)", r"\1", each) for each in alternatives]

    assert all(pattern.regex.search(text) for text in texts)
    assert sorted(texts) == sorted(pattern.words)


def test_lines_are_counted_and_the_first_are_shown(history: Notation) -> None:
    lines = ["calm", *(f"Assertion {i}" for i in range(7)), "calm"]
    (anomaly,) = LogPatterns([NodeLog("n1", "e.log", lines)])(history(""), Budget()).anomalies

    assert "e.log:2 and 6 more lines" in anomaly.summary
    assert [step.text for step in anomaly.steps] == [
        f"e.log:{i + 2}: Assertion {i}" for i in range(5)
    ]
