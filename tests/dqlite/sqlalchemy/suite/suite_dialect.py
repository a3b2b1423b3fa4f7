"""The tests of SQLAlchemy that a dialect passes; requirements.py says which do not apply."""

from sqlalchemy.testing import config
from sqlalchemy.testing.suite import *  # noqa: F403 - it collects what is imported here
from sqlalchemy.testing.suite import ComponentReflectionTest as _ComponentReflectionTest
from sqlalchemy.testing.suite import IsolationLevelTest as _IsolationLevelTest


class ComponentReflectionTest(_ComponentReflectionTest):
    def test_metadata(self) -> None:
        config.skip_test("it needs a second schema, and asks for none")


class IsolationLevelTest(_IsolationLevelTest):
    def test_dialect_user_setting_is_restored(self) -> None:
        config.skip_test("it needs two levels besides AUTOCOMMIT, and asks for none")
