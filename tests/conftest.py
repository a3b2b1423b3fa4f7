"""For all tests: signals as a terminal would have them."""

from __future__ import annotations

import signal

# A shell's background jobs ignore SIGINT, and so would every process that they start: tests that
# send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
