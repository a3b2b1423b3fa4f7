"""What Jupyter shows of a run: what was tested, the verdict, the numbers, where the page is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from dissever.harness.history import History
from dissever.harness.notebook import results_html, table, text
from dissever.harness.results import Results
from dissever.reports.figures import Figures
from dissever.reports.gfm import COMMAND_CHARACTERS_MAX
from dissever.reports.overview import entry
from dissever.reports.subject import Subject

HEADS = ("system", "workload", "faults", "seed", "ok / fail / info", "strikes")


def judged_html(
    subject: Subject,
    history: History,
    results: Results,
    counted: Figures | None = None,
    page: Path | None = None,
) -> str:
    """
    HTML without style and script, in which every text is only text.

    Args:
        counted: Of the whole history, where `history` is a part of it.
        page: The report, which is linked.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    run = entry(subject, history, results, counted, directory="", page=None)
    counts = run.operations
    row = (
        run.system,
        run.workload,
        ", ".join(run.faults) or "none",
        "" if run.seed is None else str(run.seed),
        f"{counts.ok:,} / {counts.fail:,} / {counts.info:,}",
        str(run.faults_injected),
    )
    repeat = text(run.repeat, COMMAND_CHARACTERS_MAX)
    lines = (
        results_html(results),
        table(HEADS, [row]),
        f"<p>repeat: <code>{repeat}</code></p>" if repeat else "",
        "" if page is None else f'<p><a href="{_address(page)}">the report</a></p>',
    )
    return "".join(lines)


def _address(page: Path) -> str:
    """Where a browser finds a file. A relative path stays relative, and is never a scheme."""
    return page.as_uri() if page.is_absolute() else quote(str(page))
