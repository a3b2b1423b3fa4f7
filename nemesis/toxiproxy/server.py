"""
The Toxiproxy server's program: where it is, and how to get it. Never fetched inside a run.

Looked for in this order: `$TOXIPROXY_BIN`, what `go install` built, the image of its makers where
the Docker engine has it (the program is copied out of it), `toxiproxy-server` on PATH.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from dissever.harness.cluster import ClusterLost
from dissever.harness.missing import Missing

__all__ = ["IMAGE", "VERSION", "cached", "copy_out", "find", "install"]

VERSION: Final = "2.12.0"
IMAGE: Final = f"ghcr.io/shopify/toxiproxy:{VERSION}"

_PACKAGE: Final = "github.com/Shopify/toxiproxy/v2"
_MODULE: Final = f"{_PACKAGE}/cmd/server@v{VERSION}"
_IN_IMAGE: Final = "/toxiproxy"
_INSTALL_LIMIT_S: Final = 600.0
_TRY_LIMIT_S: Final = 10.0

_REMEDY: Final = (
    "python -m dissever.nemesis.toxiproxy builds it with Go, or takes it out of its image;"
    " or put toxiproxy-server on PATH, or its path in TOXIPROXY_BIN"
)


def find() -> Path | Missing:
    """The program, tried out, or why there is none."""
    named = os.environ.get("TOXIPROXY_BIN")
    if named and not Path(named).exists():
        return Missing(f"no toxiproxy-server: TOXIPROXY_BIN names {named}", _REMEDY)
    found: Path | Missing = Missing("no toxiproxy-server", _REMEDY)
    for path in [Path(named)] if named else _places():
        found = _tried(path.absolute())
        if isinstance(found, Path):
            return found
    return found


def cached() -> Path:
    """Where `install` puts it."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dissever" / f"toxiproxy-server-{VERSION}"


def install() -> Path:
    """
    Build it with `go install`, as a program that runs in any container too; without Go, pull its
    image and take it from there.

    Raises:
        OSError: When neither is to be had, with the reason.
    """
    target = cached()
    target.parent.mkdir(parents=True, exist_ok=True)
    go = shutil.which("go")
    if go is None:
        try:
            _from_image(target, may_pull=True)
        except OSError as error:
            raise OSError(0, f"Go is not installed, and {error.strerror or error}") from error
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        done = subprocess.run(
            [go, "install", f"-ldflags=-X {_PACKAGE}.Version={VERSION}", _MODULE],
            env={**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=_INSTALL_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise OSError(0, f"go install {_MODULE}: {done.stderr.strip()[-500:]}")
        (Path(folder) / "server").replace(target)
    return target


def copy_out(client: Any, image: str, target: Path) -> None:
    """
    Copy the program out of an image that the engine has. Blocks.

    Raises:
        docker.errors.DockerException: When there is no such image, or no such program in it.
    """
    container = client.containers.create(image)
    try:
        chunks, _ = container.get_archive(_IN_IMAGE)
        archive = io.BytesIO(b"".join(chunks))
    finally:
        container.remove()
    with (
        tempfile.TemporaryDirectory(dir=target.parent) as folder,
        tarfile.open(fileobj=archive) as tar,
    ):
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Not before Python 3.11.4.
        tar.extract(_IN_IMAGE[1:], folder)
        (Path(folder) / _IN_IMAGE[1:]).replace(target)


def _places() -> Iterator[Path]:
    """Where it may be, in order; only what exists."""
    if cached().exists():
        yield cached()
    gopath = os.environ.get("GOPATH") or Path.home() / "go"
    bin_ = Path(os.environ.get("GOBIN") or Path(gopath) / "bin")
    yield from (path for path in (bin_ / "toxiproxy-server", bin_ / "server") if path.exists())
    with contextlib.suppress(OSError):
        _from_image(cached(), may_pull=False)
        yield cached()
    if on_path := shutil.which("toxiproxy-server"):
        yield Path(on_path)


def _from_image(target: Path, *, may_pull: bool) -> None:
    """
    Take it out of its image.

    Raises:
        OSError: When that cannot be; ClusterLost when no engine answers.
    """
    try:  # The SDK is an extra.
        import docker.errors
        import requests.exceptions

        from dissever.harness.cluster import engine
    except ImportError as error:
        raise OSError(0, f"no Docker SDK: {error}") from error
    with contextlib.closing(engine.connect()) as client:
        try:
            if may_pull:
                client.images.pull(IMAGE)
            client.images.get(IMAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_out(client, IMAGE, target)
        except docker.errors.DockerException as error:
            raise OSError(0, f"the Docker engine gives no {IMAGE}: {error}") from error
        except requests.exceptions.RequestException as error:
            raise ClusterLost(f"the Docker engine does not answer: {error}") from error


@cache
def _tried(path: Path) -> Path | Missing:
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=_TRY_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Missing(f"{path} does not run: {error}", _REMEDY)
    if "toxiproxy" not in done.stdout:
        return Missing(f"{path} is no toxiproxy-server: it says {done.stdout[:80]!r}", _REMEDY)
    return path
