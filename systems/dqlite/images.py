"""
The images that dqlite's nodes run in containers: `dissever/dqlite:VERSION`, made by docker/build.

An image holds a libdqlite and the package `dqlite` that runs it. An image with another package than
ours might not understand our arguments, so it counts as out of date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dqlite
from dissever.harness.cluster import backends
from dissever.harness.missing import Missing

VERSIONS: Mapping[str, str] = {
    "debian12": "libdqlite 1.11.1",
    "debian13": "libdqlite 1.18.1",
    "sid": "libdqlite of Debian unstable",
}
DEFAULT = "debian12"

_NAME = "dissever/dqlite"


def image(version: str) -> str:
    """The image of a version."""
    return f"{_NAME}:{version}"


def missing(versions: Iterable[str]) -> Missing | None:
    """Why these cannot run on the engine, or None."""
    if absent := backends.probe(backends.CONTAINERS):
        return absent
    there = _there()
    for version in dict.fromkeys(versions):
        labels = there.get(image(version))
        if labels is None:
            return Missing(f"the engine has no image {image(version)}", f"docker/build {version}")
        if labels.get("dissever.source") != source():
            return Missing(
                f"{image(version)} was built from another package dqlite/ than this one",
                f"docker/build {version}",
            )
    return None


def described(versions: Sequence[str]) -> dict[str, str]:
    """What each image holds, for the plan."""
    there = _there()
    return {
        image(version): f"{labels.get('dissever.library', '?')}, {labels['id']}"
        for version in dict.fromkeys(versions)
        if (labels := there.get(image(version))) is not None
    }


def source() -> str:
    """The hash of the package `dqlite`; docker/build makes the same."""
    folder = Path(dqlite.__file__).parent
    files = sorted(folder.rglob("*.py"), key=lambda path: path.as_posix())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _there() -> Mapping[str, Mapping[str, str]]:
    """Tag -> labels of the images that the engine has."""
    from dissever.harness.cluster import engine  # Needs the Docker SDK.

    return engine.images(_NAME)
