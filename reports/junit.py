"""
A run as junit.xml: a test suite per run, a test case per checker.

An invalid result is a failure and an unknown one an error, so that neither can pass for a success.
Source: the xunit1 family as pytest writes it, which Jenkins, GitLab and GitHub actions read.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from dissever.harness.history import History
from dissever.harness.results import Anomaly, Result, Results, Verdict, merge
from dissever.reports.figures import figures
from dissever.reports.labels import NS_PER_S, shorten
from dissever.reports.prose import DOES_NOT_MEAN
from dissever.reports.subject import Subject

MESSAGE_CHARACTERS_MAX = 400
ANOMALIES_MAX = 10

# What XML 1.0 cannot hold in any form.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(subject: Subject, history: History, results: Results, report_path: str) -> str:
    """
    The document, with its XML declaration.

    Args:
        report_path: Where the HTML report is; failures and errors name it.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    cases = _cases(results)
    failures = sum(1 for case in cases if case.verdict is Verdict.INVALID)
    errors = sum(1 for case in cases if case.verdict is Verdict.UNKNOWN)
    seconds = f"{history.duration_ns / NS_PER_S:.3f}"
    totals = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = ET.Element("testsuites", {"name": "dissever", **totals, "time": seconds})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": _clean(f"{subject.system}.{subject.workload}"),
            **totals,
            "skipped": "0",
            "time": seconds,
            "timestamp": _clean(subject.started),
        },
    )
    _add_properties(suite, subject, history, results, report_path)
    for case in cases:
        _add_case(suite, subject, case, report_path)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _cases(results: Results) -> tuple[Result, ...]:
    """The results, and one for the run itself where its verdict is worse than theirs."""
    if results.results and merge(results.results).verdict >= results.verdict:
        return results.results
    run = Result(checker="run", verdict=results.verdict, why=results.why)
    return (*results.results, run)


def _add_properties(
    suite: ET.Element, subject: Subject, history: History, results: Results, report_path: str
) -> None:
    found = figures(history.operations, end_ns=history.duration_ns)
    properties = {
        "verdict": results.verdict.word,
        "seed": "" if subject.seed is None else subject.seed,
        "workload": subject.workload,
        "faults": ",".join(subject.faults),
        "operations": found.total,
        "ok": found.ok,
        "fail": found.fail,
        "info": found.info,
        "report": report_path,
        "command": subject.command,
    }
    parent = ET.SubElement(suite, "properties")
    for name, value in properties.items():
        ET.SubElement(parent, "property", {"name": name, "value": _clean(str(value))})


def _add_case(suite: ET.Element, subject: Subject, case: Result, report_path: str) -> None:
    place = f"dissever.{subject.system}.{subject.workload}"
    element = ET.SubElement(
        suite, "testcase", {"classname": _clean(place), "name": _clean(case.checker), "time": "0"}
    )
    if case.verdict is Verdict.VALID:
        return
    kind = "failure" if case.verdict is Verdict.INVALID else "error"
    name = case.anomalies[0].name if case.anomalies else case.verdict.word
    problem = ET.SubElement(
        element,
        kind,
        {"message": _clean(shorten(case.why, MESSAGE_CHARACTERS_MAX)), "type": _clean(name)},
    )
    shown = [_explain(anomaly) for anomaly in case.anomalies[:ANOMALIES_MAX]]
    omitted = len(case.anomalies) - len(shown)
    paragraphs = [case.why, *shown, *([f"and {omitted} more"] if omitted else [])]
    if case.verdict is Verdict.UNKNOWN:
        paragraphs.append(DOES_NOT_MEAN[Verdict.UNKNOWN])
    paragraphs.append(f"report: {report_path}\nrepeat: {subject.command}")
    problem.text = _clean("\n\n".join(paragraphs))


def _explain(anomaly: Anomaly) -> str:
    key = "" if anomaly.key is None else f" (key {anomaly.key})"
    steps = [f"  {number}. {step.text}" for number, step in enumerate(anomaly.steps, 1)]
    return "\n".join([f"{anomaly.name}{key}: {anomaly.summary}", *steps])


def _clean(text: str) -> str:
    """The text with what XML cannot hold written as its number."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
