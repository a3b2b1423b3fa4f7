"""
What a browser is answered, and with which rights.

Pages of ours may load the style and the script of this server and nothing else. A report, or any
other file of a run, may come from a stranger. It gets an origin of its own, so that a script in it
can read neither this server's pages nor other runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

OURS: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of our own pages."""

REPORT: Final = (
    "sandbox allow-scripts allow-downloads allow-modals; default-src 'none';"
    " script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
"""Of report pages: the policy in such a page allows its own script alone, and both count."""

NOTHING: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""Of other files."""

HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """
    What is asked. `path` and `query` are as they came, encoded; `range_` is a header, or empty.
    """

    path: str
    query: str = ""
    range_: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an open file; who sends it closes it."""

    descriptor: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered."""

    content: bytes | Part
    content_type: str
    status: HTTPStatus = HTTPStatus.OK
    policy: str = OURS
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: HTTPStatus, why: str) -> Answer:
    """An answer in words."""
    content = f"{status.value} {status.phrase}: {why}\n".encode(errors="replace")
    return Answer(content=content, content_type=TEXT, status=status, policy=NOTHING)
