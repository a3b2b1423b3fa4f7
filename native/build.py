"""
Build the native modules with cffi, in API mode, and the program `faultfs` where libfuse3 is.

setuptools reads `search` (see setup.py), with paths from the root of the project. Run as a program,
`python native/build.py` builds into `native/` for development. Compilers of users differ, so
warnings are errors in the tests only. The C files of a module see each other's functions; nothing
but the module itself is visible outside of it (-fvisibility=hidden).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
UNITS = (
    "columns",
    "containers",
    "graph",
    "lines",
    "load",
    "registers",
    "replay",
    "search",
    "texts",
    "transactions",
    "weak",
)
"""The folders of C that make one module; `faultfs` is a program of its own."""

INTERFACES = (
    "columns/columns.h",
    "columns/micro.h",
    "containers/containers.h",
    "graph/graph.h",
    "lines/lines.h",
    "load/load.h",
    "registers/keys.h",
    "replay/replay.h",
    "search/search.h",
    "transactions/transactions.h",
    "weak/weak.h",
    "weak/solve.h",
)
"""The headers that cffi reads, in an order in which each needs only those before it."""

CALLBACKS = 'extern "Python" int32_t python_step(void *context, int32_t state, int32_t transition);'
"""The one function of Python that C calls: the `search_step` of lazy problems (search.h)."""


def module(folder: str) -> FFI:
    """The module `dissever.native._search`, from sources in `folder`."""
    ffi = FFI()
    for name in INTERFACES:
        ffi.cdef(_declarations((ROOT / "native" / name).read_text(encoding="utf-8")))
    ffi.cdef(CALLBACKS)
    ffi.set_source(
        "dissever.native._search",
        "\n".join(f'#include "{name}"' for name in INTERFACES),
        sources=_files(folder, "*.c"),
        depends=[*_files(folder, "*.h"), f"{folder}/pages.h"],
        include_dirs=[folder, *(f"{folder}/{unit}" for unit in UNITS)],
        extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden", "-pthread"],
        extra_link_args=["-pthread"],
    )
    return ffi


def _files(folder: str, pattern: str) -> list[str]:
    """The files of all units, as paths in `folder`."""
    found = [path for unit in UNITS for path in sorted((ROOT / "native" / unit).glob(pattern))]
    return [f"{folder}/{path.relative_to(ROOT / 'native')}" for path in found]


def _declarations(header: str) -> str:
    """The part of a header that cffi understands; of a constant it needs the name alone."""
    without_comments = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    constants = re.findall(r"^#define (\w+) +\S", without_comments, flags=re.MULTILINE)
    lines = [line for line in without_comments.splitlines() if not line.startswith("#")]
    return "\n".join([*lines, *(f"#define {name} ..." for name in constants)])


def build_in_place() -> Path:
    """Compile in a folder of its own, without the project's settings; returns the library."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        library = Path(module(str(ROOT / "native")).compile(tmpdir=folder))
        os.chdir(ROOT)
        # The name that setuptools gives it (stable ABI), so that there is only one library.
        # Renamed into place: a process that has the old one open keeps it whole.
        target = ROOT / "native" / "_search.abi3.so"
        return Path(shutil.copy2(library, target.with_suffix(".new"))).replace(target)


def build_faultfs(target: Path = ROOT / "native" / "faultfs" / "faultfs") -> Path | None:
    """
    Compile the file system for faults of disks; None where libfuse3 is missing: it is optional.

    Args:
        target: Where the program goes; its folder is made.

    Raises:
        subprocess.CalledProcessError: When it does not compile.
    """
    tools = shutil.which("pkg-config"), shutil.which(os.environ.get("CC", "cc"))
    if None in tools or subprocess.run(["pkg-config", "--exists", "fuse3 >= 3.5"]).returncode:
        return None
    asked = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse3"], check=True, capture_output=True, text=True
    )
    sources = sorted(map(str, ROOT.glob("native/faultfs/*.c")))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".new")
    flags = ["-std=c11", "-O2", "-pthread"]
    words = [str(tools[1]), *flags, *sources, "-o", str(draft), *asked.stdout.split()]
    subprocess.run(words, check=True)
    return draft.replace(target)  # Renamed into place: it may be running.


search = module("native")

if __name__ == "__main__":
    print(build_in_place().relative_to(ROOT))
    faultfs = build_faultfs()
    print(faultfs.relative_to(ROOT) if faultfs else "no faultfs: libfuse3-dev is not installed")
