"""What `test_images.py` runs in an image: options, a script, the end of a log, two become one."""

from __future__ import annotations

import json
import socket
import tempfile
import warnings
from pathlib import Path

from dqlite import (
    BlockingClient,
    CapabilityMissing,
    Member,
    Node,
    NodeOptions,
    Role,
    RoleManagement,
    ServerTooOld,
    SnapshotParams,
    TrailingStrategy,
    load,
    read_last_entry_info,
    reconfigure_membership_ext,
)
from dqlite.node import files

LIMIT_S = 30.0


def options() -> dict[str, NodeOptions]:
    warnings.simplefilter("ignore")
    return {
        "AUTO_RECOVERY": NodeOptions(auto_recovery=False),
        "BLOCK_SIZE": NodeOptions(block_size=512),
        "BUSY_TIMEOUT": NodeOptions(busy_timeout_ms=100),
        "DISK_MODE": NodeOptions(disk_mode=True),
        "POOL_THREAD_COUNT": NodeOptions(pool_threads=2),
        "ROLE_MANAGEMENT": NodeOptions(role_management=RoleManagement()),
        "SNAPSHOT_COMPRESSION": NodeOptions(snapshot_compression=False),
        "SNAPSHOT_PARAMS_V2": NodeOptions(
            snapshot_params=SnapshotParams(strategy=TrailingStrategy.DYNAMIC)
        ),
    }


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def works(option: NodeOptions) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Node(1, free_address(), folder, option):
                return True
        except CapabilityMissing:
            return False


def script(client: BlockingClient) -> list[object] | None:
    """The values that a script selects, run statement by statement; None if that cannot be."""
    values, rest = [], "SELECT 1; SELECT ';' -- ;\n; SELECT 3;"
    try:
        while rest:
            statement, rest = client.prepare_first(rest)
            values.append(client.query(statement).rows[0][0])
            client.finalize(statement)
    except ServerTooOld:
        return None
    return values


def two_become_one() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        addresses = [free_address(), free_address()]
        nodes = []
        for node_id, address in enumerate(addresses, 1):
            directory = Path(folder, str(node_id))
            directory.mkdir()
            nodes.append(Node(node_id, address, directory, NodeOptions(network_latency_ms=20)))
        with nodes[0], BlockingClient.connect(addresses[0], timeout_s=LIMIT_S) as client:
            client.open("test")
            selected = script(client)
            client.exec_sql("CREATE TABLE numbers (n INTEGER)")
            for number in range(300):
                client.exec_sql("INSERT INTO numbers VALUES (?)", (number,))
        end = read_last_entry_info(nodes[0].data_dir)
        with (
            nodes[0],
            nodes[1],
            BlockingClient.connect(addresses[0], timeout_s=LIMIT_S) as client,
        ):
            client.add(2, addresses[1])
            client.assign(2, Role.VOTER)
        reconfigure_membership_ext(nodes[0].data_dir, [Member(1, addresses[0], Role.VOTER)])
        assert files.read(nodes[0].data_dir).last_entry() == read_last_entry_info(nodes[0].data_dir)
        with nodes[0], BlockingClient.connect(addresses[0], timeout_s=LIMIT_S) as client:
            client.open("test")
            rows = client.query_sql("SELECT count(*) FROM numbers").rows[0][0]
            return {
                "end": [end.term, end.index],
                "rows": rows,
                "script": selected,
                "members": len(client.cluster()),
            }


if __name__ == "__main__":
    found = {name: works(option) for name, option in options().items()}
    has = {each.name for each in load().capabilities()}
    assert found == {name: name in has for name in found}, (found, has)
    print(json.dumps({"has": sorted(has), **two_become_one()}))
