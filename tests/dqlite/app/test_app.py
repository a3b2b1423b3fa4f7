"""Application nodes in this process, alone and in small clusters."""

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import dqlite
from dqlite.app import caretaker
from dqlite.errors import CapabilityMissing, Closed, NodeError, NoLeader
from dqlite.wire.schema import LeaderNode, Member, Role
from tests.dqlite.app.clusters import PATIENCE_S, Apps, eventually

app_module = pytest.importorskip("dqlite.app.app", reason="cffi is not installed")
bindings = pytest.importorskip("dqlite.node.bindings")
options = pytest.importorskip("dqlite.node.options")

pytestmark = pytest.mark.cluster

MANY = int(os.environ.get("DQLITE_MANY_NODES", "100"))
"""Of one process, as in go-dqlite's TestParallelNewApp."""


def names(path: Path) -> set[str]:
    return {each.name for each in path.iterdir()}


def test_first_node_founds_a_cluster_and_starts_again_without_options(apps: Apps) -> None:
    app = apps.start(1)
    assert (app.id, app.address) == (dqlite.BOOTSTRAP_ID, apps.address(1))
    assert apps.roles() == {1: Role.VOTER}
    with closing(app.open("test", PATIENCE_S).connect()) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
    apps.stop(1)

    app = apps.start(1, address=None)
    assert (app.id, app.address) == (dqlite.BOOTSTRAP_ID, apps.address(1))
    with closing(app.open("test", PATIENCE_S).connect()) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_two_nodes_have_one_voter_and_hand_over_to_each_other(apps: Apps) -> None:
    apps.start(1)
    second = apps.start(2)
    assert not (apps.path(2) / "join").exists()
    assert apps.roles() == {1: Role.VOTER, 2: Role.SPARE}
    assert second.store.get() == tuple(apps.members().values())

    apps.running[1].handover(PATIENCE_S)
    assert apps.leader() == 2
    eventually(lambda: apps.roles() == {1: Role.SPARE, 2: Role.VOTER})
    apps.stop(1)
    assert apps.leader() == 2


def test_single_node_hands_over_to_nobody(apps: Apps) -> None:
    app = apps.start(1)
    app.handover(PATIENCE_S)

    assert apps.roles() == {1: Role.VOTER}


def test_joiner_that_was_stopped_before_it_knew_of_its_membership_starts_again(apps: Apps) -> None:
    apps.start(1)
    apps.start(2)
    apps.stop(2)
    (apps.path(2) / "join").touch()  # the answer to ADD was lost

    apps.start(2)
    assert not (apps.path(2) / "join").exists()
    assert apps.roles() == {1: Role.VOTER, 2: Role.SPARE}


def test_voter_without_a_substitute_stays_one(apps: Apps) -> None:
    for number in (1, 2, 3):
        apps.start(number)
    eventually(lambda: apps.count(Role.VOTER) == 3)
    apps.running[3].handover(PATIENCE_S)
    apps.stop(3)

    report = apps.running[1].health(PATIENCE_S)
    assert apps.count(Role.VOTER) == 3
    assert (report.voters, report.online_voters, report.quorum_margin) == (3, 2, 0)
    assert report.is_available
    assert not report.is_healthy
    assert "the cluster stops when one more voter fails" in report.reasons

    apps.stop(2)
    eventually(lambda: apps.running[1].health(0.1).leader is None)  # it has stepped down
    report = apps.running[1].health(0.1)
    assert report.quorum_margin == -1
    assert not report.is_available
    assert any("no quorum: 1 of 3 voters answer, 2 are needed" in each for each in report.reasons)
    with pytest.raises(NoLeader, match="cannot open test"):
        apps.running[1].open("test", 0.5)
    with pytest.raises(NoLeader):
        apps.running[1].handover(1.0)


def test_node_whose_cluster_is_down_is_not_ready_and_says_why(apps: Apps) -> None:
    app = apps.describe(2)
    with app:
        with pytest.raises(NodeError, match="not ready after"):
            app.ready(0.3)
        failures: list[Exception] = []

        def wait() -> None:
            try:
                app.ready()
            except Closed as error:
                failures.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        app.close()
        waiting.join(PATIENCE_S)

    assert [type(error) for error in failures] == [Closed]


def test_closed_application_says_so(apps: Apps) -> None:
    app = apps.describe(1)
    app.close()
    for use in (
        lambda: app.id,
        lambda: app.ready(1),
        lambda: app.open("test"),
        lambda: app.leader(),
        lambda: app.client(),
        lambda: app.handover(),
        lambda: app.health(),
    ):
        with pytest.raises(Closed):
            use()


def test_start_that_fails_leaves_neither_files_nor_threads(apps: Apps) -> None:
    app = apps.describe(1, address="no-address.invalid:9001")
    before = threading.active_count()
    with pytest.raises(NodeError):
        app.start()
    assert not names(apps.path(1)) & {"info.yaml", "cluster.yaml", "join"}
    assert threading.active_count() <= before

    with pytest.raises(NodeError, match="cannot use the directory"):
        app_module.App(apps.path(1) / "missing", address=apps.address(1)).start()


def test_options_are_checked_before_anything_starts(apps: Apps) -> None:
    with pytest.raises(ValueError, match="voters"):
        apps.describe(1, voters=2)
    with pytest.raises(ValueError, match="interval"):
        apps.describe(1, roles_interval_s=0)
    with pytest.raises(ValueError, match="block size"):
        options.NodeOptions(block_size=524_288)


def test_option_that_the_library_lacks_leaves_no_files(apps: Apps) -> None:
    if bindings.Capability.BLOCK_SIZE in bindings.load().capabilities():
        pytest.skip("this libdqlite can set the block size")
    app = apps.describe(1, node_options=options.NodeOptions(block_size=65_536))

    with pytest.raises(CapabilityMissing, match="dqlite_node_set_block_size"):
        app.start()
    assert not names(apps.path(1)) & {"info.yaml", "cluster.yaml", "join"}


def test_directory_serves_one_application_at_a_time(apps: Apps) -> None:
    apps.start(1)
    before = {path: path.read_bytes() for path in apps.path(1).glob("*.yaml")}
    with pytest.raises(NodeError, match="another node holds"):
        apps.describe(1).start()

    assert {path: path.read_bytes() for path in apps.path(1).glob("*.yaml")} == before


def test_hook_hears_of_leader_and_members_and_may_fail(
    apps: Apps, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[LeaderNode | None, Sequence[Member]]] = []

    def hook(leader: LeaderNode | None, members: tuple[Member, ...]) -> None:
        heard.append((leader, members))
        raise ValueError("mine")

    with caplog.at_level(logging.ERROR, logger="dqlite.app"):
        apps.start(1, roles_hook=hook)
        eventually(lambda: len(heard) >= 2)

    leader, (member,) = heard[0]
    assert leader == LeaderNode(dqlite.BOOTSTRAP_ID, apps.address(1))
    assert (member.id, member.address) == (dqlite.BOOTSTRAP_ID, apps.address(1))
    assert any("mine" in (record.exc_text or "") for record in caplog.records)


def test_hook_that_hangs_is_called_once_and_delays_nothing(apps: Apps) -> None:
    heard: list[tuple[Member, ...]] = []
    hung, looked = threading.Event(), threading.Event()

    def hook(_: LeaderNode | None, members: tuple[Member, ...]) -> None:
        heard.append(members)
        looked.set()
        hung.wait()

    try:
        app = apps.start(1, roles_hook=hook)
        assert looked.wait(PATIENCE_S)
        for number in (2, 3):
            apps.start(number)
        eventually(lambda: apps.count(Role.VOTER) == 3)
        app.handover(PATIENCE_S)
        apps.stop(1)

        assert len(heard) == 1
    finally:
        hung.set()


def test_handover_goes_on_with_the_next_leader_when_the_leader_goes_away(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3, 4, 5):  # one stand-by for the leader, one for the node that leaves
        apps.start(number)
    eventually(lambda: [*apps.roles().values()] == [Role.VOTER] * 3 + [Role.STANDBY] * 2)
    leader = apps.leader()
    leaving = next(number for number in (2, 3, 1) if number != leader)
    thread = f"dqlite-app-{apps.running[leaving].id}"
    probe = caretaker.probe

    async def probe_when_the_leader_is_gone(*arguments: Any) -> Any:
        if threading.current_thread().name == thread and leader in apps.running:
            apps.stop(leader)
        return await probe(*arguments)

    monkeypatch.setattr(caretaker, "probe", probe_when_the_leader_is_gone)
    apps.running[leaving].handover(PATIENCE_S)

    assert leader not in apps.running
    assert apps.roles()[leaving] is Role.SPARE
    eventually(lambda: {apps.roles()[number] for number in (4, 5)} == {Role.VOTER})


def test_many_nodes_start_at_once(tmp_path: Path, library: None) -> None:
    clusters = [Apps(tmp_path / str(n)) for n in range(MANY)]
    for cluster in clusters:
        cluster.path(1).parent.mkdir()
    start = partial(Apps.start, number=1, roles_interval_s=30.0)
    threads = [threading.Thread(target=start, args=(cluster,)) for cluster in clusters]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [cluster.roles() for cluster in clusters] == [{1: Role.VOTER}] * MANY
    finally:
        for cluster in clusters:
            cluster.close()


def test_close_is_prompt_while_the_cluster_is_down(apps: Apps) -> None:
    app = apps.describe(2)
    app.start()
    began = time.monotonic()
    app.close()
    app.close()

    assert time.monotonic() - began < PATIENCE_S / 2
