"""
Build the native modules with cffi, in API mode.

setuptools reads `search` (see setup.py), with paths from the root of the project. Run as a program,
`python native/build.py` builds into `native/` for development. Compilers of users differ, so
warnings are errors in the tests only.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("search", "breadth", "depth", "cursor", "prepare", "kinds", "problem", "memo")


def module(folder: str) -> FFI:
    """The module `dissever.native._search`, from sources in `folder`."""
    header = (ROOT / "native" / "search.h").read_text(encoding="utf-8")
    without_comments = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    lines = [line for line in without_comments.splitlines() if not line.startswith("#")]
    ffi = FFI()
    ffi.cdef("\n".join([*lines, "#define SEARCH_OPEN_MAX ...", "#define SEARCH_NEVER ..."]))
    ffi.set_source(
        "dissever.native._search",
        '#include "search.h"',
        sources=[f"{folder}/search.c"],
        depends=[f"{folder}/{name}.h" for name in HEADERS],
        include_dirs=[folder],
        extra_compile_args=["-std=c11", "-O2"],
    )
    return ffi


def build_in_place() -> Path:
    """Compile in a folder of its own, without the project's settings; returns the library."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        library = Path(module(str(ROOT / "native")).compile(tmpdir=folder))
        os.chdir(ROOT)
        # The name that setuptools gives it (stable ABI): two libraries would hide each other.
        return Path(shutil.copy2(library, ROOT / "native" / "_search.abi3.so"))


search = module("native")

if __name__ == "__main__":
    print(build_in_place().relative_to(ROOT))
