"""Which library each node runs: by name in containers, by path in namespaces."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from random import Random

import pytest

import dqlite
from dissever.harness.plan import Options
from dissever.systems.dqlite.builds import DqliteBuilds
from dissever.systems.dqlite.system import DqliteSystem


def options(backend: str, **settings: str) -> Options:
    given = {name.replace("_", "-"): value for name, value in settings.items()}
    nodes = ("n1", "n2", "n3")
    return Options(
        system="dqlite", workload="set", nodes=nodes, backend=backend, system_options=given
    )


@pytest.fixture
def other_library(tmp_path: Path) -> Path:
    """A library that does the same, and is another file with another hash."""
    missing = DqliteSystem().probe()
    if missing is not None:
        pytest.skip(f"dqlite cannot run here: {missing.reason}; {missing.remedy}")
    copy = tmp_path / "libdqlite.so.0"
    copy.write_bytes(Path(dqlite.library_identity().path).read_bytes() + b"another")
    return copy


@pytest.mark.parametrize("name", ["version", "upgrade_to"])
def test_version_in_a_namespace_is_the_path_of_a_library(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected the path of a library file.*got 'debian13'"):
        DqliteSystem().check(options("namespaces", **{name: "debian13"}))


def test_version_in_a_container_is_a_name() -> None:
    DqliteSystem().check(options("containers", version="debian12", upgrade_to="debian13"))
    with pytest.raises(ValueError, match=r"debian12, debian13, sid, got '/lib/libdqlite\.so'"):
        DqliteSystem().check(options("containers", upgrade_to="/lib/libdqlite.so"))


@pytest.mark.parametrize(
    ("version", "dealt"),
    [
        ("debian12,debian13", ["debian12", "debian13", "debian12"]),
        ("sid", ["sid", "sid", "sid"]),
    ],
)
def test_versions_are_dealt_in_turn(version: str, dealt: list[str]) -> None:
    given = options("containers", version=version)
    builds = DqliteBuilds(None, None, given)  # type: ignore[arg-type]  # nothing is started

    assert [builds.of(node) for node in given.nodes] == dealt


@pytest.mark.cluster
def test_every_library_of_a_run_is_in_its_plan(other_library: Path) -> None:
    versions = DqliteSystem().versions(options("namespaces", upgrade_to=str(other_library)))

    digest = hashlib.sha256(other_library.read_bytes()).hexdigest()
    assert len(versions) == 2
    assert digest[:16] in versions[f"libdqlite {other_library}"]


@pytest.mark.cluster
def test_what_a_node_runs_is_read_from_its_process(tmp_path: Path, other_library: Path) -> None:
    async def main() -> None:
        given = options("namespaces", version=str(other_library))
        async with DqliteSystem().deploy(given, tmp_path / "nodes", Random(1)) as deployment:
            running = await deployment.builds.running("n1")
            await deployment.cluster.kill("n2")
            gone = await deployment.builds.running("n2")

        assert running["path"] == str(other_library)
        assert running["sha256"] == hashlib.sha256(other_library.read_bytes()).hexdigest()
        assert gone == {}

    asyncio.run(main())


@pytest.mark.cluster
def test_file_that_is_no_library_is_reported_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no library")
    missing = DqliteSystem().probe(options("namespaces", version=str(tmp_path / "none")))

    assert missing is not None
    assert "cannot load" in missing.reason
