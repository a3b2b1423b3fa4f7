"""
What a CI server shows: a summary in Markdown, and annotations where GitHub Actions reads the log.

GitHub names a file in GITHUB_STEP_SUMMARY, to which every command of the step appends. It drops the
whole file above 1 MiB, so a command that finds too little room left writes one line, or nothing.
Annotations are lines of the log. They go to standard error, which GitHub reads as it reads standard
output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dissever.harness import store
from dissever.reports import Overview, github_annotations, render_line, render_markdown

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"
STEP_SUMMARY_BYTES_MAX: Final = 1 << 20


def publish(runs: Overview, summary: Path | None) -> Iterator[str]:
    """
    Write the summary, and print the annotations if this runs in GitHub Actions.

    Args:
        summary: The file that is written. None: GITHUB_STEP_SUMMARY is appended to, if it is set.

    Yields:
        A line for what could not be written. It changes no verdict.
    """
    step = os.environ.get(STEP_SUMMARY, "")
    try:
        if summary is not None:
            store.write_text(summary, render_markdown(runs))
        elif step and not _append(Path(step), runs):
            yield f"the summary of this step is full: expected less than 1 MiB in {step}"
    except OSError as error:
        yield f"{summary or step} could not be written: {error.strerror or error}"
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_annotations(runs):
            print(line, file=sys.stderr)


def _append(step: Path, runs: Overview) -> bool:
    """Append what fits; False when nothing does."""
    room = STEP_SUMMARY_BYTES_MAX - (step.stat().st_size if step.exists() else 0)
    for text in (render_markdown(runs), render_line(runs)):
        content = f"{text}\n".encode()
        if len(content) < room:
            with step.open("ab") as file:
                file.write(content)
            return True
    return False
