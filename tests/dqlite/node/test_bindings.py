"""Loading libdqlite, or saying why not."""

import hashlib
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
