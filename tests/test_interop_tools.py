"""scripts/interop-tools trusts no download, and leaves nothing behind that is not whole."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "interop-tools"


def run(
    tmp_path: Path, *names: str, mirror: str = "file:///nowhere"
) -> subprocess.CompletedProcess[str]:
    if shutil.which("curl") is None:
        pytest.skip("the script downloads with curl, which is not here")
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
        "DEBIAN_MIRROR": mirror,
    }
    return subprocess.run(
        (SCRIPT, *names), env=environment, capture_output=True, text=True, check=False
    )


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_unknown_name_is_status_64(tmp_path: Path) -> None:
    done = run(tmp_path, "go-2.0.0")

    assert done.returncode == 64
    assert done.stderr == (
        "interop-tools: expected go-1.11.5, go-3.0.4, libdqlite-1.18.7 or all, got go-2.0.0\n"
    )


def test_help_is_the_head_of_the_script(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")

    assert done.returncode == 0
    assert done.stdout.splitlines()[2] == "Usage: scripts/interop-tools [NAME...]"


@pytest.mark.parametrize("name", ["go-1.11.5", "libdqlite-1.18.7", "go-3.0.4"])
def test_download_that_is_something_else_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    mirror = tmp_path / "mirror"
    for path in (
        "g/golang-github-canonical-go-dqlite/go-dqlite_1.11.5-1+b4_amd64.deb",
        "d/dqlite/dqlite_1.18.7.orig.tar.gz",
    ):
        file = mirror / "pool" / "main" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(b"something else")
    before = left(tmp_path)
    done = run(tmp_path, name, mirror=mirror.as_uri())

    assert done.returncode == 1
    assert "interop-tools: expected SHA-256 " in done.stderr
    assert done.stdout == ""
    assert left(tmp_path) == before


def test_download_that_fails_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "go-1.11.5")

    assert done.returncode == 1
    assert "interop-tools: cannot fetch file:///nowhere/pool/main/g/" in done.stderr
