"""Templates of pages: every value is escaped, and a name that nobody gave is an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from dissever.harness.values import count_text, listed, shorten
from dissever.reports.labels import duration_text


def environment(folder: Path, **filters: Callable[..., Any]) -> jinja2.Environment:
    """The templates of a folder, with the filters `count`, `duration`, `shorten` and more."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(count=count_text, duration=duration_text, listed=listed, shorten=shorten)
    made.filters.update(filters)
    return made
