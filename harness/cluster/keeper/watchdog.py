"""
The keeper's outer process: enters the namespaces, forks PID 1, and ends it when the harness ends.

Three things end PID 1: the end of its control socket (the harness closed it), this process seeing
the harness's pidfd (the harness was killed while a child of its own still held the socket open),
and the kernel when this process ends.
"""

import contextlib
import os
import select
import signal
import sys
import traceback
from typing import NoReturn

from . import cgroups, kernel, serve


def main(*, control: int, harness: int) -> int:
    """Run a keeper until the harness is gone, and return its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is the harness's to judge, not ours.
    for descriptor in (control, harness):
        os.set_inheritable(descriptor, False)
    outer_proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        _enter_namespaces()
    except OSError as error:
        print(f"cannot make namespaces: {error.strerror}", file=sys.stderr)
        return 1
    keeper = os.getpid()
    init = os.fork()
    if init == 0:
        _be_init(control, outer_proc, keeper)
    os.close(control)
    _wait_for_either(harness, init)
    status = os.waitpid(init, 0)[1]
    cgroups.Groups(os.getpid()).clear(outer_proc)
    return 1 if status else 0


def _enter_namespaces() -> None:
    """As root without a user namespace where that is allowed: nodes then have root's rights."""
    flags = kernel.NEW_NETWORK | kernel.NEW_MOUNTS | kernel.NEW_PIDS
    if os.geteuid() == 0:
        try:
            kernel.unshare(flags)
            return
        except PermissionError:
            pass
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(flags | kernel.NEW_USER)
    kernel.write("/proc/self/setgroups", "deny")
    kernel.write("/proc/self/uid_map", f"0 {user} 1")
    kernel.write("/proc/self/gid_map", f"0 {group} 1")


def _be_init(control: int, outer_proc: int, keeper: int) -> NoReturn:
    """What PID 1 does, from the fork to its end; never returns."""
    status = 1
    try:
        kernel.die_with_parent(signal.SIGKILL)
        kernel.keep_mounts_private()
        kernel.mount_proc()
        serve.serve(control, outer_proc, cgroups.Groups(keeper))
        status = 0
    except OSError as error:
        print(f"PID 1: {error.strerror or error}", file=sys.stderr)
        traceback.print_exc()
    except BaseException:  # The end of the process: nothing is above us.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait_for_either(harness: int, init: int) -> None:
    """Wait until PID 1 or the harness has ended; then see to it that PID 1 has."""
    poller = select.poll()
    poller.register(harness, select.POLLIN)
    ended = os.pidfd_open(init)
    poller.register(ended, select.POLLIN)
    poller.poll()
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(ended, signal.SIGKILL)
