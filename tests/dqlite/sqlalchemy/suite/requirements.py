"""
What dqlite can do, for SQLAlchemy's suite; each that it cannot has its reason.

Source: SQLAlchemy, `testing/requirements.py`, `README.dialects.rst`.
"""

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_YES = exclusions.open()
_NO = exclusions.closed()


class Requirements(SuiteRequirements):
    """SQLite's abilities, without what servers of dqlite lack."""
