"""What a program prints that compares an engine with brute force."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

LIMIT_S = 1200
"""A program that does not end is ended; those of many random cases may take minutes."""


def compared(program: Path, line: re.Pattern[str], *arguments: int) -> list[tuple[str, ...]]:
    """The groups of each line that it prints and that looks like `line`; it must find nothing."""
    done = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [match.groups() for match in map(line.fullmatch, done.stdout.splitlines()) if match]
