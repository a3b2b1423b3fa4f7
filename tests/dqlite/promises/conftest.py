"""Programs that a test starts, and clusters that tests share."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.dqlite.interop.conftest import programs
from tests.dqlite.interop.tools import Programs
from tests.dqlite.promises.cluster import LIBRARIES, Cluster, founded

__all__ = ["programs"]


@pytest.fixture(scope="session", params=LIBRARIES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with closing(Programs(tmp_path_factory.mktemp("cluster"))) as running:
        yield Cluster(running, request.param, founded(running, request.param))
