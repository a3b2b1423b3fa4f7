"""`dissever build-host` needs no checkout: its Dockerfile comes with the package."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.cluster import ClusterLost

docker = pytest.importorskip("docker")
from dissever.harness.cluster import engine  # noqa: E402  It needs the Docker SDK.


class Images:
    """What an engine is asked to build, and its answer."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.asked: dict[str, Any] = {}

    def build(self, **asked: Any) -> tuple[SimpleNamespace, list[Any]]:
        self.asked = asked
        if self.error is not None:
            raise self.error
        return SimpleNamespace(id="sha256:1234"), []


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Images]:
    """An engine that builds, or fails with an error."""

    def answering(error: Exception | None = None) -> Images:
        images = Images(error)
        made = contextlib.nullcontext()
        made.images, made.close = images, lambda: None  # type: ignore[attr-defined]
        monkeypatch.setattr(engine, "connect", lambda: made)
        return images

    return answering


def test_image_is_built_from_the_dockerfile_of_the_package(
    client: Callable[..., Images], dissever: Callable[..., Any]
) -> None:
    images = client()
    ran = dissever("build-host", "--base", "mirror/debian:12")

    assert (ran.status, ran.stdout) == (0, "dissever/host is built: sha256:1234\n")
    text = images.asked["fileobj"].read().decode()
    assert f"LABEL dissever.host={engine.HOST_NUMBER}\n" in text
    assert "COPY" not in text  # It is sent without a context.
    assert (images.asked["tag"], images.asked["buildargs"]) == (
        "dissever/host",
        {"BASE": "mirror/debian:12"},
    )


@pytest.mark.parametrize(
    "error",
    [
        docker.errors.BuildError("apt-get failed", [{"stream": "first\n"}, {"stream": "last\n"}]),
        docker.errors.APIError("no such host"),
        ClusterLost("no Docker engine answers"),
    ],
)
def test_image_that_cannot_be_built_is_one_line(
    error: Exception, client: Callable[..., Images], dissever: Callable[..., Any]
) -> None:
    client(error)
    ran = dissever("build-host")

    assert ran.status == 3
    assert len(ran.stderr.splitlines()) == 1
    assert "Docker" in ran.stderr or "dissever/host was not built: " in ran.stderr
