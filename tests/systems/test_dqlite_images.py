"""Which image each node of dqlite runs, and whether it is that of this package."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dissever.harness.plan import Options
from dissever.systems.dqlite import images
from dissever.systems.dqlite.system import DqliteSystem

BUILD = Path(__file__).parents[2] / "docker" / "build"


def options(backend: str, **system_options: str) -> Options:
    return Options(
        system="dqlite", workload="register", backend=backend, system_options=system_options
    )


def test_version_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="debian12, debian13, sid, got 'debian11'"):
        DqliteSystem().check(options("containers", version="debian12,debian11"))


def test_version_without_containers_is_refused() -> None:
    with pytest.raises(ValueError, match="--backend containers"):
        DqliteSystem().check(options("namespaces", version="debian12"))


def test_script_that_builds_knows_the_source_by_the_same_hash() -> None:
    text = BUILD.read_text()
    function = next(line for line in text.splitlines() if line.startswith("source_of_node()"))
    done = subprocess.run(
        ["bash", "-c", f"{function}\nsource_of_node"],
        cwd=BUILD.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == images.source()


@pytest.mark.parametrize("name", ["--help", "-h"])
def test_script_that_builds_says_what_it_does(name: str) -> None:
    done = subprocess.run([BUILD, name], capture_output=True, text=True, check=True)

    assert "mmdebstrap" in done.stdout
    assert "set -euo" not in done.stdout


def test_image_that_the_engine_lacks_is_missing_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = {"dissever.source": images.source()}
    there = {"dissever/dqlite:debian12": ours, "dissever/dqlite:debian13": {}}
    monkeypatch.setattr(images.backends, "probe", lambda _backend: None)
    monkeypatch.setattr(images, "_there", lambda: there)

    assert images.missing(["debian12"]) is None
    stale = images.missing(["debian12", "debian13"])
    absent = images.missing(["sid"])
    assert stale is not None
    assert absent is not None
    assert (stale.remedy, absent.remedy) == ("docker/build debian13", "docker/build sid")
    assert "another package" in stale.reason
