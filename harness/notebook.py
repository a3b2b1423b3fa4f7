"""
What Jupyter shows of results: HTML without style and script, in which every text is only text.

It says of each checker what it found, in as many rows and characters as a reader takes in.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from dissever.harness.values import printable, shorten

if TYPE_CHECKING:
    from dissever.harness.results import Result, Results

WHY_CHARACTERS_MAX: Final = 600
CELL_CHARACTERS_MAX: Final = 240
ROWS_MAX: Final = 30
NAMES_MAX: Final = 6


def results_html(results: Results) -> str:
    """The verdict, its reason, and a row for each checker."""
    verdict, why = results.verdict, text(results.why, WHY_CHARACTERS_MAX)
    rows = [_row(each) for each in results.results[:ROWS_MAX]]
    left = len(results.results) - len(rows)
    more = f"<p>{left} more checkers are left out.</p>" if left else ""
    return (
        f"<p><strong>{verdict.glyph} {verdict.word}</strong>: {why}</p>"
        f"{table(('checker', 'verdict', 'anomalies', 'why'), rows)}{more}"
    )


def _row(result: Result) -> Sequence[str]:
    counts = Counter(anomaly.name for anomaly in result.anomalies)
    names = [f"{name} ({count:,})" for name, count in counts.most_common(NAMES_MAX)]
    names += ["…"] if len(counts) > NAMES_MAX else []
    verdict = f"{result.verdict.glyph} {result.verdict.word}"
    return (result.checker, verdict, ", ".join(names), result.why)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Texts as a table."""
    head = "".join(f"<th>{text(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{text(each)}</td>' for each in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text(value: str, characters_max: int = CELL_CHARACTERS_MAX) -> str:
    """A text that is only text, on one line and not too long."""
    return html.escape(shorten(printable(value), characters_max))
