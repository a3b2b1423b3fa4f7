"""
Runs as junit.xml: a test suite per run, a test case per checker.

An invalid result is a failure and an unknown one an error, so that neither can pass for a success.
Source: the xunit1 family as pytest writes it, which Jenkins, GitLab and GitHub actions read.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from dissever.harness.history import History
from dissever.harness.results import Anomaly, Result, Results, Verdict, by_cause, merge
from dissever.harness.values import printable, shorten
from dissever.reports.details import counts_of_run, unasked_ends
from dissever.reports.figures import Figures, figures_of
from dissever.reports.labels import NS_PER_S
from dissever.reports.prose import DOES_NOT_MEAN
from dissever.reports.subject import Subject

MESSAGE_CHARACTERS_MAX = 400
ANOMALIES_MAX = 10


def render_junit(
    subject: Subject,
    history: History,
    results: Results,
    report_path: str,
    *,
    counted: Figures | None = None,
) -> str:
    """
    The document of one run, with its XML declaration: as `junit_suite`.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    return render_suites([junit_suite(subject, history, results, report_path, counted=counted)])


def render_suites(suites: Sequence[ET.Element]) -> str:
    """The document of several runs, with its XML declaration."""
    totals = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors")
    }
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    root = _element("testsuites", name="dissever", **totals, time=f"{seconds:.3f}")
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def junit_suite(
    subject: Subject,
    history: History,
    results: Results,
    report_path: str,
    *,
    counted: Figures | None = None,
) -> ET.Element:
    """
    One run as an element `testsuite`.

    Args:
        report_path: Where the HTML report is; failures and errors name it.
        counted: Of the whole history, where `history` is a part of it.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    cases = _cases(results)
    verdicts = [case.verdict for case in cases]
    failures, errors = verdicts.count(Verdict.INVALID), verdicts.count(Verdict.UNKNOWN)
    totals = {"tests": len(cases), "failures": failures, "errors": errors}
    time = f"{history.duration_ns / NS_PER_S:.3f}"
    found = counted or figures_of(history)
    name = f"{subject.system}.{subject.workload}"
    suite = _element(
        "testsuite", name=name, **totals, skipped=0, time=time, timestamp=subject.started
    )
    ET.SubElement(suite, "properties").extend(
        _element("property", name=name, value=value)
        for name, value in _properties(subject, found, results, report_path).items()
    )
    suite.extend(_case(subject, case, report_path) for case in cases)
    return suite


def _element(tag: str, **attributes: object) -> ET.Element:
    return ET.Element(tag, {key: _clean(str(value)) for key, value in attributes.items()})


def _cases(results: Results) -> tuple[Result, ...]:
    """The results, and one for the run itself where its verdict is worse than theirs."""
    if results.results and merge(results.results).verdict >= results.verdict:
        return tuple(by_cause(results.results))
    run = Result(checker="run", verdict=results.verdict, why=results.why)
    return (*by_cause(results.results), run)


def _properties(
    subject: Subject, found: Figures, results: Results, report_path: str
) -> dict[str, object]:
    return {
        "verdict": results.verdict.word,
        "seed": "" if subject.seed is None else subject.seed,
        "workload": subject.workload,
        "faults": ",".join(subject.faults),
        "operations": found.total,
        "ok": found.ok,
        "fail": found.fail,
        "info": found.info,
        "report": report_path,
        "command": subject.repeat(),
        **_of_faults(results),
    }


def _of_faults(results: Results) -> dict[str, object]:
    """What succeeded around faults, and ends of nodes that faults explain, if there are any."""
    counts = counts_of_run(results)
    names = ("ok-before-faults", "ok-during-faults", "ok-after-faults")
    explained = [f"{end.what}: {end.why}" for end in unasked_ends(results) if end.why]
    return {
        **(dict(zip(names, counts, strict=True)) if counts is not None else {}),
        **({"explained-ends": "; ".join(explained)} if explained else {}),
    }


def _case(subject: Subject, case: Result, report_path: str) -> ET.Element:
    place = f"dissever.{subject.system}.{subject.workload}"
    element = _element("testcase", classname=place, name=case.checker, time=0)
    if case.verdict is Verdict.VALID:
        ET.SubElement(element, "system-out").text = _clean(case.why)
        return element
    kind = "failure" if case.verdict is Verdict.INVALID else "error"
    name = case.anomalies[0].name if case.anomalies else case.verdict.word
    problem = _element(kind, message=shorten(case.why, MESSAGE_CHARACTERS_MAX), type=name)
    element.append(problem)
    shown = [_explain(anomaly) for anomaly in case.anomalies[:ANOMALIES_MAX]]
    omitted = len(case.anomalies) - len(shown)
    paragraphs = [case.why, *shown, *([f"and {omitted} more"] if omitted else [])]
    if case.verdict is Verdict.UNKNOWN:
        paragraphs.append(DOES_NOT_MEAN[Verdict.UNKNOWN])
    paragraphs.append(f"report: {report_path}\nrepeat: {subject.repeat()}")
    problem.text = _clean("\n\n".join(paragraphs))
    return element


def _explain(anomaly: Anomaly) -> str:
    key = "" if anomaly.key is None else f" (key {anomaly.key})"
    steps = [f"  {number}. {step.text}" for number, step in enumerate(anomaly.steps, 1)]
    return "\n".join([f"{anomaly.name}{key}: {anomaly.summary}", *steps])


def _clean(text: str) -> str:
    """
    The text with its line ends, and with all else that XML cannot hold or a terminal would obey
    written as its number.
    """
    return printable(text, keep="\n\t")
