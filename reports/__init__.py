"""
Reports: what a run was, for people and for CI servers.

`render_html` makes the one page that shows the bug, `summary` the last lines on a terminal,
`render_junit` what a CI server reads. All are pure functions of a subject, a history and its
results; the caller writes the files.
"""

from dissever.reports.anomaly_view import named_indices
from dissever.reports.figures import Figures, figures
from dissever.reports.html import render_html
from dissever.reports.junit import render_junit
from dissever.reports.subject import Subject
from dissever.reports.text import summary

__all__ = [
    "Figures",
    "Subject",
    "figures",
    "named_indices",
    "render_html",
    "render_junit",
    "summary",
]
