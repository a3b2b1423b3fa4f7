"""The first screen of README.md is true: its file is a system, and its commands do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

DRIVER = '''
class NoLeader(Exception):
    """What a driver might raise."""
'''


def commands(start: str) -> list[str]:
    """The lines of shell that start so, without what is said about them."""
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.startswith(start)]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with the file of the first screen, and a driver that it can import."""
    (system,) = [text for kind, text in BLOCKS if kind == "python" and "Processes" in text]
    (tmp_path / "mykv.py").write_text(f"import mydriver\n\n{system}")
    (tmp_path / "mydriver.py").write_text(DRIVER)
    return tmp_path


def run(command: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = command.removeprefix("dissever").split()
    return subprocess.run(
        [sys.executable, "-m", "dissever", *words, *more],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_for_ones_own_service_takes_the_file(own: Path) -> None:
    (command,) = commands("dissever test mykv.py")
    ran = run(command, own, "--dry-run")

    assert ran.returncode == 0, ran.stderr
    assert "partition" in ran.stdout


def test_demo_finds_the_bug(tmp_path: Path) -> None:
    (command,) = commands("dissever test simulated")
    ran = run(command, tmp_path, "--seed", "1")

    assert ran.returncode == 1, ran.stderr
    assert "lost-write" in ran.stdout


def test_two_commands_are_enough_for_a_clone() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert commands("make") == ["make demo", "make test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in ("demo", "test"))
