"""Templates of pages: every value is escaped, and a name that nobody gave is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

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
    made.filters.update(whole=whole)
    made.filters.update(filters)
    return made


def whole(text: str) -> Markup:
    """
    A line that may break at spaces, commas and slashes only, as commands and signatures must.

    A browser breaks at hyphens, too, and puts the dashes of an option on another line.
    """
    pieces = re.findall(r"[^\s,/]+[,/]*|[,/]+|\s+", text)
    mark = Markup('<span class="whole">{}</span>')
    return Markup("").join(" " if piece.isspace() else mark.format(piece) for piece in pieces)
