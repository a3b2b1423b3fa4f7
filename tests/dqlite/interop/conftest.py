"""Programs that a test starts, and ends with it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.dqlite.interop.tools import Programs


@pytest.fixture
def programs(library: None, tmp_path: Path) -> Iterator[Programs]:
    with closing(Programs(tmp_path)) as running:
        yield running
