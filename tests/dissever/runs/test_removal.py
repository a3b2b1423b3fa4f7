"""Runs are removed whole, and nothing else is."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.harness import store
from dissever.runs import index
from dissever.runs.removal import GONE, NESTED_MAX, InUse, remove, remove_data, sweep

Keep = Callable[..., Path]

OWN_MOUNTS = [
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    *("--mount", "--propagation", "private"),
]
"""Runs a command in a namespace of mounts of its own, so that nothing stays mounted."""

REMOVE_WITH_A_MOUNT = """
import subprocess, sys
from pathlib import Path
from dissever.runs import removal

function, root, run, *mount = sys.argv[1:]
subprocess.run(["mount", *mount], check=True)
Path(mount[-1], "file").touch() if Path(mount[-1]).is_dir() else None
try:
    getattr(removal, function)(Path(root), run)
except removal.InUse as error:
    print(error.strerror, *sorted(path.name for path in Path(mount[-1]).rglob("*")))
"""


def relative(run: Path, root: Path) -> str:
    return str(run.relative_to(root))


def test_run_and_the_empty_folders_above_it_go(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1, data_bytes=10)
    keep_run(tmp_path, 2, system="redis")
    remove(tmp_path, relative(run, tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["redis"]


def test_folder_with_another_run_stays(tmp_path: Path, keep_run: Keep) -> None:
    run, other = keep_run(tmp_path, 1), keep_run(tmp_path, 2)
    remove(tmp_path, relative(run, tmp_path))

    assert list(run.parent.iterdir()) == [other]


def test_links_are_removed_and_not_followed(tmp_path: Path, keep_run: Keep) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    root = tmp_path / "runs"
    run = keep_run(root, 1)
    (run / "link").symlink_to(precious, target_is_directory=True)
    (run / "nodes" / "n1" / "data").rmdir()
    (run / "nodes" / "n1" / "data").symlink_to(precious, target_is_directory=True)
    (run / "nodes" / "n9").symlink_to(precious.parent, target_is_directory=True)
    remove_data(root, relative(run, root))
    remove(root, relative(run, root))

    assert (precious / "file").read_text() == "kept"
    assert not root.exists() or list(root.iterdir()) == []


def test_run_that_is_a_link_is_not_removed(tmp_path: Path, keep_run: Keep) -> None:
    outside = keep_run(tmp_path / "outside", 1)
    root = tmp_path / "runs"
    root.mkdir()
    (root / "linked").symlink_to(outside, target_is_directory=True)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        remove(root, "linked")

    assert (outside / "plan.json").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc", "a/../../outside", "", ".", "a//b", "a\0b"])
def test_path_that_leads_out_is_refused(path: str, tmp_path: Path, keep_run: Keep) -> None:
    keep_run(tmp_path / "outside", 1)
    root = tmp_path / "runs"
    keep_run(root, 1)
    before = sorted(tmp_path.rglob("*"))
    for function in (remove, remove_data):
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the path.
            function(root, path)

    assert sorted(tmp_path.rglob("*")) == before


def test_folder_that_is_no_run_is_not_removed(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    with pytest.raises(FileNotFoundError):
        remove(tmp_path, relative(run.parent, tmp_path))

    assert run.exists()


def test_run_that_goes_on_is_not_removed(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    with store.being_made(run):
        for function in (remove, remove_data):
            with pytest.raises(InUse):
                function(tmp_path, relative(run, tmp_path))

    assert (run / "plan.json").exists()


@pytest.fixture
def _mounts_work() -> None:
    if not shutil.which("unshare") or not shutil.which("mount"):
        pytest.skip("unshare or mount is not installed")
    argv = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.mark.usefixtures("_mounts_work")
@pytest.mark.parametrize("function", ["remove", "remove_data"])
@pytest.mark.parametrize("what", ["file system", "folder", "file"])
def test_run_in_which_something_is_mounted_is_not_touched(
    function: str, what: str, tmp_path: Path, keep_run: Keep
) -> None:
    root = tmp_path / "runs"
    run = keep_run(root, 1, data_bytes=10)
    precious = tmp_path / "precious"
    precious.mkdir()
    where = run / "nodes" / "n2" / "data" / "kept"
    if what == "file":
        (precious / "file").write_text("kept")
        where.touch()
        mount = ["--bind", str(precious / "file")]
    else:
        where.mkdir()
        mount = ["-t", "tmpfs", "none"] if what == "file system" else ["--bind", str(precious)]
    before = sorted(root.rglob("*"))
    script = [sys.executable, "-c", REMOVE_WITH_A_MOUNT, function, str(root), relative(run, root)]
    done = subprocess.run(
        [*OWN_MOUNTS, *script, *mount, str(where)], capture_output=True, text=True, check=False
    )

    left = "" if what == "file" else " file"
    assert (done.stdout, done.stderr) == (f"something is mounted at kept{left}\n", "")
    assert sorted(root.rglob("*")) == before
    assert (precious / "file").exists() is (what != "file system")


def test_data_goes_and_everything_else_stays(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1, data_bytes=10)
    before = {path for path in run.rglob("*") if "data" not in path.parts}
    remove_data(tmp_path, relative(run, tmp_path))

    assert set(run.rglob("*")) == before
    assert list(store.damage(run, store.read_outcome(run).files)) == []


def test_folders_without_rights_go_too(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1, data_bytes=10)
    (run / "nodes" / "n1" / "data").chmod(0)
    (run / "nodes" / "n2").chmod(0o500)
    remove(tmp_path, relative(run, tmp_path))

    assert index(tmp_path).runs == ()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_nested_too_deeply_stay_and_say_so(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    deep = run.joinpath(*["d"] * (NESTED_MAX + 2))
    deep.mkdir(parents=True)
    with pytest.raises(OSError, match="inside of each other"):
        remove(tmp_path, relative(run, tmp_path))

    assert (run / "plan.json").exists()


def test_removal_that_was_cut_short_is_finished(
    tmp_path: Path, keep_run: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = keep_run(tmp_path, 1)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", fail)
        with pytest.raises(OSError, match="disk is gone"):
            remove(tmp_path, relative(run, tmp_path))

    assert index(tmp_path).runs == ()
    assert [path.name.startswith(GONE) for path in run.parent.iterdir()] == [True]
    assert sweep(tmp_path) == 1
    assert list(run.parent.iterdir()) == []
