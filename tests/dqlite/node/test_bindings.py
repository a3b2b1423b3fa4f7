"""Loading libdqlite, or saying why not."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dqlite.errors import CapabilityMissing, LibraryNotFound

bindings = pytest.importorskip("dqlite.node.bindings", reason="cffi is not installed")


def test_missing_library_names_the_package_to_install() -> None:
    with pytest.raises(LibraryNotFound, match="libdqlite0"):
        bindings.load("/nonexistent/libdqlite.so.0")


def test_library_without_nodes_is_not_found() -> None:
    with pytest.raises(LibraryNotFound):
        bindings.load("libc.so.6")


def test_environment_overrides_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DQLITE_LIB", "/nonexistent/elsewhere.so")
    with pytest.raises(LibraryNotFound, match="elsewhere"):
        bindings.load()


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_library_is_identified_by_the_hash_of_its_file() -> None:
    identity = bindings.library_identity()

    assert identity.sha256 == hashlib.sha256(Path(identity.path).read_bytes()).hexdigest()
    assert "dqlite" in identity.path
    assert identity.version_number > 0


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_only_a_missing_capability_is_an_error() -> None:
    loaded = bindings.load()
    for capability in bindings.Capability:
        if capability in loaded.capabilities():
            assert loaded.require(capability)
        else:
            with pytest.raises(CapabilityMissing, match=capability.value):
                loaded.require(capability)


CONFIGURE = """
import sys
import dqlite
if "sqlite3" in sys.argv:
    import sqlite3
if "node" in sys.argv:
    import tempfile
    with tempfile.TemporaryDirectory() as folder, dqlite.Node(
        1, "127.0.0.1:1", folder, dqlite.NodeOptions(bind_address="@")
    ):
        pass
try:
    getattr(dqlite, sys.argv[1])()
except RuntimeError as error:
    print(error)
else:
    print("done")
    import sqlite3
    print(sqlite3.connect(":memory:").execute("SELECT 1").fetchone())
"""


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (["config_multi_thread"], {}, ["done", "(1,)"]),
        (["config_single_thread"], {}, ["done", "(1,)"]),
        (["config_multi_thread", "sqlite3"], {}, ["SQLite is already initialized"]),
        (["config_multi_thread", "node"], {}, ["SQLite is already initialized"]),
        (["config_single_thread", "sqlite3"], {"GO_DQLITE_MULTITHREAD": "1"}, ["done", "(1,)"]),
    ],
)
def test_sqlite_is_configured_before_its_first_use_or_not_at_all(
    words: list[str], environment: dict[str, str], says: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFIGURE, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )

    found = done.stdout.splitlines()
    assert [line.split(":")[0] for line in found] == says


def test_every_capability_has_the_versions_that_have_it() -> None:
    assert set(bindings.VERSIONS) == set(bindings.Capability)


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_failed_creation_is_known_to_every_node_of_the_process() -> None:
    assert bindings.load() is bindings.load(), "so is_poisoned is seen by all"
