"""
Start the keeper: `python -I -S .../keeper/__main__.py CONTROL HARNESS`.

CONTROL is the number of an inherited SOCK_SEQPACKET socket, HARNESS that of a pidfd of the harness.
Exit status: 0 when the harness closed the socket or is gone, 1 with a reason on stderr.
"""

import importlib
import os
import sys

if __name__ == "__main__":
    here = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib costs 10 ms here.
    sys.path[:0] = [os.path.dirname(here)]  # noqa: PTH120
    watchdog = importlib.import_module("keeper.watchdog")
    sys.exit(watchdog.main(control=int(sys.argv[1]), harness=int(sys.argv[2])))
