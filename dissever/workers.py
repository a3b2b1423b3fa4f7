"""
Processes that make runs side by side.

They are forked at once, before this process has threads. They do not hear Ctrl-C, which is for the
process that asks, and they end when it ends.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

from dissever.harness.cluster.keeper import kernel

__all__ = ["JOBS_MAX", "jobs_for", "workers"]

JOBS_MAX: Final = 256

GRACE_S: Final = 10.0
"""How long workers may take to end the runs that nobody waits for."""

GARBAGE: Final = 50_000
"""How many new objects call for a search for garbage: a run makes many, few of them in cycles."""


def jobs_for(asked: int | None, *, is_virtual: bool) -> int:
    """How many runs go on at a time: as asked; else one for each CPU, and 1 on real nodes."""
    return asked or (len(os.sched_getaffinity(0)) if is_virtual else 1)


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, which end with the block."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("fork"), initializer=_begin
    )
    pool.submit(int).result()  # A pool forks all of its processes for its first task.
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        until_s = time.monotonic() + GRACE_S
        for worker in set(multiprocessing.active_children()) - others:
            worker.join(max(0.0, until_s - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join()


def _begin() -> None:
    """In a worker: Ctrl-C is for the parent, no worker outlives it, and garbage may pile up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    kernel.die_with_parent(signal.SIGKILL)
    gc.freeze()
    gc.set_threshold(GARBAGE)
