"""Templates and what they need: addresses, texts that are safe to show, units."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from dissever.harness.values import printable
from dissever.reports.labels import duration_text
from dissever.reports.templates import environment, whole
from dissever.runs.units import age_text, size_text
from dissever.web.addresses import quoted_path

PAGE: Final = Path(__file__).parent / "page"
REPORT_PAGE: Final = Path(__file__).parents[1] / "reports" / "page"


def render(template: str, **values: Any) -> bytes:
    """A page, or a part of one."""
    text = _environment().get_template(template).render(values)
    return text.encode(errors="replace")


@cache
def style() -> bytes:
    """The style of the report, then our own."""
    shared = (REPORT_PAGE / f"{name}.css" for name in ("report", "verdict", "widths"))
    return b"".join(part.read_bytes() for part in (*shared, PAGE / "serve.css"))


@cache
def script() -> bytes:
    """What makes the pages quicker to use; they work without it."""
    parts = (REPORT_PAGE / "theme.js", PAGE / "serve.js")
    return b'"use strict";\n' + b"".join(part.read_bytes() for part in parts)


@cache
def _environment() -> jinja2.Environment:
    made = environment(
        PAGE,
        address=quoted_path,
        age=_age,
        duration=lambda value: "" if value is None else duration_text(value),
        size=size_text,
        # Our own, because what is markup already is not made safe.
        whole=lambda value: whole(printable(value)),
        utc=lambda time: f"{time:%Y-%m-%d %H:%M:%S} UTC",
    )
    made.finalize = _safe
    return made


def _safe(value: Any) -> Any:
    """Names come from files: nothing hides in them, and none turns the direction of reading."""
    return printable(value, keep="\n") if type(value) is str else value


def _age(time: datetime, now: datetime) -> str:
    return age_text((now - time).total_seconds())
