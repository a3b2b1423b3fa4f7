"""The subcommands: a lost majority, a look at a log, copies of a database, certificates."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dqlite.app.app import App
from dqlite.commands.main import cli
from dqlite.node.options import NodeOptions


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def survivors(library: None, tmp_path: Path, ports: Callable[[], str]) -> list[Path]:
    """The directories of a founder, which has a table, and of one that joined and holds it, too."""
    addresses = [ports(), ports(), ports()]
    directories = [tmp_path / str(index) for index in range(3)]
    options = NodeOptions(network_latency_ms=20)
    apps = []
    for directory, address in zip(directories, addresses, strict=True):
        directory.mkdir()
        app = App(directory, address=address, cluster=addresses[: len(apps)], node_options=options)
        app.start()
        app.ready(30)
        apps.append(app)
    with closing(apps[0].open("demo").connect()) as connection:
        connection.execute("CREATE TABLE t (n INT)")
        connection.execute("INSERT INTO t VALUES (7)")
        connection.commit()
    for app in apps:
        app.close()
    shutil.rmtree(directories.pop(0))
    return directories


@pytest.mark.cluster
def test_lost_majority_is_recovered_step_by_step(survivors: list[Path], tmp_path: Path) -> None:
    keep = survivors[:1]
    before = {path: path.read_bytes() for path in keep[0].iterdir()}
    line = ("recover", *keep, "--backup", tmp_path / "backup")
    dry = run(*line, "--dry-run")

    assert dry.exit_code == 0, dry.output
    assert [f"{step}. " in dry.stdout for step in range(1, 6)] == [True] * 5
    assert dry.stdout.endswith("Dry run: nothing was changed.\n")
    assert {path: path.read_bytes() for path in keep[0].iterdir()} == before

    assert run(*line).exit_code == 0
    address = (keep[0] / "info.yaml").read_text().split("Address: ")[1].split("\n")[0].strip("'\"")
    with App(keep[0], node_options=NodeOptions(network_latency_ms=20)) as app:
        app.ready(30)
        done = run("-s", address, "--timeout", "10000", "demo", "SELECT n FROM t")
        members = run("-s", address, "--timeout", "10000", "demo", ".cluster")
    assert done.stdout == "7\n", done.stderr
    assert members.stdout.count("\n") == 1


@pytest.mark.cluster
def test_log_is_shown_and_not_changed(survivors: list[Path]) -> None:
    before = sorted(path.name for path in survivors[0].iterdir())
    done = run("log", survivors[0], "-f", "json")
    entries = json.loads(done.stdout)

    assert [each["index"] for each in entries] == list(range(1, len(entries) + 1))
    assert any(each["content"].startswith("demo: pages ") for each in entries)
    assert entries[0]["type"] == "CHANGE"
    assert f"last entry: {len(entries)} of term " in done.stderr
    assert len(run("log", survivors[0], "--last", "2", "-f", "pipe").stdout.splitlines()) == 2
    assert sorted(path.name for path in survivors[0].iterdir()) == before


def test_recover_without_info_asks_for_the_members(tmp_path: Path) -> None:
    done = run("recover", tmp_path, "--backup", tmp_path / "backup")

    assert done.exit_code == 1
    assert (
        done.stderr == f"Error: {tmp_path}/info.yaml is missing: name the members with --cluster\n"
    )


def test_log_of_garbage_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "metadata1").write_bytes(b"\x09" * 32)
    done = run("log", tmp_path)

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.cluster
def test_database_is_backed_up_and_restored(node: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    sql = "DROP TABLE IF EXISTS kept; CREATE TABLE kept (n INT); INSERT INTO kept VALUES (7)"
    assert run("-s", node, "source", sql).exit_code == 0

    assert run("backup", "-s", node, "source", copy).stdout.startswith(f"{copy}: ")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT n FROM kept").fetchall() == [(7,)]

    assert run("backup", "-s", node, "source", copy).exit_code == 1  # it is there already
    assert run("backup", "-s", node, "source", copy, "--replace").exit_code == 0
    assert run("restore", "-s", node, "target", copy).exit_code == 0
    assert run("-s", node, "target", "SELECT n FROM kept").stdout == "7\n"
    assert run("restore", "-s", node, "target", copy).exit_code == 1  # it is not empty


@pytest.mark.cluster
def test_shell_speaks_tls_with_certificates_of_the_command(
    library: None, tmp_path: Path, ports: Callable[[], str]
) -> None:
    pytest.importorskip("cryptography")
    from dqlite.app.tls import simple_tls_config

    place = tmp_path / "certificates"
    made = run("tls", place, "127.0.0.1:9001")
    ca, cert, key = place / "ca.crt", place / "127.0.0.1.crt", place / "127.0.0.1.key"

    assert made.stdout == f"127.0.0.1: {cert} {key}\n"
    (tmp_path / "node").mkdir()
    address = ports()
    options = NodeOptions(network_latency_ms=20)
    tls = simple_tls_config(cert, key, ca)
    with App(tmp_path / "node", address=address, transport=tls, node_options=options) as app:
        app.ready(30)
        line = ("-s", address, "--timeout", "10000", "demo", "SELECT 7")

        assert run(*line, "-c", cert, "-k", key, "--ca", ca).stdout == "7\n"
        line = ("-s", address, "--timeout", "500", "demo", "SELECT 7")
        assert run(*line).exit_code == 1
        assert run(*line, "-c", cert, "-k", key).exit_code == 1  # it is not self-signed
