"""A node for the dialects, which are registered here, whatever is installed."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from dqlite import errors

try:
    from sqlalchemy.dialects import registry
except ImportError:  # then the tests skip themselves
    pass
else:
    registry.register("dqlite.sync", "dqlite.sqlalchemy.dialect", "Dialect")
    registry.register("dqlite.asyncio", "dqlite.sqlalchemy.asynchronous", "AsyncDialect")

collect_ignore = ["suite"]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a node that leads."""
    bindings = pytest.importorskip("dqlite.node.bindings")
    try:
        bindings.load()
    except errors.LibraryNotFound as missing:
        pytest.skip(missing.message)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dqlite.node", "--id", "1", "--address", address),
            *("--data-dir", str(tmp_path_factory.mktemp("sqlalchemy") / "1")),
            *("--network-latency-ms", "20"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        yield address
    process.kill()
    process.wait()
