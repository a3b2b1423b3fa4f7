"""
What each statement of a connection took: the logger `dqlite.trace`, at level DEBUG.

A line is written when the answer is here, or when there is none. It has the SQL and no parameters,
since these may be secret. Connections of PEP 249 and the dialects write it; `Client` does not.

Source: go-dqlite 3.0.4, `driver.WithTracing`, whose text the lines have.
"""

import logging

log = logging.getLogger(__name__)


def is_wanted() -> bool:
    """Whether anybody reads; otherwise no time need be taken."""
    return log.isEnabledFor(logging.DEBUG)


def answered(what: str, sql: str, seconds: float, error: BaseException | None) -> None:
    """Say what was asked for (exec, query or prepared), how long it took, and how it failed."""
    if error is None:
        log.debug("%.3fs request %s: %r", seconds, what, sql)
    else:
        log.debug(
            "%.3fs request %s: %r failed: %s: %s", seconds, what, sql, type(error).__name__, error
        )
