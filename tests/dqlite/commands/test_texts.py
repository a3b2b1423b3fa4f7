"""What is typed becomes texts that can be run."""

import pytest

from dqlite.commands import texts
from dqlite.commands.texts import is_whole, whole


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
    monkeypatch.setattr(texts, "is_whole", lambda text: looks.append(text) or is_whole(text))
    lines = ["INSERT INTO t VALUES (0)\n", *[", (1)\n"] * 1000, ";\n"]

    assert list(whole(lines)) == ["".join(lines), ""]
    assert len(looks) == 2
