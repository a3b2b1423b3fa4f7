"""What is said where no Docker engine answers; no engine is needed."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from pathlib import Path

import pytest

from dissever.harness.cluster import ClusterLost, engine
from dissever.harness.cluster.containers import ContainersCluster


def test_engine_that_refuses_leaves_no_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dockerd does when it ends: its socket stays, and nobody listens."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        missing = engine.probe()
        gc.collect()

    assert missing is not None
    assert missing.reason == f"no Docker engine answers: {path}: Connection refused"
    assert caught == []


def test_engine_that_does_not_answer_is_a_lost_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/socket")

    missing = engine.probe()
    assert missing is not None
    assert "no Docker engine answers" in missing.reason
    with pytest.raises(ClusterLost, match="no Docker engine answers"):
        asyncio.run(ContainersCluster.open(["n1"], tmp_path, ports=[]))


def test_user_who_may_not_ask_the_engine_is_reported_how_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")

    missing = engine.probe()
    assert missing is not None
    assert "Permission denied" in missing.reason
    assert "group docker" in missing.remedy
