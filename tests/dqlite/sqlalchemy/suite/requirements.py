"""
What dqlite can do, for SQLAlchemy's suite; each that it cannot has its reason.

Source: SQLAlchemy, `testing/requirements.py`, `README.dialects.rst`.
"""

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_YES = property(lambda _: exclusions.open())  # a new one each time: the suite changes them
_NO = property(lambda _: exclusions.closed())


class Requirements(SuiteRequirements):
    """SQLite's abilities, without what servers of dqlite lack."""

    # Servers do not let anybody ATTACH: a connection has one schema.
    schemas = schema_reflection = cross_schema_fk_reflection = _NO
    implicit_default_schema = schema_create_delete = _NO

    # RETURNING damages servers.
    insert_returning = update_returning = delete_returning = _NO
    insert_executemany_returning = insert_from_select_returning = insertmanyvalues = _NO

    # SQLite has no such thing.
    parens_in_union_contained_select_w_limit_offset = _NO
    parens_in_union_contained_select_wo_limit_offset = _NO
    implicitly_named_constraints = _NO
    sequences = identity_columns = comment_reflection = _NO
    time_timezone = datetime_timezone = _NO
    reflects_pk_names = _YES

    # They belong to one connection of a pool, and are gone when it looks for the leader again.
    temp_table_reflection = temp_table_reflect_indexes = temp_table_names = _NO
    temporary_tables = temporary_views = has_temp_table = _NO

    # Its tests use another schema; the reflection is that of SQLAlchemy's dialect for SQLite.
    check_constraint_reflection = inline_check_constraint_reflection = _NO

    # What SQLite has and the suite leaves to dialects.
    json_type = ctes = ctes_with_update_delete = window_functions = _YES
    intersect = except_ = tuple_in = views = _YES
    unique_constraint_reflection = _YES
    computed_columns = computed_columns_reflect_persisted = _YES
    computed_columns_stored = computed_columns_virtual = reflect_table_options = _YES
    autocommit = _YES
    isolation_level = _YES

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """Those of the dialect."""
        return {"default": "SERIALIZABLE", "supported": ["SERIALIZABLE", "AUTOCOMMIT"]}
