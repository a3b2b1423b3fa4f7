"""The list of runs as values: filters as they stand in an address, order, pages, kinds. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from dissever.harness.results import Verdict
from dissever.runs import Query, Stored
from dissever.runs.query import NO_VERDICT, VERDICTS, word
from dissever.runs.units import parse_since

PAGE_RUNS: Final = 100
KINDS_MAX: Final = 50
FIELDS: Final = ("system", "workload", "fault", "verdict", "signature", "seed", "since")

_SORTS: Final[Mapping[str, Callable[[Stored], Any]]] = {
    "started": lambda run: run.started_at,
    "verdict": lambda run: -1 if run.verdict is None else VERDICTS.index(run.verdict.word),
    "system": lambda run: (run.system, run.workload),
    "seed": lambda run: -1 if run.seed is None else run.seed,
    "duration": lambda run: run.duration_s or 0.0,
    "operations": lambda run: run.operations or 0,
    "size": lambda run: run.size_bytes,
}
NEWEST_FIRST: Final = "-started"


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of an address that are known here, each at most once."""

    fields: Mapping[str, str]

    def link(self, **changes: str) -> str:
        """The address with some fields changed; an empty one is left out."""
        wanted = {**self.fields, "page": "", **changes}
        query = urlencode(
            {name: value for name, value in wanted.items() if value}, errors="replace"
        )
        return f"/?{query}" if query else "/"

    def get(self, name: str) -> str:
        """What stands in a field; empty where nothing does."""
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the list can be sorted by: its link sorts by it, or the other way round."""

    name: str
    link: str
    order: str
    """`ascending`, `descending` or empty."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of failure: how many runs have it, the newest of them, and a link that filters."""

    signature: str
    count: int
    newest: Stored
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the page of the list shows. `runs` are those of one page out of `meant`."""

    asked: Asked
    runs: Sequence[Stored]
    meant: int
    all: int
    size_bytes: int
    verdicts: Sequence[tuple[str, str, int, str, bool]]
    """Word, glyph, count, link, and whether it is chosen."""

    choices: Mapping[str, Sequence[str]]
    columns: Mapping[str, Column]
    kinds: Sequence[Kind]
    page: int
    previous: str
    next: str
    problems: Sequence[str]


def listing(runs: Sequence[Stored], asked: Asked, now: datetime) -> Listing:
    """The runs that an address asks for."""
    query, problems = query_of(asked, now)
    meant = query.of(runs)
    counts = Counter(map(word, replace(query, verdicts=()).of(runs)))
    key = asked.get("sort") or NEWEST_FIRST
    name = key.removeprefix("-")
    if name in _SORTS:
        meant = tuple(sorted(meant, key=_SORTS[name], reverse=key.startswith("-")))
    page = _number(asked.get("page"))
    start = (page - 1) * PAGE_RUNS
    return Listing(
        asked=asked,
        runs=meant[start : start + PAGE_RUNS],
        meant=len(meant),
        all=len(runs),
        size_bytes=sum(run.size_bytes for run in meant),
        verdicts=[
            (each, _glyph(each), counts[each], asked.link(verdict="" if is_on else each), is_on)
            for each in VERDICTS
            for is_on in (asked.get("verdict") == each,)
        ],
        choices={
            "system": sorted({run.system for run in runs}),
            "workload": sorted({run.workload for run in runs}),
            "fault": sorted({fault for run in runs for fault in run.faults}),
        },
        columns={each: _column(each, key, asked) for each in _SORTS},
        kinds=tuple(_kinds(meant, asked)),
        page=page,
        previous=asked.link(page=str(page - 1)) if page > 1 else "",
        next=asked.link(page=str(page + 1)) if start + PAGE_RUNS < len(meant) else "",
        problems=problems,
    )


def _number(text: str) -> int:
    """The number of a page; the first where there is none."""
    return max(1, int(text)) if re.fullmatch("[0-9]{1,6}", text) else 1


def query_of(asked: Asked, now: datetime) -> tuple[Query, list[str]]:
    """The query of an address, and what of it cannot be understood and does not count."""
    problems = []
    seed, since = None, None
    if text := asked.get("seed"):
        if text.isascii() and text.isdigit() and len(text) < 20:
            seed = int(text)
        else:
            problems.append("seed: expected a whole number; it does not filter")
    if text := asked.get("since"):
        try:
            since = parse_since(text, now)
        except ValueError as error:
            problems.append(f"since: {error}; it does not filter")
    verdict = asked.get("verdict")
    if verdict and verdict not in VERDICTS:
        problems.append(f"verdict: expected one of {', '.join(VERDICTS)}; it does not filter")
        verdict = ""
    query = Query(
        system=asked.get("system"),
        workload=asked.get("workload"),
        faults=(asked.get("fault"),) if asked.get("fault") else (),
        verdicts=(verdict,) if verdict else (),
        signature=asked.get("signature"),
        seed=seed,
        since=since,
    )
    return query, problems


def _glyph(word: str) -> str:
    """Of a verdict; a dash stands for none."""
    return "–" if word == NO_VERDICT else Verdict(word).glyph


def _column(name: str, key: str, asked: Asked) -> Column:
    is_sorted = key.removeprefix("-") == name
    order = ("descending" if key.startswith("-") else "ascending") if is_sorted else ""
    other = name if order == "descending" else f"-{name}"
    return Column(name, asked.link(sort="" if other == NEWEST_FIRST else other), order)


def _kinds(runs: Sequence[Stored], asked: Asked) -> Iterator[Kind]:
    """The most frequent first."""
    found: dict[str, list[Stored]] = {}
    for run in runs:
        for signature in run.signatures:
            found.setdefault(signature, []).append(run)
    for signature, having in sorted(found.items(), key=lambda each: -len(each[1]))[:KINDS_MAX]:
        newest = max(having, key=lambda run: run.started_at)
        yield Kind(signature, len(having), newest, asked.link(signature=signature))
