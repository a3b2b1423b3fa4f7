"""Work in other threads, while the threads end."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future

import pytest

from dqlite.app.background import Background, in_thread
from dqlite.errors import Closed

WAIT_S = 20.0


def test_work_that_is_submitted_while_the_loop_ends_is_refused() -> None:
    is_ending, may_end = threading.Event(), threading.Event()

    async def end_late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            may_end.wait(WAIT_S)  # holds the loop where it has found all of its work

    background = Background("test")
    background.submit(end_late())
    background.run(asyncio.sleep(0))
    closing = threading.Thread(target=background.close)
    closing.start()
    assert is_ending.wait(WAIT_S)
    try:
        with pytest.raises(Closed):
            background.submit(asyncio.sleep(0))
    finally:
        may_end.set()
        closing.join(WAIT_S)


def test_no_work_is_left_pending_by_a_close() -> None:
    for _ in range(20):
        background = Background("test")
        begun = threading.Barrier(5)
        outcomes: list[Future[None]] = []

        def submit(
            background: Background = background,
            begun: threading.Barrier = begun,
            outcomes: list[Future[None]] = outcomes,
        ) -> None:
            begun.wait()
            try:
                for _ in range(200):
                    outcomes.append(background.submit(asyncio.sleep(3600)))
            except Closed:
                return

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        background.close()
        for thread in threads:
            thread.join(WAIT_S)

        assert all(each.done() for each in outcomes)


def test_work_that_leaves_the_interpreter_ends_all_other_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def leave() -> None:
        raise SystemExit

    background = Background("test")
    other = background.submit(asyncio.sleep(3600))
    with pytest.raises(SystemExit):
        background.submit(leave()).result(WAIT_S)

    with pytest.raises(CancelledError):
        other.result(WAIT_S)
    background.close()
    with pytest.raises(Closed):
        background.run(asyncio.sleep(0))


def test_outcome_of_a_function_in_a_thread_is_its_own() -> None:
    def fail() -> None:
        raise ValueError("mine")

    assert in_thread(lambda: threading.current_thread().name, "test").result(WAIT_S) == "test"
    with pytest.raises(ValueError, match="mine"):
        in_thread(fail, "test").result(WAIT_S)


def test_function_that_hangs_keeps_no_interpreter_from_ending() -> None:
    code = """
import threading
from dqlite.app.background import in_thread
in_thread(threading.Event().wait, "test")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)
