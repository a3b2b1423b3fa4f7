"""
Mistakes in the code that a run was given: they end the run, and are shown to its author.

What a client, a store or a fault raises usually says what the system under test did, so it is info.
An exception of Python's own that tells of a mistake in the code, such as AttributeError, is a
`Bug`.
Recorded as info, it would leave 500 infos in a history and nobody would know why. A subclass that a
driver declares is the driver's way to say what the system did, so that one is info.
A call of sys.exit() is a mistake, too: its status is no verdict.
"""

from __future__ import annotations

import traceback
from typing import Final

from dissever.harness.values import reason

_KINDS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    SystemExit,
    TypeError,
)


class Bug(Exception):
    """
    The run ends, because its history would say nothing of the system under test.

    The message names who raised what, in which file and line. `__cause__` is what was raised.
    """


def is_bug(error: BaseException) -> bool:
    """Whether it tells of a mistake in the code, not of what the system under test did."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_bug(each) for each in error.exceptions)
    return type(error).__module__ == "builtins" and isinstance(error, _KINDS)


def bug_of(who: str, error: BaseException) -> Bug:
    """The `Bug` to raise from an error that `is_bug`; `who` raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f", in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    return Bug(f"{who} raised {type(error).__name__}: {reason(error)}{place}")
