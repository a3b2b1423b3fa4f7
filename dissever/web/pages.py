"""Templates and what they need: addresses, texts that are safe to show, units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from dissever.harness.values import count_text, printable, shorten
from dissever.reports.labels import duration_text
from dissever.runs.units import age_text, size_text
from dissever.web.addresses import quoted_path

PAGE: Final = Path(__file__).parent / "page"
REPORT_STYLE: Final = Path(__file__).parents[1] / "reports" / "page" / "report.css"


def render(template: str, **values: Any) -> bytes:
    """A page, or a part of one."""
    text = _environment().get_template(template).render(values)
    return text.encode(errors="replace")


@cache
def style() -> bytes:
    """The style of the report, then our own."""
    return REPORT_STYLE.read_bytes() + (PAGE / "serve.css").read_bytes()


@cache
def script() -> bytes:
    """What makes the pages quicker to use; they work without it."""
    return (PAGE / "serve.js").read_bytes()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    environment.filters.update(
        address=quoted_path,
        age=_age,
        count=count_text,
        duration=lambda value: "" if value is None else duration_text(value),
        size=size_text,
        shorten=shorten,
        utc=lambda time: f"{time:%Y-%m-%d %H:%M:%S} UTC",
    )
    return environment


def _safe(value: Any) -> Any:
    """Names come from files: nothing hides in them, and none turns the direction of reading."""
    return printable(value, keep="\n") if type(value) is str else value


def _age(time: datetime, now: datetime) -> str:
    return age_text((now - time).total_seconds())


Values = Mapping[str, Any]
