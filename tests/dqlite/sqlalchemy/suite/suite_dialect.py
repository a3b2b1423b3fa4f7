"""The tests of SQLAlchemy that a dialect passes; requirements.py says which do not apply."""

from sqlalchemy.testing.suite import *  # noqa: F403 - it collects what is imported here
