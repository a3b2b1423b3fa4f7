"""What is typed becomes texts that can be run; the history is private; words are completed."""

import stat
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory

from dqlite.commands import prompt
from dqlite.commands.prompt import Words, is_whole, open_history, whole


@pytest.mark.parametrize(
    "text", ["", "  \n", "-- nothing", "SELECT 1;", ".cluster", " .leader", "SELECT 1; -- done"]
)
def test_whole_text_is_run(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize(
    "text",
    ["SELECT 1", "SELECT ';", "/* open", "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1;"],
)
def test_text_that_goes_on_is_not_run(text: str) -> None:
    assert not is_whole(text)


def test_lines_of_a_pipe_are_put_together() -> None:
    lines = """\
-- a comment
.leader
SELECT 1,
  ';
';
/* .cluster
*/ SELECT 2; SELECT 3
""".splitlines(keepends=True)

    assert [text.strip() for text in whole(lines) if text.strip()] == [
        "-- a comment",
        ".leader",
        "SELECT 1,\n  ';\n';",
        "/* .cluster\n*/ SELECT 2; SELECT 3",
    ]


def test_long_statement_is_not_looked_at_again_for_each_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []
    monkeypatch.setattr(prompt, "is_whole", lambda text: looks.append(text) or is_whole(text))
    lines = ["INSERT INTO t VALUES (0)\n", *[", (1)\n"] * 1000, ";\n"]

    assert list(whole(lines)) == ["".join(lines), ""]
    assert len(looks) == 2


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
