"""Dependencies between transactions over rows in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dissever.checkers.rows.dependencies import Dependency
from dissever.checkers.rows.recorded import Micro, Transaction
from dissever.checkers.rows.versions import Version
from dissever.checkers.transactions.narration import by_process, by_time
from dissever.harness.results import Edge
from dissever.native.graph import Kind

__all__ = ["edge_of", "edge_without_data", "selected", "summary"]


def edge_of(
    edge: Dependency, transactions: Sequence[Transaction], names: Mapping[int, str]
) -> Edge:
    """An edge of a cycle with its sentence and what it follows from."""
    source, target = transactions[edge.source], transactions[edge.target]
    cited: list[tuple[int, int]] = []
    if edge.reader is not None:
        reader = target if edge.kind is Kind.WR else source
        cited.append((reader.event, edge.reader.place))
    writers = (target,) if edge.kind is Kind.RW else (source,)
    for writer in (source, target) if edge.kind is Kind.WW else writers:
        cited += [(writer.event, m.place) for m in writer.writes() if m.row == edge.row.row]
    return Edge(
        source=source.index,
        target=target.index,
        kind=edge.kind.name.lower(),
        key=edge.row.row,
        text=_text(edge, names[edge.source], names[edge.target]),
        cited=tuple(dict.fromkeys(cited)),
    )


def edge_without_data(
    kind: Kind, source: Transaction, target: Transaction, names: Mapping[int, str]
) -> Edge:
    """An edge of a process or of real time."""
    first, second = names[source.number], names[target.number]
    if kind is Kind.PROCESS:
        text = by_process(source.process, first, second)
    else:
        text = by_time(first, source.end or 0, second, target.begin)
    return Edge(source=source.index, target=target.index, kind=kind.name.lower(), text=text)


def selected(micro: Micro) -> str:
    """A select in words: `value % 3 = 0 of key 2`."""
    assert micro.where is not None
    modulus, remainder = micro.where
    if modulus == 1:
        return f"all rows of key {micro.key}"
    return f"the rows of key {micro.key} with value % {modulus} = {remainder}"


def summary(edges: Sequence[Edge], *, is_derived: bool) -> str:
    """One sentence for a newcomer."""
    text = "; ".join(edge.text for edge in edges)
    end = "so none of them can come first"
    if is_derived:
        end += ", and no other version of a row that was missed would explain that"
    return f"{text}; {end}"


def _text(edge: Dependency, source: str, target: str) -> str:
    row = f"row {edge.row.row}"
    if edge.kind is Kind.WW:
        return f"{target} {_change(edge, row)} after {source} {_made(edge.before, row)}"
    assert edge.reader is not None
    if not edge.is_missed:
        if edge.kind is Kind.WR:
            return f"{target} read {row} as {edge.version.value}, which {source} wrote"
        then = f"{target} {_overwrote(edge)}"
        return f"{source} read {row} as {edge.before.value} before {then}"
    reader = source if edge.kind is Kind.RW else target
    writer = target if edge.kind is Kind.RW else source
    did = f"selected {selected(edge.reader)}" if edge.is_predicate else f"asked for {row}"
    missed = f"{reader} {did} and did not find {row if edge.is_predicate else 'it'}"
    if edge.kind is Kind.RW:
        return f"{missed}, because {writer} {_change(edge, 'it')} only later"
    return f"{missed}, because {writer} {_change(edge, 'it')} before"


def _change(edge: Dependency, what: str) -> str:
    """What made a version of the one before it."""
    if edge.version.value is None:
        return f"deleted {what}"
    if edge.before.value is None:
        return f"inserted {what} as {edge.version.value}"
    return f"changed {what} from {edge.before.value} to {edge.version.value}"


def _made(version: Version, row: Any) -> str:
    return f"deleted {row}" if version.value is None else f"wrote {version.value}"


def _overwrote(edge: Dependency) -> str:
    return "deleted it" if edge.version.value is None else f"changed it to {edge.version.value}"
