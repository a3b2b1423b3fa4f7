"""
What dqlite can do, for SQLAlchemy's suite; each that it cannot has its reason.

Source: SQLAlchemy, `testing/requirements.py`, `README.dialects.rst`.
"""

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_YES = exclusions.open()
_NO = exclusions.closed()


class Requirements(SuiteRequirements):
    """SQLite's abilities, without what servers of dqlite lack."""

    # Servers do not let anybody ATTACH: a connection has one schema.
    schemas = schema_reflection = cross_schema_fk_reflection = _NO
    implicit_default_schema = _NO

    # RETURNING damages servers.
    insert_returning = update_returning = delete_returning = _NO
    insert_executemany_returning = insert_from_select_returning = insertmanyvalues = _NO

    # SQLite has no such thing.
    sequences = identity_columns = comment_reflection = _NO
    time_timezone = datetime_timezone = _NO
    foreign_key_constraint_name_reflection = _YES

    # A reference of SQLite to a table that there is not yet is created all the same.
    reflects_pk_names = _YES

    # Only for this connection, and gone when it looks for the leader again.
    temp_table_names = temporary_views = _NO

    # What SQLite has and the suite leaves to dialects.
    json_type = ctes = ctes_with_update_delete = window_functions = _YES
    intersect = except_ = tuple_in = _YES
    check_constraint_reflection = unique_constraint_reflection = _YES
    computed_columns = _YES
    autocommit = _YES
    isolation_level = _YES

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """Those of the dialect."""
        return {"default": "SERIALIZABLE", "supported": ["SERIALIZABLE", "AUTOCOMMIT"]}

    @property
    def schema_create_delete(self) -> Any:
        """See `schemas`."""
        return _NO
