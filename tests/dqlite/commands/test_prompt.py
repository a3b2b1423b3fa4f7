"""The history is private, and words are completed."""

import stat
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory

from dqlite.commands.prompt import Words, open_history


def test_history_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DQLITE_HISTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "dqlite" / "history"
    path.parent.mkdir()
    path.touch(0o644)

    assert isinstance(open_history(), FileHistory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_history_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("", str(tmp_path / "file" / "history")):
        (tmp_path / "file").touch()
        monkeypatch.setenv("DQLITE_HISTORY", place)

        assert isinstance(open_history(), InMemoryHistory)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (".cl", [".cluster"]),
        (".mode c", ["csv"]),
        (".assign 127.0.0.1:9001 st", ["stand-by"]),
        ("SELECT * FROM mo", ["model"]),
        ("sel", ["select"]),
        ("INSERT INTO t(ke", ["key"]),
        ("SELECT ", []),
    ],
)
def test_words_are_completed(typed: str, completed: list[str]) -> None:
    words = Words()
    words.names = ("model", "key")
    found = words.get_completions(Document(typed), CompleteEvent())

    assert [each.text for each in found][:1] == completed
