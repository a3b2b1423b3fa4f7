"""
When a line of a log was written and how grave it is, as its first characters say.

Times are read as dqlite, etcd, NATS, PostgreSQL, Redis, klog and most loggers of programming
languages write them. A time without a zone is local; whose, is for the caller to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

HEAD_CHARACTERS: Final = 200
"""Times and levels stand at the beginning of a line."""

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_MONTH: Final = "|".join(_MONTHS)
_HOURS: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?"

_CALENDAR: Final = tuple(
    re.compile(text)
    for text in (
        rf"(?<!\d)(?P<year>\d{{4}})([-/])(?P<month>\d\d)\2(?P<day>\d\d)[T ]{_HOURS}"
        r"(?: ?(?P<utc>Z|UTC|GMT)\b|(?P<zone>[+-]\d\d:?\d\d)\b)?",
        rf"(?<!\d)(?P<day>\d{{1,2}})[ /](?P<name>{_MONTH})[ /](?P<year>\d{{4}})[ :]{_HOURS}",
        rf"^[IWEF](?P<month>\d\d)(?P<day>\d\d) {_HOURS}",
        rf"^(?P<name>{_MONTH}) +(?P<day>\d{{1,2}}) {_HOURS}",
    )
)
_EPOCH: Final = re.compile(
    r"""(?:^|[\[{]|"(?:ts|time|timestamp)" ?: ?"?|\bLIB(?:DQLITE|RAFT)(?:\[\d+\])?:? )"""
    r"(?P<seconds>[12]\d{9})(?:\.(?P<fraction>\d{1,9})|(?P<more>\d{9}|\d{6}|\d{3}))?(?!\d)"
)

LEVELS: Final = ("error", "warning", "info", "debug", "none")

ERROR, WARNING, INFO, DEBUG, NONE = LEVELS

_KINDS: Final = {
    ERROR: "fatal panic critical crit emerg alert error err ftl severe",
    WARNING: "warning warn wrn",
    INFO: "notice info inf log",
    DEBUG: "debug dbg trace trc verbose",
}
_OF_WORD: Final = {word: level for level, words in _KINDS.items() for word in words.split()}
_STRUCTURED: Final = re.compile(r"""\b(?:level|lvl|severity)"?[=:] ?"?(\w+)""", re.IGNORECASE)
_UPPER: Final = re.compile(rf"\b({'|'.join(word.upper() for word in _OF_WORD)})\b")
_SIGIL: Final = re.compile(rf"^\d+:[A-Z] \d\d (?:{_MONTH}) [\d :.]+ ([.*#-]) ")
_OF_SIGIL: Final = {".": DEBUG, "-": DEBUG, "*": INFO, "#": WARNING}
_KLOG: Final = re.compile(r"^([IWEF])\d{4} \d\d:\d\d:\d\d")
_OF_KLOG: Final = {"I": INFO, "W": WARNING, "E": ERROR, "F": ERROR}
_GRAVE: Final = re.compile(
    r"Assertion|[Aa]ssert(?:ion)? failed|\bAborted\b|Sanitizer|Segmentation fault|^Traceback"
    r"|\bpanic\b|\b[Ff]atal\b|\b[Ee]rror\b|core dumped|ended by signal|\w+Error:"
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time in ns since 1970; `is_local`: it names no zone, so it is that of a clock on a wall."""

    unix_ns: int
    is_local: bool


def stamp_of(line: str, *, year: int) -> Stamp | None:
    """
    When a line was written; None when it does not say so, or says what no calendar has.

    Args:
        year: Of a time that names none.
    """
    head = line[:HEAD_CHARACTERS]
    for pattern in _CALENDAR:
        if (found := pattern.search(head)) is not None:
            return _of_calendar(found, year)
    found = _EPOCH.search(head)
    if found is None:
        return None
    fraction = found["fraction"] or found["more"] or ""
    return Stamp(int(found["seconds"]) * 10**9 + _fraction_ns(fraction), is_local=False)


def level_of(line: str) -> str:
    """How grave a line is: one of LEVELS, `none` when it does not say so."""
    head = line[:HEAD_CHARACTERS]
    found = _STRUCTURED.search(head)
    if found is not None and (level := _OF_WORD.get(found[1].lower())) is not None:
        return level
    if (found := _SIGIL.match(head)) is not None:
        return _OF_SIGIL[found[1]]
    if (found := _KLOG.match(head)) is not None:
        return _OF_KLOG[found[1]]
    if (found := _UPPER.search(head)) is not None:
        return _OF_WORD[found[1].lower()]
    return ERROR if _GRAVE.search(head) else NONE


def _of_calendar(found: re.Match[str], year: int) -> Stamp | None:
    parts = found.groupdict()
    month = _MONTHS.index(parts["name"]) + 1 if parts.get("name") else int(parts["month"])
    days = _days(int(parts.get("year") or year), month, int(parts["day"]))
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    if days is None or hour > 23 or minute > 59 or second > 60:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    zone = parts.get("zone")
    if zone:
        ahead_s = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds -= ahead_s if zone[0] == "+" else -ahead_s
    unix_ns = seconds * 10**9 + _fraction_ns(parts["fraction"] or "")
    return Stamp(unix_ns, is_local=not (zone or parts.get("utc")))


def _fraction_ns(digits: str) -> int:
    return int(digits.ljust(9, "0")[:9])


@lru_cache(256)
def _days(year: int, month: int, day: int) -> int | None:
    """Days since 1970; None when there is no such day."""
    try:
        return date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
