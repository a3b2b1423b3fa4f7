"""
The Toxiproxy server's program: where it is, and how to get it. Never fetched inside a run.

Looked for in this order: `$TOXIPROXY_BIN`, `toxiproxy-server` on PATH, and what `install` built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from dissever.harness.client import Missing

__all__ = ["VERSION", "cached", "find", "install"]

VERSION: Final = "2.12.0"

_PACKAGE: Final = "github.com/Shopify/toxiproxy/v2"
_MODULE: Final = f"{_PACKAGE}/cmd/server@v{VERSION}"
_INSTALL_LIMIT_S: Final = 600.0
_TRY_LIMIT_S: Final = 10.0

_REMEDY: Final = (
    "python -m dissever.nemesis.toxiproxy builds it with Go;"
    " or put toxiproxy-server on PATH, or its path in TOXIPROXY_BIN"
)


def find() -> Path | Missing:
    """The program, tried out, or why there is none."""
    named = os.environ.get("TOXIPROXY_BIN")
    found = named or shutil.which("toxiproxy-server") or cached()
    if not Path(found).exists():
        reason = (
            f"no toxiproxy-server: TOXIPROXY_BIN names {named}" if named else "no toxiproxy-server"
        )
        return Missing(reason, _REMEDY)
    return _tried(Path(found).absolute())


def cached() -> Path:
    """Where `install` puts it."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dissever" / f"toxiproxy-server-{VERSION}"


def install() -> Path:
    """
    Build it with `go install`, as a program that runs in any container too. Needs the Go proxy.

    Raises:
        FileNotFoundError: When there is no Go.
        OSError: When the build fails, with what Go said.
    """
    go = shutil.which("go")
    if go is None:
        raise FileNotFoundError(2, "Go is not installed", "go")
    target = cached()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        done = subprocess.run(
            [go, "install", f"-ldflags=-X {_PACKAGE}.Version={VERSION}", _MODULE],
            env={**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=_INSTALL_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise OSError(0, f"go install {_MODULE}: {done.stderr.strip()[-500:]}")
        (Path(folder) / "server").replace(target)
    return target


@cache
def _tried(path: Path) -> Path | Missing:
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=_TRY_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Missing(f"{path} does not run: {error}", _REMEDY)
    if "toxiproxy" not in done.stdout:
        return Missing(f"{path} is no toxiproxy-server: it says {done.stdout[:80]!r}", _REMEDY)
    return path
