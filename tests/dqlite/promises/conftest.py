"""Programs that a test starts, and ends with it."""

from tests.dqlite.interop.conftest import programs

__all__ = ["programs"]
