"""Work that ends early when a signal comes."""

import signal
import threading

import pytest

from dqlite.commands import signals


@pytest.mark.parametrize("number", [signal.SIGPWR, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_signal_that_comes_between_two_steps_is_not_lost(number: int) -> None:
    with signals.blocked_signals():
        signal.pthread_kill(threading.get_ident(), number)

        assert signals.wait(5)
        assert not signals.wait(0)


def test_work_gives_its_result_or_its_error() -> None:
    with signals.blocked_signals():
        assert signals.unless_signalled(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            signals.unless_signalled(lambda: 1 // 0)


def test_signal_ends_the_wait_for_work() -> None:
    end = threading.Event()
    with signals.blocked_signals():
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        with pytest.raises(signals.Signalled):
            signals.unless_signalled(end.wait)
    end.set()
