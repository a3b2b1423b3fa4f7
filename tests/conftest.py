"""For all tests: signals as a terminal would have them."""

from __future__ import annotations

import signal

# A background job ignores SIGINT, what nohup starts ignores SIGHUP, and so would every process that
# tests start: those that send it would wait for ever. A handler, unlike an ignored signal, is not
# inherited by a new program.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
