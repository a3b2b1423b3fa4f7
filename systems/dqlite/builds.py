"""
Which libdqlite each node runs, and the one that it can be upgraded to.

In containers a version is the name of an image, in namespaces the path of a library file; without
one a node in a namespace runs this machine's library. The memory map of a node's process shows what
it really runs: the file that the kernel has mapped, and its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import site
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dqlite
from dissever.harness.cluster import backends
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.systems.dqlite import images
from dissever.systems.dqlite.cluster import HostsCluster
from dissever.systems.dqlite.options import option

__all__ = ["DqliteBuilds", "check", "described", "missing"]

LIBRARY = "libdqlite.so"

_ASKED_FOR = ("DQLITE_LIB", "LIBDQLITE_TRACE", "LIBRAFT_TRACE", "PYTHONHOME", "PYTHONPATH")
"""What `python -m dqlite.node` may need of the harness's environment to be the same program."""

MAPPED = """
import glob, hashlib, json, sys
found = {}
for maps in glob.glob("/proc/[0-9]*/maps"):
    try:
        paths = [line.split(maxsplit=5)[5].strip() for line in open(maps) if sys.argv[1] in line]
        if paths:
            content = open(maps[:-len("/maps")] + "/root" + paths[0], "rb").read()
            found = {"path": paths[0], "sha256": hashlib.sha256(content).hexdigest()}
    except OSError:
        pass
print(json.dumps(found))
"""
"""Runs on the host of a container, which sees only the processes of its node."""


class DqliteBuilds:
    """Implements `Builds`."""

    def __init__(
        self, cluster: HostsCluster, start: Callable[[str], Awaitable[None]], options: Options
    ) -> None:
        """`start` starts a node's process, with the version that this object then names."""
        self._cluster = cluster
        self._start = start
        self._is_contained = options.backend == backends.CONTAINERS
        versions = _versions(options)
        self._versions = dict(zip(options.nodes, versions, strict=True))
        self._newer = _newer(options)

    @property
    def newer(self) -> str | None:
        return self._newer

    def of(self, node: str) -> str:
        return self._versions[node]

    async def upgrade(self, node: str) -> None:
        assert self._newer is not None, "there is nothing to upgrade to"
        self._versions[node] = self._newer
        await self._start(node)

    async def running(self, node: str) -> Mapping[str, Any]:
        cluster = self._cluster
        pid = (await cluster.status(node)).pid
        if not self._is_contained:
            return {} if pid is None else await asyncio.to_thread(_mapped, Path(f"/proc/{pid}"))
        done = await cluster.command(node, ["python3", "-c", MAPPED, LIBRARY])
        found: dict[str, Any] = json.loads(done.stdout or "{}")
        if found or pid is None:
            return found
        # An ordinary user's node: root of the host's container may not look at it, but we may.
        return await asyncio.to_thread(_mapped, Path(f"/proc/{pid}"))

    def image(self, node: str) -> str | None:
        """The image of the node's container; None in a namespace."""
        return images.image(self._versions[node]) if self._is_contained else None

    def environment(self, node: str) -> Mapping[str, str]:
        """What makes the node load its library, and in a namespace what its Python needs."""
        if self._is_contained:
            return {}
        wanted = {name: os.environ[name] for name in _ASKED_FOR if name in os.environ}
        if site.ENABLE_USER_SITE:  # Without HOME, root of a user namespace would look elsewhere.
            wanted["PYTHONUSERBASE"] = site.getuserbase()
        path = self._versions[node]
        return {**wanted, "DQLITE_LIB": path} if path else wanted


def check(options: Options) -> None:
    """
    Look at the versions before anything runs.

    Raises:
        ValueError: For one that there is not, with what was expected.
    """
    _versions(options)
    _newer(options)


def missing(options: Options) -> Missing | None:
    """Why these versions cannot run here, or None."""
    if options.backend == backends.CONTAINERS:
        return images.missing(_all(options))
    for path in _all(options):
        try:
            dqlite.load(path or None)
        except dqlite.LibraryNotFound as error:
            return Missing(str(error), "apt-get install libdqlite0, or set DQLITE_LIB to its path")
    return backends.probe(backends.NAMESPACES)


def described(options: Options) -> dict[str, str]:
    """What each version is, for the plan."""
    if options.backend == backends.CONTAINERS:
        return images.described(_all(options))
    found = {}
    for path in _all(options):
        identity = dqlite.library_identity(path or None)
        found[f"libdqlite {path}".strip()] = (
            f"{identity.path}, sha256 {identity.sha256[:16]}, "
            f"which calls itself {identity.version_number}"
        )
    return found


def _versions(options: Options) -> tuple[str, ...]:
    """The version of each node. Raises ValueError for one that there is not."""
    is_contained = options.backend == backends.CONTAINERS
    setting = option(options, "version") or (images.DEFAULT if is_contained else None)
    dealt = ("",) if setting is None else _checked(options, setting)
    return tuple(dealt[i % len(dealt)] for i in range(len(options.nodes)))


def _newer(options: Options) -> str | None:
    setting = option(options, "upgrade-to")
    return None if setting is None else _checked(options, setting)[0]


def _checked(options: Options, setting: str) -> Sequence[str]:
    """The versions in a setting: names of images, or paths of libraries."""
    versions = setting.split(",")
    if options.backend == backends.CONTAINERS:
        for version in versions:
            if version not in images.VERSIONS:
                known = ", ".join(images.VERSIONS)
                raise ValueError(f"expected versions out of {known}, got {version!r}")
        return versions
    for path in versions:
        if not Path(path).is_file():
            raise ValueError(
                "expected the path of a library file as a version in namespaces "
                f"(--backend containers has names), got {path!r}"
            )
    return [str(Path(path).resolve()) for path in versions]


def _all(options: Options) -> Sequence[str]:
    newer = _newer(options)
    return tuple(dict.fromkeys([*_versions(options), *([] if newer is None else [newer])]))


def _mapped(process: Path) -> Mapping[str, Any]:
    """The library that a process of this machine has mapped; empty when none is seen."""
    try:
        for line in (process / "maps").read_text().splitlines():
            if LIBRARY in line:
                path = line.split(maxsplit=5)[5]
                content = (process / "root" / path.lstrip("/")).read_bytes()
                return {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
    except OSError:
        pass
    return {}
