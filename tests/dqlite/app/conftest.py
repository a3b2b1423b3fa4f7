"""Clusters of application nodes, and certificates for them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.dqlite.app.clusters import Apps


@pytest.fixture
def apps(tmp_path: Path, library: None) -> Iterator[Apps]:
    """A cluster for one test, without nodes."""
    with closing(Apps(tmp_path)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory of PEM files: `ca` signed `one` and `two`.

    `other/stranger` bears the same name of the cluster, from the authority `other/ca`.
    """
    certificates = pytest.importorskip("dqlite.app.certificates", reason="needs cryptography")
    path = tmp_path_factory.mktemp("certificates")
    certificates.write_material(path, ["one", "two"])
    certificates.write_material(path / "other", ["stranger"])
    return path
