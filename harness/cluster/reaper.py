"""
A process of its own that removes a run's containers when the harness is gone.

It waits on a pidfd of the harness, which costs nothing, and imports what talks to the engine only
once the harness has ended. It is run as a script with `python -I -S`: RUN is the run to remove,
HARNESS an inherited pidfd, PATH what it imports from. If the reaper is killed too, the next run or
`dissever heal` finds by the labels that the harness is gone.
"""

import os
import select
import signal
import subprocess
import sys

_PASSES = 3
_GAP_S = 0.5
"""The engine may still be making what the harness asked for last."""


def start(run: str) -> subprocess.Popen[bytes]:
    """Start a reaper for a run of this process; the caller kills it once the run is closed."""
    harness = os.pidfd_open(os.getpid())
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, run, str(harness), os.pathsep.join(sys.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(harness,),
            start_new_session=True,
        )
    finally:
        os.close(harness)


def _main(run: str, harness: int, path: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    poller = select.poll()
    poller.register(harness, select.POLLIN)
    poller.poll()
    sys.path[:] = path.split(os.pathsep)
    import contextlib
    import time

    from dissever.harness.cluster import engine

    with contextlib.closing(engine.connect()) as client:
        clean = 0  # How many times in a row nothing was found.
        while clean < _PASSES:
            clean = 0 if engine.reap(client, run) else clean + 1
            time.sleep(_GAP_S)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
