"""A node in this process, and the mistakes that would crash it."""

import asyncio
from pathlib import Path

import pytest

from dqlite.client.leader import find_leader
from dqlite.errors import CapabilityMissing, NodeError
from dqlite.node.options import NodeOptions, SnapshotParams

bindings = pytest.importorskip("dqlite.node.bindings", reason="cffi is not installed")
server = pytest.importorskip("dqlite.node.server", reason="cffi is not installed")


@pytest.mark.parametrize(
    "wrong",
    [{"network_latency_ms": 0}, {"network_latency_ms": 3_600_001}, {"block_size": 524_288}],
)
def test_option_out_of_range_is_an_error(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        NodeOptions(**wrong)


@pytest.mark.parametrize(("threshold", "trailing"), [(8, 4), (0, 8), (1, 3)])
def test_snapshot_params_out_of_order_are_an_error(threshold: int, trailing: int) -> None:
    with pytest.raises(ValueError, match="trailing"):
        SnapshotParams(threshold=threshold, trailing=trailing)


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_node_starts_stops_and_starts_again(address: str, tmp_path: Path) -> None:
    options = NodeOptions(
        network_latency_ms=20,
        failure_domain=3,
        busy_timeout_ms=0,
        snapshot_params=SnapshotParams(threshold=128, trailing=1024),
    )
    node = server.Node(1, address, tmp_path, options)
    for _ in range(2):
        node.start()
        node.start()
        assert node.bind_address == address
        assert asyncio.run(_failure_domain(address)) == 3
        node.close()
        node.close()

    with pytest.raises(NodeError):
        _ = node.bind_address


async def _failure_domain(address: str) -> int:
    async with await find_leader([address], timeout_s=2, deadline_s=10) as client:
        return (await client.describe()).failure_domain


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_missing_directory_is_an_error_that_leaves_the_process_sound(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(NodeError, match="directory"):
        server.Node(1, address, tmp_path / "missing").start()

    with server.Node(1, address, tmp_path):
        pass


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_second_node_on_a_directory_is_an_error(address: str, tmp_path: Path) -> None:
    with (
        server.Node(1, address, tmp_path),
        pytest.raises(NodeError, match="another node"),
    ):
        server.Node(1, address, tmp_path).start()


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_address_that_cannot_be_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="bind"):
        server.Node(1, "not-an-address.invalid:9001", tmp_path).start()


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
def test_option_without_its_function_is_an_error(address: str, tmp_path: Path) -> None:
    loaded = bindings.load()
    if bindings.Capability.BLOCK_SIZE in loaded.capabilities():
        pytest.skip("this libdqlite can set the block size")

    with pytest.raises(CapabilityMissing):
        server.Node(1, address, tmp_path, NodeOptions(block_size=4096)).start()
