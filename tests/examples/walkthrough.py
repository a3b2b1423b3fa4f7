"""
Carries out a page of documentation as a reader does: writes its files, runs its commands.

The info string of a fenced block says what it is. A reader does not see it, so the sentence above
the block says the same.

    ```python server.py     the whole of a file
    ```diff server.py       a change of a file, in which `@@` begins a hunk
    ```sh                   commands
    ```sh root              what changes the machine, and is left out
    ```text                 what they print, among other lines and in this order; `…` stands for
                            anything within a line, or for any lines
    ```text status=1        the same, when the commands end with another status than 0
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "changed", "lacking", "walk"]

FENCE = re.compile(r"^```(\S+) ?([^\n]*)\n(.*?)^```$", re.M | re.S)
LIMIT_S = 100
STATE = ".shell-state"
SHELL = f"""
[ ! -e "$HOME/{STATE}" ] || . "$HOME/{STATE}"
trap '{{ declare -px; echo "cd $(printf %q "$PWD")"; }} > "$HOME/{STATE}"' EXIT
"""
"""Variables and the folder are as the last commands left them."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is where it begins, counted from 1."""

    language: str
    words: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page that have a language, in order."""
    for found in FENCE.finditer(page):
        language, words, text = found.groups()
        yield Block(language, words, text, page.count("\n", 0, found.start()) + 1)


def changed(text: str, diff: str) -> str:
    """
    A text after a change that has no line numbers.

    Raises:
        ValueError: When the old lines of a hunk are not in the text exactly once.
    """
    for hunk in filter(None, re.split(r"^@@.*\n", diff, flags=re.M)):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
        new = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
        if text.count(old) != 1:
            raise ValueError(f"expected these lines once, found {text.count(old)} times:\n{old}")
        text = text.replace(old, new)
    return text


def lacking(expected: str, printed: str) -> str | None:
    """The first of the expected lines that is not among the printed ones in order, or None."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in expected.splitlines():
        words = " ".join(line.split())
        pattern = ".*".join(map(re.escape, words.split("…")))
        if words not in ("", "…") and not any(re.fullmatch(pattern, each) for each in lines):
            return line
    return None


def walk(page: Path, home: Path, prelude: str = "") -> str:
    """
    Do what the page says, in an empty folder; all that the commands printed.

    Args:
        prelude: What the shell does first, such as functions that stand for programs.

    Raises:
        AssertionError: At the first block that does not do what the page says, with its line.
    """
    printed = ""
    folder, after = home, list(blocks(page.read_text(encoding="utf-8")))
    while after:
        block = after.pop(0)
        if block.language == "sh" and block.words != "root":
            expected = []
            while after and after[0].language == "text":
                expected.append(after.pop(0))
            printed += _run(page, block, expected, home, prelude)
            folder = _folder(home)
        elif block.language not in ("sh", "text") and block.words:
            _write(page, block, folder)
    return printed


def _folder(home: Path) -> Path:
    last = (home / STATE).read_text(encoding="utf-8").splitlines()[-1]
    return Path(last.removeprefix("cd "))


def _write(page: Path, block: Block, folder: Path) -> None:
    path = folder / block.words
    path.parent.mkdir(parents=True, exist_ok=True)
    if block.language != "diff":
        path.write_text(block.text, encoding="utf-8")
        return
    try:
        path.write_text(changed(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
    except ValueError as error:
        raise AssertionError(f"{page.name}:{block.line}: {block.words}: {error}") from error


def _run(page: Path, block: Block, expected: list[Block], home: Path, prelude: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SHELL + prelude + block.text],
        cwd=home,
        env={**os.environ, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    where = f"{page.name}:{block.line}: {block.text.strip()}"
    wanted = next((int(each.words.removeprefix("status=")) for each in expected if each.words), 0)
    ended = f"expected status {wanted}, got {done.returncode}"
    assert done.returncode == wanted, f"{where}\n{ended}:\n{done.stdout}"
    for each in expected:
        line = lacking(each.text, done.stdout)
        assert line is None, f"{where}\nexpected, in order, {line!r} in:\n{done.stdout}"
    return done.stdout
