"""
The interactive prompt: editing, history, completion. It hands complete lines to the shell.

The history is a file of mode 0600: statements may hold secrets. Its place is DQLITE_HISTORY (empty:
none), else `dqlite/history` under XDG_STATE_HOME or ~/.local/state.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from dqlite.commands.dots import DOTS
from dqlite.commands.texts import is_whole

PROMPT = "dqlite> "
CONTINUATION = "   ...> "

_KEYWORDS = tuple(
    """
    ALTER ANALYZE AND AS ASC BEGIN BETWEEN BLOB BY CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT
    CREATE CROSS DEFAULT DEFERRED DELETE DESC DISTINCT DROP ELSE END ESCAPE EXCEPT EXCLUSIVE EXISTS
    EXPLAIN FOREIGN FROM GLOB GROUP HAVING IMMEDIATE IN INDEX INNER INSERT INTEGER INTERSECT INTO IS
    JOIN KEY LEFT LIKE LIMIT NATURAL NOT NULL OFFSET ON OR ORDER OUTER PLAN PRAGMA PRIMARY QUERY
    REAL RECURSIVE REFERENCES RELEASE RENAME REPLACE ROLLBACK ROWID SAVEPOINT SELECT SET TABLE TEXT
    THEN TO TRANSACTION TRIGGER UNION UNIQUE UPDATE USING VACUUM VALUES VIEW WHEN WHERE WITH WITHOUT
    """.split()  # noqa: SIM905 - a list of so many words is harder to read
)


class Words(Completer):
    """
    Completes dot-commands and their words at the start, keywords of SQL and names of tables after.

    Attributes:
        names: Of tables and columns; set anew when they may have changed.
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what the word before the cursor can become."""
        before = document.text_before_cursor.lstrip()
        word = document.get_word_before_cursor(WORD=True)
        if before.startswith("."):
            command, *rest = before.split(" ")
            known: Iterable[str] = DOTS[command].words if rest and command in DOTS else DOTS
        else:
            word = word.rpartition("(")[2].rpartition(",")[2]
            known = (*self.names, *(_like(word, each) for each in _KEYWORDS))
        if word or before.startswith("."):
            yield from (
                Completion(each, start_position=-len(word))
                for each in known
                if each.lower().startswith(word.lower()) and each != word
            )


def _like(word: str, keyword: str) -> str:
    return keyword.lower() if word.islower() else keyword


def open_history() -> History:
    """Return the history in the user's file, or in memory where that cannot be written."""
    path = _history_path()
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        click.echo(f"no history: {error}", err=True)
        return InMemoryHistory()
    return FileHistory(path)


def _history_path() -> Path | None:
    named = os.environ.get("DQLITE_HISTORY")
    if named is not None:
        return Path(named) if named else None
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except RuntimeError:  # this user has no home
        return None
    return state / "dqlite" / "history"


def prompt_session(words: Words) -> "PromptSession[str]":
    """Return a prompt whose Enter key ends a line that `is_whole`, and breaks any other."""

    @Condition
    def goes_on() -> bool:
        return not is_whole(get_app().current_buffer.text)

    return PromptSession(
        PROMPT,
        multiline=goes_on,
        prompt_continuation=CONTINUATION,
        history=open_history(),
        completer=words,
        complete_while_typing=False,
        enable_history_search=True,
    )
