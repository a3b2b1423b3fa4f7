"""
Reports: what a run was, for people and for CI servers.

`render_html` makes the one page that shows the bug, `summary` the last lines on a terminal,
`render_junit` what a CI server reads. All are pure functions of a plan, a history and its results;
the caller writes the files.
"""

from dissever.reports.anomaly_view import named_indices
from dissever.reports.bands import Band, Faults, Mark, pair_faults
from dissever.reports.figures import Figures, figures
from dissever.reports.html import render_html
from dissever.reports.junit import render_junit
from dissever.reports.node_events import NodeEvent
from dissever.reports.text import summary

__all__ = [
    "Band",
    "Faults",
    "Figures",
    "Mark",
    "NodeEvent",
    "figures",
    "named_indices",
    "pair_faults",
    "render_html",
    "render_junit",
    "summary",
]
