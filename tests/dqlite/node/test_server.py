"""A node in this process, and the mistakes that would crash it."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlite import (
    BOOTSTRAP_ID,
    BlockingClient,
    CapabilityMissing,
    DamagedFiles,
    NodeError,
    NodeOptions,
    Role,
    RoleManagement,
    SnapshotParams,
    TrailingStrategy,
)
from tests.dqlite.node import raft_files as made

bindings = pytest.importorskip("dqlite.node.bindings", reason="cffi is not installed")
server = pytest.importorskip("dqlite.node.server", reason="cffi is not installed")

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("library")]

LIMIT_S = 20.0


def ask(address: str) -> BlockingClient:
    return BlockingClient.connect(address, timeout_s=LIMIT_S)


def test_node_starts_stops_and_starts_again(address: str, tmp_path: Path) -> None:
    options = NodeOptions(
        network_latency_ms=20,
        failure_domain=3,
        busy_timeout_ms=0,
        auto_recovery=True,
        snapshot_params=SnapshotParams(threshold=128, trailing=1024),
    )
    node = server.Node(1, address, tmp_path, options)
    for _ in range(2):
        node.start()
        node.start()
        assert node.is_running
        assert node.bind_address == address
        with ask(address) as client:
            assert client.describe().failure_domain == 3
        node.close()
        node.close()

    assert not node.is_running
    with pytest.raises(NodeError, match="does not run"):
        _ = node.bind_address


@pytest.mark.parametrize("node_id", [1, BOOTSTRAP_ID])
def test_either_id_founds_a_cluster(address: str, tmp_path: Path, node_id: int) -> None:
    with server.Node(node_id, address, tmp_path), ask(address) as client:
        assert [(each.id, each.address) for each in client.cluster()] == [(node_id, address)]


def test_other_ids_wait_to_be_added(address: str, tmp_path: Path) -> None:
    with server.Node(2, address, tmp_path), ask(address) as client:
        assert client.cluster() == ()


def test_abstract_address_is_chosen_and_serves_this_process(address: str, tmp_path: Path) -> None:
    with server.Node(1, address, tmp_path, NodeOptions(bind_address="@")) as node:
        assert node.bind_address.startswith("@")
        with ask(node.bind_address) as client:
            assert client.leader() is not None


@pytest.mark.parametrize("wrong", [0, -1, 1 << 64])
def test_id_that_is_none_is_an_error(wrong: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="node id"):
        server.Node(wrong, "127.0.0.1:1", tmp_path)


@pytest.mark.parametrize("wrong", ["", "a\0b", "a\nb", "x" * 256])
def test_address_that_is_none_is_an_error(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="address"):
        server.Node(1, wrong, tmp_path)
    with pytest.raises(ValueError, match="address"):
        server.Node(1, "127.0.0.1:1", tmp_path, NodeOptions(bind_address=wrong))


def test_missing_directory_is_an_error_that_leaves_the_process_sound(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(NodeError, match="directory"):
        server.Node(1, address, tmp_path / "missing").start()

    with server.Node(1, address, tmp_path):
        pass


def test_directory_with_too_long_a_path_is_an_error(address: str, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["x" * 200] * 5)
    deep.mkdir(parents=True)

    with pytest.raises(NodeError, match="894"):
        server.Node(1, address, deep).start()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda at: (at / ("x" * 128)).touch(),
        lambda at: made.closed(at, 0, [made.Made(1)]),
        lambda at: (at / "2026-11").touch(),
        lambda at: [(at / name).touch() for name in ("open-1", "open-01")],
        lambda at: [made.metadata(at, number, 2, 1) for number in (1, 2)],
        lambda at: (at / "metadata1").write_bytes(struct.pack("<4Q", 9, 1, 1, 0)),
        lambda at: (at / "recovery.ready").mkdir(),
        lambda at: (at / "open-1").write_bytes(made.segment([made.Made(1)], [made.Made(1)])[:-8]),
        lambda at: (at / "open-1").write_bytes(made.segment([made.Made(1)], [made.Made(1, 9)])),
        lambda at: (at / "open-1").write_bytes(made.segment([made.Made(0)], zeros=64)),
    ],
)
def test_files_that_crash_the_library_are_an_error_that_leaves_the_process_sound(
    address: str, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    for each in (bad, good):
        each.mkdir()
    made.metadata(bad, 1, 1, 1)
    spoil(bad)

    with pytest.raises(DamagedFiles):
        server.Node(1, address, bad).start()

    with server.Node(1, address, good):
        pass


@pytest.mark.parametrize("node_id", [1, server.FOUNDERS[1]])
def test_founder_that_was_killed_while_it_founded_says_how_to_go_on(
    address: str, tmp_path: Path, node_id: int
) -> None:
    made.metadata(tmp_path, 1, 1, 1)

    with pytest.raises(DamagedFiles, match="remove metadata1 and metadata2"):
        server.Node(node_id, address, tmp_path).start()

    (tmp_path / "metadata1").unlink()
    with server.Node(node_id, address, tmp_path):
        pass


def test_node_that_is_to_be_added_may_know_a_term_and_have_no_log(
    address: str, tmp_path: Path
) -> None:
    made.metadata(tmp_path, 1, 1, 1)

    with server.Node(2, address, tmp_path):
        pass


def test_what_auto_recovery_sets_aside_is_left_to_it(address: str, tmp_path: Path) -> None:
    made.metadata(tmp_path, 1, 1, 1)
    made.closed(tmp_path, 1, [made.change(1, (1, address, 0))])
    (tmp_path / "open-1").write_bytes(b"x" * 100)

    with server.Node(1, address, tmp_path), ask(address) as client:
        assert client.cluster()[0].id == 1
    assert list(tmp_path.glob("corrupt-*-open-1"))


@pytest.mark.parametrize("bind", [None, "@"])
def test_address_is_free_again_after_a_start_that_failed(
    address: str, tmp_path: Path, bind: str | None
) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    for each in (bad, good):
        each.mkdir()
    made.metadata(bad, 1, 1, 1)
    made.closed(bad, 5, [made.Made(1)])
    options = NodeOptions(bind_address=bind)

    for _ in range(2):
        with pytest.raises(NodeError, match=r"start: .*0000000000000005"):
            server.Node(1, address, bad, options).start()

    with server.Node(1, address, good, options):
        pass


def test_second_node_on_a_directory_is_an_error(address: str, tmp_path: Path) -> None:
    with (
        server.Node(1, address, tmp_path),
        pytest.raises(NodeError, match="another node"),
    ):
        server.Node(1, address, tmp_path).start()


def test_lock_of_other_programs_is_respected(address: str, tmp_path: Path) -> None:
    code = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "dqlite-lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(NodeError, match="another node"):
            server.Node(1, address, tmp_path).start()
        other.communicate()

    with server.Node(1, address, tmp_path):
        pass


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        ("not-an-address.invalid:9001", "numeric host"),
        ("192.0.2.1:9001", "Cannot assign requested address"),
    ],
)
def test_address_that_cannot_be_bound_is_an_error(tmp_path: Path, bind: str, says: str) -> None:
    with pytest.raises(NodeError, match=rf"bind .*{says}"):
        server.Node(1, bind, tmp_path).start()


def test_address_in_use_is_an_error_that_says_so(address: str, tmp_path: Path) -> None:
    host, port = address.split(":")
    with (
        socket.create_server((host, int(port))),
        pytest.raises(NodeError, match=r"bind .*already in use"),
    ):
        server.Node(1, address, tmp_path).start()


def test_one_of_many_nodes_that_start_at_one_address_wins(address: str, tmp_path: Path) -> None:
    failed: list[NodeError] = []
    nodes = []
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        nodes.append(server.Node(1, address, tmp_path / str(number)))
    together = threading.Barrier(len(nodes))

    def start(node: server.Node) -> None:
        together.wait()
        try:
            node.start()
        except NodeError as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(node,)) for node in nodes]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (winner,) = [node for node in nodes if node.is_running]
    with winner, ask(address) as client:
        assert client.leader() is not None
    assert len(failed) == len(nodes) - 1
    assert all("already in use" in str(error) for error in failed)


def test_node_whose_address_is_taken_between_bind_and_start_says_so(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = address.split(":")
    listen = server.listeners.listen
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))

        def listen_after_the_other(bind: Callable[[], str]) -> object:
            def bind_both() -> str:
                bound = bind()
                other.listen()
                return bound

            return listen(bind_both)

        monkeypatch.setattr(server.listeners, "listen", listen_after_the_other)
        with pytest.raises(NodeError, match=r"listen .*already in use"):
            server.Node(1, address, tmp_path).start()

    monkeypatch.undo()
    with server.Node(1, address, tmp_path):
        pass


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (NodeOptions(auto_recovery=False), "AUTO_RECOVERY"),
        (NodeOptions(block_size=4096), "BLOCK_SIZE"),
        (NodeOptions(busy_timeout_ms=100), "BUSY_TIMEOUT"),
        (NodeOptions(snapshot_compression=False), "SNAPSHOT_COMPRESSION"),
        (NodeOptions(pool_threads=2), "POOL_THREAD_COUNT"),
        (NodeOptions(role_management=RoleManagement(3, 1)), "ROLE_MANAGEMENT"),
        (
            NodeOptions(snapshot_params=SnapshotParams(strategy=TrailingStrategy.DYNAMIC)),
            "SNAPSHOT_PARAMS_V2",
        ),
    ],
)
def test_option_works_or_names_what_is_missing(
    address: str, tmp_path: Path, options: NodeOptions, needs: str
) -> None:
    capability = bindings.Capability[needs]
    node = server.Node(1, address, tmp_path, options)
    if capability in bindings.load().capabilities():
        with node, ask(address) as client:
            assert client.leader() is not None
        return

    with pytest.raises(CapabilityMissing, match=r"has no dqlite_node_\w+, which .*1\.1[3-8]\.\d"):
        node.start()
    with server.Node(1, address, tmp_path):
        pass


def test_disk_mode_works_or_names_the_versions_that_have_it(address: str, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="disk mode"):
        options = NodeOptions(disk_mode=True)
    node = server.Node(1, address, tmp_path, options)
    if bindings.Capability.DISK_MODE in bindings.load().capabilities():
        with node:
            pass
    else:
        with pytest.raises(CapabilityMissing, match=r"only 1\.13\.0 to 1\.18\.2 have"):
            node.start()


def test_legacy_handshake_is_answered_with_the_address_alone(address: str, tmp_path: Path) -> None:
    host, port = address.split(":")
    text = address.encode() + b"\0"
    body = text + bytes(-len(text) % 8)
    with (
        server.Node(1, address, tmp_path),
        socket.create_connection((host, int(port)), LIMIT_S) as raw,
    ):
        raw.sendall(struct.pack("<QIBBHQ", 0x86104DD760433FE5, 1, 0, 0, 0, 0))

        answer = raw.recv(1024)
    assert answer == struct.pack("<IBBH", len(body) // 8, 1, 0, 0) + body


def test_writer_waits_for_the_busy_timeout(address: str, tmp_path: Path) -> None:
    if bindings.Capability.BUSY_TIMEOUT not in bindings.load().capabilities():
        pytest.skip("writers of this libdqlite do not wait")
    options = NodeOptions(busy_timeout_ms=int(LIMIT_S * 1000))
    with server.Node(1, address, tmp_path, options), ask(address) as first, ask(address) as second:
        for client in (first, second):
            client.open("test")
        first.exec_sql("CREATE TABLE numbers (n INTEGER)")
        first.exec_sql("BEGIN IMMEDIATE")
        writer = threading.Thread(target=second.exec_sql, args=("INSERT INTO numbers VALUES (2)",))
        writer.start()
        first.exec_sql("INSERT INTO numbers VALUES (1)")
        first.exec_sql("COMMIT")
        writer.join()

        assert first.query_sql("SELECT n FROM numbers").rows == ((1,), (2,))


def test_handover_moves_the_leadership(addresses: list[str], tmp_path: Path) -> None:
    if bindings.Capability.HANDOVER not in bindings.load().capabilities():
        pytest.skip("this libdqlite cannot hand over")
    nodes = []
    for node_id in (1, 2):
        (tmp_path / str(node_id)).mkdir()
        options = NodeOptions(network_latency_ms=20)
        address = addresses[node_id]
        nodes.append(server.Node(node_id, address, tmp_path / str(node_id), options))
    with nodes[0], nodes[1]:
        with ask(addresses[1]) as client:
            client.add(2, addresses[2])
            client.assign(2, Role.VOTER)
        with contextlib.suppress(NodeError):  # The vote stays where it is: nobody can take it.
            nodes[0].handover()
        with ask(addresses[2]) as client:
            leader = client.leader()

    assert leader is not None
    assert leader.id == 2


def test_handover_works_or_names_what_is_missing(address: str, tmp_path: Path) -> None:
    with server.Node(1, address, tmp_path) as node:
        if bindings.Capability.HANDOVER in bindings.load().capabilities():
            with contextlib.suppress(NodeError):  # nobody is there to take over
                node.handover()
        else:
            with pytest.raises(CapabilityMissing, match="handover"):
                node.handover()


def test_dial_function_joins_nodes_that_have_names_for_addresses(tmp_path: Path) -> None:
    places: dict[str, str] = {}

    def dial(address: str, timeout_s: float) -> socket.socket:
        if address not in places:
            raise ConnectionRefusedError(f"{address} is not up")
        return socket.create_connection(places[address].split(":"), timeout_s)  # type: ignore[arg-type]

    nodes = []
    for node_id in (1, 2):
        (tmp_path / str(node_id)).mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            bind = f"127.0.0.1:{free.getsockname()[1]}"
        options = NodeOptions(bind_address=bind, dial=dial, network_latency_ms=20)
        nodes.append(server.Node(node_id, f"node-{node_id}", tmp_path / str(node_id), options))
        places[f"node-{node_id}"] = bind

    with nodes[0], nodes[1]:
        with ask(places["node-1"]) as client:
            client.add(2, "node-2")
            client.assign(2, 0)
            client.transfer(2)
        with ask(places["node-2"]) as client:
            leader = client.leader()

    assert leader is not None
    assert leader.address == "node-2"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_joins_or_is_refused_in_one_line(tmp_path: Path) -> None:
    addresses = []
    for node_id in (1, 2):
        (tmp_path / str(node_id)).mkdir()
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            addresses.append(f"[::1]:{free.getsockname()[1]}")
    options = NodeOptions(network_latency_ms=20)
    nodes = [
        server.Node(node_id, address, tmp_path / str(node_id), options)
        for node_id, address in enumerate(addresses, 1)
    ]
    if bindings.Capability.BLOCK_SIZE not in bindings.load().capabilities():
        with pytest.raises(NodeError, match="this libdqlite does not take such addresses"):
            nodes[0].start()
        return

    with nodes[0], nodes[1], ask(addresses[0]) as client:
        client.add(2, addresses[1])
        client.assign(2, 0)

        assert [each.role for each in client.cluster()] == [0, 0]


def test_threads_that_close_a_node_at_once_wait_for_each_other(
    address: str, tmp_path: Path
) -> None:
    node = server.Node(1, address, tmp_path)
    node.start()
    failed: list[BaseException] = []

    def close() -> None:
        try:
            node.close()
            assert not node.is_running
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert failed == []


def test_sigpipe_must_be_ignored(address: str, tmp_path: Path) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with pytest.raises(NodeError, match="SIGPIPE"):
            server.Node(1, address, tmp_path).start()
    finally:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def test_child_of_a_fork_cannot_use_the_node_and_leaves_it_alone(
    address: str, tmp_path: Path
) -> None:
    code = f"""
import os, sys
from dqlite import Node, NodeError
node = Node(1, {address!r}, {str(tmp_path)!r})
node.start()
child = os.fork()
if not child:
    try:
        node.close()
    except NodeError as error:
        print(error, flush=True)
    sys.exit(0)  # What runs at exit leaves the node alone, too.
os.waitpid(child, 0)
print(node.bind_address, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == [
        "a node cannot be used after a fork: start one in the child",
        address,
    ]
    assert not list(tmp_path.glob("open-*")), "closed at exit"


def test_child_of_a_fork_starts_a_node_although_a_thread_was_starting_one(
    address: str, tmp_path: Path
) -> None:
    code = f"""
import os, signal
from dqlite import Node
from dqlite.node import bindings
bindings.load().binding.acquire()  # as a thread that does not exist in the child
child = os.fork()
if not child:
    signal.alarm({LIMIT_S:.0f})  # ends a child that hangs
    with Node(1, {address!r}, {str(tmp_path)!r}) as node:
        print(node.bind_address, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{address}\n"
