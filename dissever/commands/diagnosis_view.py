"""
What `doctor` found, for people: short tables, and each reason once, as a footnote.

A line of text that did not fit is folded and never cut. `doctor --json` has all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from dissever.diagnosis import Check, Diagnosis, FaultCheck

__all__ = ["tables"]

_YES: Final = "[green]✓[/]"
_NO: Final = "[red]✗[/]"


class _Notes:
    """The footnotes, in the order in which they were first needed."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, reason: str, remedy: str) -> int:
        """Of a footnote with this text; the same text has the same number."""
        text = "; ".join(filter(None, (reason, remedy)))
        return self._numbers.setdefault(text, len(self._numbers) + 1)

    def table(self) -> Table:
        """A line for each."""
        table = _table("")
        for text, number in self._numbers.items():
            table.add_row(str(number), Text(text))
        return table


def tables(found: Diagnosis) -> Iterator[RenderableType]:
    """The parts of the answer, in order; footnotes come last."""
    notes = _Notes()
    yield _checks("machine", found.machine, notes)
    yield ""
    yield _checks("systems", found.systems, notes)
    yield ""
    yield _simulators(found.simulators, notes)
    yield ""
    yield from _faults(found.faults, notes)
    yield ""
    yield notes.table()


def _checks(title: str, checks: Sequence[Check], notes: _Notes) -> Table:
    table = _table(title)
    for check in checks:
        detail = check.detail
        if not check.available:
            detail = f"see {notes.number(check.detail, check.remedy)}"
        table.add_row(_mark(check.available), f"[bold]{escape(check.what)}[/]", escape(detail))
    return table


def _simulators(checks: Sequence[Check], notes: _Notes) -> Table:
    """One line for those that are built, and one for the others."""
    table = _table("simulators")
    for is_built, group in groupby(
        sorted(checks, key=lambda each: not each.available), lambda each: each.available
    ):
        every = list(group)
        names = ", ".join(each.what for each in every)
        if not is_built:
            names = f"{names}: see {notes.number('not built yet', every[0].remedy)}"
        table.add_row(_mark(is_built), "built" if is_built else "not built", escape(names))
    return table


def _faults(checks: Sequence[FaultCheck], notes: _Notes) -> Iterator[RenderableType]:
    """
    A row for each fault, a column for each backend on which any can strike; a line for each of the
    others.
    """
    backends = tuple(dict.fromkeys(each.backend for each in checks))
    able = [name for name in backends if any(c.available for c in checks if c.backend == name)]
    cells = {(each.fault, each.backend): each for each in checks}
    table = Table("fault", *able, title="faults", box=None)
    table.title_justify = "left"
    for fault in dict.fromkeys(each.fault for each in checks):
        row = (cells[fault, backend] for backend in able)
        table.add_row(escape(fault), *(_cell(each, notes) for each in row))
    yield table
    lines = _table("")
    for backend in backends:
        if backend not in able:
            each = next(c for c in checks if c.backend == backend)
            what = f"no fault: see {notes.number(each.reason, each.remedy)}"
            lines.add_row(_NO, f"[bold]{backend}[/]", what)
    if lines.row_count:
        yield lines


def _cell(check: FaultCheck, notes: _Notes) -> str:
    """A mark, with the footnote that says why the fault cannot be injected."""
    if check.available:
        return _YES
    return f"{_NO} {notes.number(check.reason, check.remedy)}"


def _mark(is_there: bool) -> str:
    return _YES if is_there else _NO


def _table(title: str) -> Table:
    columns = (Column(), Column(no_wrap=True), Column(overflow="fold")) if title else ()
    table = Table(*columns, box=None, show_header=False, padding=(0, 1), pad_edge=False)
    if title:
        table.title, table.title_justify = title, "left"
    return table
