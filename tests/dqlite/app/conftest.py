"""Certificates for a cluster, and for a stranger."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory of PEM files: `one` and `two` are signed by `ca`, as are their hosts 127.0.0.x.

    `stranger` has the same names from another authority, which is `other/ca.crt`.
    """
    certificates = pytest.importorskip("dqlite.app.certificates", reason="needs cryptography")
    path = tmp_path_factory.mktemp("certificates")
    certificates.write_material(path, ["one", "two"])
    certificates.write_material(path / "other", ["stranger"])
    return path
