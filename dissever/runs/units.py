"""Sizes and ages as people type and read them: `1.2 GB`, `5G`, `30d`, `3 days`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dissever.harness.durations import seconds as duration_s
from dissever.harness.values import count_text, quoted

_SIZES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_AGES_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?)B?", re.IGNORECASE | re.ASCII)
_UNITS_S: Final = (("year", 31_536_000), ("day", 86_400), ("hour", 3600), ("minute", 60))


def size_text(size_bytes: int) -> str:
    """A size with two or three digits and its unit, in powers of 1,000."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def age_text(seconds: float) -> str:
    """How long ago something was, in its greatest unit."""
    for unit, length in _UNITS_S:
        if seconds >= length:
            return f"{count_text(int(seconds // length), unit)} ago"
    return "just now" if seconds >= 0 else "in the future"


def short_age(seconds: float) -> str:
    """An age in its greatest unit, as `parse_age_s` reads it: `12m`, `3h`, `5d`."""
    units = list(_AGES_S.items())
    name, length = next((each for each in reversed(units) if seconds >= each[1]), units[0])
    return f"{max(0, int(seconds // length)):,}{name}"


def parse_size(text: str) -> int:
    """
    A size in bytes: `5G`, `200 MB`, `1.5g`, in powers of 1,000.

    Raises:
        ValueError: When it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 500M or 5G, got {quoted(text)}")
    return round(float(match[1]) * _SIZES[match[2].upper()])


def parse_age_s(text: str) -> float:
    """
    An age in seconds: a duration with its unit, such as `30d`, `12h` or `1d12h`.

    A plain number is refused: `--older-than 30` would mean 30 seconds, and remove nearly all runs.

    Raises:
        ValueError: When it is none.
    """
    try:
        if text.strip()[-1:].isalpha():
            return duration_s(text)
    except ValueError:
        pass
    raise ValueError(f"expected an age such as 90m, 12h, 7d or 2w, got {quoted(text)}")


def parse_time(text: str) -> datetime | None:
    """A time in ISO 8601, which is UTC where it names no zone; None when it is none."""
    try:
        time = datetime.fromisoformat(text.strip())
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def parse_since(text: str, now: datetime) -> datetime:
    """
    A point in time: an age before `now`, or a date or time in ISO 8601, which is UTC by default.

    Raises:
        ValueError: When it is neither.
    """
    try:
        time = parse_time(text)
        return now - timedelta(seconds=parse_age_s(text)) if time is None else time
    except (ValueError, OverflowError) as error:
        what = "expected an age such as 7d or 12h, or a date such as 2026-11-30"
        raise ValueError(f"{what}, got {quoted(text)}") from error
