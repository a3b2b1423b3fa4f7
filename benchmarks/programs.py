"""Programs that benchmarks compile for themselves, and what cannot be had on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent


class Missing(Exception):
    """What a part of a benchmark needs and this machine has not, in words."""


def compiled(name: str, folder: Path) -> Path:
    """
    The program of `NAME.c` of this folder, compiled into another one.

    Raises:
        Missing: Without a C compiler.
        subprocess.CalledProcessError: When it does not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler")
    program = folder / name
    subprocess.run(
        [compiler, "-O2", "-std=c11", str(HERE / f"{name}.c"), "-o", str(program)], check=True
    )
    return program
