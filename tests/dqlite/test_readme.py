"""The first page is true: ten lines are a cluster of three, and a client reads what they wrote."""

import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dqlite.interop.tools import free_address

ROOT = Path(__file__).parents[2]
README = (ROOT / "dqlite" / "README.md").read_text(encoding="utf-8")
PROGRAM, CLIENT = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PROMPT = ". Enter ends this node: "
COMMANDS = re.findall(r"^python visits\.py ([^#]*?) +# (.*)$", README, re.MULTILINE)


@pytest.fixture
def start(library: None, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program of the first page with some words; it ends with the test."""
    (tmp_path / "visits.py").write_text(PROGRAM, encoding="utf-8")
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                (sys.executable, "-u", "visits.py", *words),
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str], said: str) -> str:
    """What it has printed, as much as `said` is expected to be, once all of that is there."""
    assert process.stdout is not None
    return process.stdout.read(len(said))


def test_program_has_ten_lines() -> None:
    assert PROGRAM.count("\n") == 10


@pytest.mark.cluster
def test_ten_lines_are_a_cluster_that_survives_one_node(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    words = [command.split() for command, _ in COMMANDS]
    addresses = {each[0]: free_address() for each in words}
    words = [[addresses[word] for word in each] for each in words]
    nodes = []
    for each, (_, said) in zip(words, COMMANDS, strict=True):
        nodes.append(start(*each))
        assert told(nodes[-1], said + PROMPT) == said + PROMPT

    nodes[0].communicate("\n")
    assert nodes[0].returncode == 0
    again = start(*words[0])
    said = f"visits: {len(words) + 1}"
    assert told(again, said) == said

    client = CLIENT
    for shown, used in addresses.items():
        client = client.replace(shown, used)
    printed = subprocess.run(
        (sys.executable, "-c", client), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(printed) == len(words) + 1
    assert all(one <= other for one, other in itertools.pairwise(printed))


def test_both_lists_of_pages_are_whole() -> None:
    folder = ROOT / "docs" / "dqlite"
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}

    for text, prefix in (
        (README, "../docs/dqlite/"),
        ((folder / "README.md").read_text(encoding="utf-8"), ""),
    ):
        listed = re.findall(rf"^\| \[[\w-]+\]\({re.escape(prefix)}([\w-]+\.md)\) \|", text, re.M)
        assert sorted(listed) == sorted(pages)
