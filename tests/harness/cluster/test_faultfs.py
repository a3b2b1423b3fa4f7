"""A folder of this machine on faultfs: it lasts as long as the process that mounted it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster import faultfs

WAIT_S = 20.0

HARNESS = """
import os, signal, sys
from pathlib import Path
from dissever.harness.cluster.faultfs import Mounted
mounted = Mounted(Path(sys.argv[1]), Path(sys.argv[2]))
assert os.path.ismount(sys.argv[1])
print("mounted", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def can_mount() -> None:
    missing = faultfs.missing_here()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture
def paths(can_mount: None, tmp_path: Path) -> tuple[Path, Path]:
    """A folder, and where to ask."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder, tmp_path / "socket"


@pytest.fixture
def mounted(paths: tuple[Path, Path]) -> Iterator[faultfs.Mounted]:
    """The folder, mounted."""
    made = faultfs.Mounted(*paths)
    yield made
    made.close()


def ask(control: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", "-S", "-c", faultfs.ASK, str(control), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_rules_are_given_by_way_of_python(
    paths: tuple[Path, Path], mounted: faultfs.Mounted
) -> None:
    folder, control = paths
    (folder / "file").write_text("one")
    given = ask(control, "rule", "r", "do=fail", "op=write", "errno=ENOSPC")
    with pytest.raises(OSError, match="No space left"):
        (folder / "file").write_text("two")
    counts: dict[str, Any] = json.loads(ask(control, "counts").stdout)

    assert given.returncode == 0
    assert counts["rules"]["r"]["hits"] > 0


def test_what_is_refused_is_reported(paths: tuple[Path, Path], mounted: faultfs.Mounted) -> None:
    refused = ask(paths[1], "rule", "r", "do=nothing")

    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")


def test_what_was_written_stays_when_it_is_unmounted(
    paths: tuple[Path, Path], mounted: faultfs.Mounted
) -> None:
    folder, control = paths
    (folder / "file").write_text("kept")
    mounted.close()
    mounted.close()

    assert not os.path.ismount(folder)
    assert (folder / "file").read_text() == "kept"
    assert not control.exists()


def test_a_call_that_waits_does_not_keep_it_mounted(
    paths: tuple[Path, Path], mounted: faultfs.Mounted
) -> None:
    folder, control = paths
    ask(control, "rule", "r", "do=slow", "op=write", "ms=5000")
    with subprocess.Popen(["sh", "-c", f"echo waited > {folder}/file"]) as writer:
        while not json.loads(ask(control, "counts").stdout)["rules"]["r"]["hits"]:
            time.sleep(0.01)
        mounted.close()

    assert writer.returncode == 0
    assert (folder / "file").read_text() == "waited\n"


def test_it_goes_with_a_harness_that_is_killed(paths: tuple[Path, Path]) -> None:
    argv = [sys.executable, "-c", HARNESS, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    deadline = time.monotonic() + WAIT_S
    while os.path.ismount(paths[0]) or paths[1].exists():
        assert time.monotonic() < deadline, "it is still mounted"
        time.sleep(0.01)

    assert done.stdout == "mounted\n"


def test_a_folder_that_there_is_not_is_reported(can_mount: None, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"faultfs: .*nowhere: No such file"):
        faultfs.Mounted(tmp_path / "nowhere", tmp_path / "socket")
