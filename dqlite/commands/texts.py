"""
What is typed, or comes through a pipe, becomes texts that can be run: dot-commands, and whole SQL.
"""

from collections.abc import Iterable, Iterator

from dqlite import statements


def is_whole(text: str) -> bool:
    """Whether a text can be run: a dot-command, SQL that ends with its semicolon, or nothing."""
    return text.lstrip().startswith(".") or _is_blank(text) or statements.is_complete(text)


def whole(lines: Iterable[str]) -> Iterator[str]:
    """Put lines together to texts that can be run; the last SQL needs no semicolon."""
    pending = ""
    for line in lines:
        may_end = not pending or ";" in line or "*/" in line  # looking at all of it takes time
        pending += line
        if may_end and is_whole(pending):
            yield pending
            pending = ""
    yield pending


def _is_blank(text: str) -> bool:
    """Whether nothing, or whole comments, stand in a text: what follows it is not in a comment."""
    return statements.split(f"{text}\nx") == ("x",)
