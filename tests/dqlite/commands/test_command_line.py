"""The program `dqlite` on a real node: SQL, dot-commands, formats, pipes, exit statuses."""

import json
import os
import pty
import select
import sqlite3
import stat
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dqlite.commands.main import cli

Run = Callable[..., Result]


@pytest.fixture
def run(node: str) -> Run:
    """Run a line for the database `demo` of the node, with a fresh table `model`."""

    def run(*words: str, stdin: str | None = None, options: tuple[str, ...] = ()) -> Result:
        return CliRunner().invoke(cli, [*options, "-s", node, "demo", *words], input=stdin)

    run("DROP TABLE IF EXISTS model; CREATE TABLE model (key TEXT, value TEXT, UNIQUE(key))")
    return run


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("demo",),
        ("-s", "127.0.0.1:1"),
        ("-s", "", "demo"),
        ("-s", "file:///nowhere/cluster.yaml", "demo"),
        ("-s", "127.0.0.1:1", "-c", __file__, "demo"),
        ("-s", "127.0.0.1:1", "-f", "xml", "demo"),
        ("-s", "127.0.0.1:1", "--timeout", "0", "demo"),
        ("recover",),
    ],
)
def test_wrong_usage_is_status_2(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, words)

    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_help_shows_the_flags_and_the_subcommands() -> None:
    for flag in ("-h", "--help"):
        done = CliRunner().invoke(cli, [flag])

        assert done.exit_code == 0
        for shown in ("-s, --servers", "-f, --format", "-c, --cert", "-k, --key", "--timeout"):
            assert shown in done.stdout
        for name in ("backup", "log", "recover", "restore", "shell", "tls"):
            assert f"\n  {name} " in done.stdout


def test_no_node_is_one_line_and_status_1(ports: Callable[[], str]) -> None:
    done = CliRunner().invoke(cli, ["-s", ports(), "--timeout", "200", "demo", "SELECT 1"])

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: no ")
    assert done.stderr.count("\n") == 1


@pytest.mark.cluster
def test_line_of_go_works_as_typed(run: Run) -> None:
    run("INSERT INTO model VALUES ('my-key', 'my-value')")

    assert run("SELECT * FROM model").stdout == "my-key|my-value\n"
    assert run("SELECT * FROM model", "-f", "json").stdout == (
        '[{"key":"my-key","value":"my-value"}]\n'
    )


@pytest.mark.cluster
def test_every_kind_of_statement_runs(run: Run) -> None:
    done = run(
        """
        BEGIN;
        INSERT INTO model VALUES ('a;b', 1);
        WITH x(k) AS (VALUES ('c')) INSERT INTO model SELECT k, 2 FROM x;
        COMMIT;
        CREATE TRIGGER gone AFTER DELETE ON model BEGIN INSERT INTO model VALUES ('d', 3); END;
        DELETE FROM model WHERE key = 'c';
        WITH x AS (SELECT key FROM model) SELECT * FROM x ORDER BY key;
        PRAGMA user_version = 7;
        PRAGMA user_version
        """
    )

    assert (done.exit_code, done.stdout) == (0, "a;b\nd\n7\n")


@pytest.mark.cluster
def test_error_in_a_command_is_status_1(run: Run) -> None:
    done = run("SELECT 1; SELEC; SELECT 2")

    assert (done.exit_code, done.stdout) == (1, "1\n")
    assert done.stderr == 'Error: near "SELEC": syntax error (1)\n'


@pytest.mark.cluster
def test_pipe_is_read_until_the_first_error(run: Run) -> None:
    done = run(stdin=".mode csv\nSELECT 1 AS a,\n 2 AS b;\nSELEC;\nSELECT 3;\n")

    assert (done.exit_code, done.stdout) == (1, "a,b\n1,2\n")


@pytest.mark.cluster
def test_exit_leaves_and_is_no_error(run: Run) -> None:
    done = run(stdin="SELECT 1;\n.exit\nSELECT 2;\n")

    assert (done.exit_code, done.stdout) == (0, "1\n")


@pytest.mark.cluster
def test_members_are_shown_as_go_shows_them(run: Run, node: str) -> None:
    assert run(".cluster").stdout == f"1|{node}|voter\n"
    assert run(".cluster", options=("-f", "tabular")).stdout == f"1|{node}|voter\n"
    assert run(".cluster", "-f", "json").stdout == (
        f'[\n\t{{\n\t\t"ID": 1,\n\t\t"Address": "{node}",\n\t\t"Role": 0\n\t}}\n]\n'
    )
    assert run(".leader").stdout == f"{node}\n"


@pytest.mark.cluster
def test_node_is_described_and_weighed(run: Run, node: str) -> None:
    assert run(f".weight {node} 7").stdout == ""
    assert run(f".describe {node}").stdout == f"{node}|0|7\n"
    assert json.loads(run(f".describe {node}", "-f", "json").stdout) == {
        "FailureDomain": 0,
        "Weight": 7,
    }


@pytest.mark.cluster
def test_member_is_added_assigned_and_removed(run: Run, ports: Callable[[], str]) -> None:
    address = ports()

    assert run(f".add 0x2a {address}").exit_code == 0
    assert f"2a|{address}|spare\n" in run(".cluster").stdout
    assert run(f".assign {address} stand-by").exit_code == 0
    assert f"2a|{address}|stand-by\n" in run(".cluster").stdout
    assert run(f".remove {address}").exit_code == 0
    assert address not in run(".cluster").stdout


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (".remove 127.0.0.1:1", 'no node has address "127.0.0.1:1"'),
        (".assign 127.0.0.1:1 king", "expected voter, stand-by, spare, got king"),
        (".add two 127.0.0.1:1", "expected a node id, decimal or 0x and hexadecimal"),
        (".weight 127.0.0.1:1 -1", "expected a weight from 0 to"),
        (".remove", "expected .remove ADDRESS"),
        (".leader now", "expected .leader"),
        (".mode xml", "expected one of tabular, pipe, table, json, csv, got xml"),
        (".nothing", "no command .nothing; .help lists them"),
        (".tables 'open", "No closing quotation: .tables 'open"),
    ],
)
def test_wrong_dot_command_says_what_is_expected(run: Run, command: str, message: str) -> None:
    done = run(command)

    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {message}")


@pytest.mark.cluster
def test_dump_is_a_database_for_its_owner_alone(
    run: Run, node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("INSERT INTO model VALUES ('k', 'v')")

    assert run(f".dump {node} demo").stdout == "OK\n"
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(tmp_path / "demo") as dumped:
        assert dumped.execute("SELECT * FROM model").fetchall() == [("k", "v")]
    dumped.close()
    assert run(f".dump {node} nowhere").exit_code == 1


@pytest.mark.cluster
def test_tables_and_schema(run: Run) -> None:
    run("CREATE TABLE IF NOT EXISTS other (\n  a\n)")

    assert run(".tables").stdout == "model\nother\n"
    assert run(".tables mo%").stdout == "model\n"
    assert run(".schema other").stdout == "CREATE TABLE other (\n  a\n);\n"


@pytest.mark.cluster
def test_health_is_told(run: Run, node: str) -> None:
    done = run(".health")

    assert done.exit_code == 0
    assert done.stdout.startswith(f"healthy\nleader: {node}\n")
    assert json.loads(run(".health", "-f", "json").stdout)["healthy"] is True


def test_health_of_a_cluster_that_is_down_is_status_1(ports: Callable[[], str]) -> None:
    done = CliRunner().invoke(cli, ["-s", ports(), "--timeout", "100", "demo", ".health"])

    assert done.exit_code == 1
    assert done.stdout.startswith("down\n")
    assert done.stderr == "Error: the cluster cannot serve\n"


@pytest.mark.cluster
def test_help_lists_every_dot_command(run: Run) -> None:
    from dqlite.commands.dots import DOTS

    shown = run(".help").stdout

    assert all(f"\n{name}" in f"\n{shown}" for name in DOTS)


@pytest.mark.cluster
def test_servers_may_stand_in_a_store(node: str, tmp_path: Path) -> None:
    store = tmp_path / "cluster.yaml"
    store.write_text(f"- ID: 1\n  Address: {node}\n  Role: 0\n")
    done = CliRunner().invoke(cli, ["-s", f"file://{store}", "demo", ".leader"])

    assert done.stdout == f"{node}\n"


@pytest.mark.cluster
@pytest.mark.parametrize("line", ["<&-", '"SELECT 1" >&-', '"SELECT 1" | true'])
def test_closed_streams_are_no_bug(node: str, line: str) -> None:
    command = f'"$0" -m dqlite -s {node} demo {line}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.cluster
@pytest.mark.parametrize(("words", "typed"), [(("SELECT 1",), ""), ((), "SELECT 1;")])
def test_command_and_pipe_load_nothing_of_the_prompt(
    node: str, words: tuple[str, ...], typed: str
) -> None:
    code = """
import atexit, sys
from dqlite.commands.main import main
atexit.register(lambda: print(*sys.modules))
main()
"""
    line = [sys.executable, "-c", code, "-s", node, "demo", *words]
    done = subprocess.run(line, input=typed, capture_output=True, text=True, check=True)

    first, _, loaded = done.stdout.partition("\n")
    assert first == "1"
    assert "dqlite.commands.shell" in loaded.split()
    assert "prompt_toolkit" not in loaded.split()


@pytest.mark.cluster
def test_bytes_that_are_no_text_are_refused(node: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dqlite", "-s", node, "demo"],
        input=b"SELECT '\xff';\n", capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.cluster
def test_prompt_survives_errors_and_interrupts(node: str, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 80))
    environment = {**os.environ, "DQLITE_HISTORY": str(tmp_path / "history"), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dqlite", "-s", node, "demo"],
        stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(child)
    try:
        for typed, expected in (
            ("", ["Ctrl-D leaves", "dqlite>"]),
            ("SELEC;\r", ["syntax error", "dqlite>"]),
            ("SELECT 40 +\r", ["...>"]),
            ("2;\r", ["42", "dqlite>"]),
            ("SELECT 'dropped' \x03", ["dropped", "dqlite>"]),
            ("SELECT 'x' || char(27) || 'y';\r", [r"x\x1by", "dqlite>"]),
        ):
            os.write(parent, typed.encode())
            _read_until(parent, expected)
        os.write(parent, b"\x04")

        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    assert "SELECT 40 +\n+2;" in (tmp_path / "history").read_text()


def _read_until(terminal: int, expected: Sequence[str]) -> None:
    """Read what a terminal shows until these texts came, in this order."""
    screen = ""
    for text in expected:
        while text not in screen:
            assert select.select([terminal], [], [], 20)[0], f"expected {text}, got {screen}"
            screen += os.read(terminal, 4096).decode(errors="replace")
        screen = screen.partition(text)[2]
