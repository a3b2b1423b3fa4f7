"""Where `faultfs` is, the file system that fails as it is told. Its sources: native/faultfs."""

from __future__ import annotations

from pathlib import Path

from dissever.harness.client import Missing
from dissever.harness.cluster.trial import probe

__all__ = ["missing", "program"]

_PROGRAM = Path(__file__).resolve().parents[2] / "native" / "faultfs" / "faultfs"


def program() -> Path:
    """
    The program.

    Raises:
        FileNotFoundError: When it is not built.
    """
    if not _PROGRAM.exists():
        raise FileNotFoundError(2, "faultfs is not built", str(_PROGRAM))
    return _PROGRAM


def missing() -> Missing | None:
    """Why nodes in namespaces cannot have it, or None: tried, some 200 ms. Blocks."""
    try:
        path = program()
    except FileNotFoundError as error:
        return Missing(str(error.strerror), "apt-get install libfuse3-dev pkg-config; make native")
    if not Path("/dev/fuse").exists():
        return Missing("there is no /dev/fuse", "modprobe fuse")
    found = probe(str(path))
    if found is None:
        return None
    return Missing(found.reason, "let this user open /dev/fuse (chmod 666 /dev/fuse), or be root")
