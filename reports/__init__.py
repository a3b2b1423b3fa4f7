"""
Reports: what a run was, for people and for CI servers.

`render_html` makes the one page that shows the bug, `summary` the last lines on a terminal,
`render_junit` what a CI server reads. `overview` is what several runs came to, in one value;
`render_markdown` and `github_annotations` show it. All are pure functions of a subject, a history
and its results; the caller writes the files.
"""

from dissever.reports.annotations import github_annotations
from dissever.reports.anomaly_view import named_indices
from dissever.reports.figures import Figures, figures_of
from dissever.reports.html import render_html
from dissever.reports.insight import Insight, read_insight
from dissever.reports.junit import junit_suite, render_junit, render_suites
from dissever.reports.markdown import render_line, render_markdown
from dissever.reports.notebook import judged_html
from dissever.reports.overview import EXIT_FAILED, EXIT_STATUS, Entry, Overview, entry, overview
from dissever.reports.subject import Subject
from dissever.reports.text import summary

__all__ = [
    "EXIT_FAILED",
    "EXIT_STATUS",
    "Entry",
    "Figures",
    "Insight",
    "Overview",
    "Subject",
    "entry",
    "figures_of",
    "github_annotations",
    "judged_html",
    "junit_suite",
    "named_indices",
    "overview",
    "read_insight",
    "render_html",
    "render_junit",
    "render_line",
    "render_markdown",
    "render_suites",
    "summary",
]
