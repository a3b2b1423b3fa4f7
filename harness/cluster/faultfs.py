"""
`faultfs`, the file system whose calls fail by rules: its program, and folders that it is on.

Namespaces mount it in their own mount namespace. Containers get a folder on which it is mounted
already, so none of them needs the right to mount. Its sources: native/faultfs.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from dissever.harness.cluster.trial import probe
from dissever.harness.missing import Missing

_PROGRAM = Path(__file__).resolve().parents[2] / "native" / "faultfs" / "faultfs"
_END_S: Final = 10.0

ASK: Final = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.settimeout(20)
    asked.connect(sys.argv[1])
    asked.sendall(" ".join(sys.argv[2:]).encode() + b"\\n")
    answer = asked.makefile().readline().strip()
if not answer.startswith("{"):
    sys.exit(answer or "no answer")
print(answer)
"""
"""`SOCKET WORD...` is `faultfs send`, for hosts that have Python, but not this program."""


def program() -> Path:
    """Raises FileNotFoundError when it is not built."""
    if not _PROGRAM.exists():
        raise FileNotFoundError(2, "faultfs is not built", str(_PROGRAM))
    return _PROGRAM


def missing() -> Missing | None:
    """Why nodes in namespaces cannot have it, or None: tried, some 200 ms. Blocks."""
    lacking = _missing_parts()
    if lacking is None and (found := probe(str(program()))) is not None:
        remedy = "let this user open /dev/fuse (chmod 666 /dev/fuse), or be root"
        return Missing(found.reason, remedy)
    return lacking


def missing_here() -> Missing | None:
    """Why no folder of this machine can be on it, or None: tried, some 50 ms. Blocks."""
    if (lacking := _missing_parts()) is not None:
        return lacking
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        try:
            Mounted(data, Path(folder, "socket")).close()
        except OSError as error:
            remedy = "be root, or install fuse3 and put user_allow_other in /etc/fuse.conf"
            return Missing(str(error.strerror), remedy)
    return None


class Mounted:
    """A folder on faultfs until `close`, or until this process ends in whatever way."""

    def __init__(self, folder: Path, control: Path, *, is_mapped: bool = False) -> None:
        """
        Mount over the folder; requests are taken at the socket `control`. Blocks for some 10 ms.

        Args:
            is_mapped: Whether files can be mapped; then not every read is seen.

        Raises:
            OSError: When it cannot be mounted, with what it said.
        """
        more = ["mapped"] if is_mapped else []
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [str(program()), "serve", str(folder), str(control), *more],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
            assert self._process.stdout is not None
            with self._process.stdout as output:
                is_mounted = output.read(1) == b"\n"
            if not is_mounted:
                self.close()
                said.seek(0)
                words = said.read().decode(errors="replace").strip()
                raise OSError(0, words or f"faultfs: cannot mount over {folder}")

    def close(self) -> None:
        """Unmount; what was written is in the folder. Idempotent. Blocks."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _missing_parts() -> Missing | None:
    try:
        program()
    except FileNotFoundError as error:
        remedy = "apt-get install libfuse3-dev pkg-config, then make native, or reinstall dissever"
        return Missing(str(error.strerror), remedy)
    if not Path("/dev/fuse").exists():
        return Missing("there is no /dev/fuse", "modprobe fuse")
    return None
