"""Our shell and our demo with those of go-dqlite: one command line, one cluster, one directory."""

import asyncio
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from dqlite import Role, connect, simple_tls_config
from tests.dqlite.interop.tools import (
    GO_VERSIONS,
    IS_WHOLE,
    LIBRARY_OF,
    Programs,
    Running,
    dump,
    leader,
    members,
    our_shell,
    shell,
    until,
)

pytestmark = pytest.mark.cluster

VERSIONS_AND_FOUNDERS = (
    tuple(itertools.product(GO_VERSIONS, ("go", "ours")))
    if IS_WHOLE
    else (("1.11.5", "go"), ("3.0.4", "ours"))
)


@pytest.mark.parametrize("version", GO_VERSIONS)
def test_our_shell_reads_and_writes_at_the_go_demo(programs: Programs, version: str) -> None:
    demo = programs.go_demo(version)
    demo.put("k", "v")
    servers = [demo.db]

    assert our_shell(servers, "SELECT * FROM model") == ["k|v"]
    assert our_shell(servers, ".leader") == shell(version, servers, ".leader") == servers
    assert our_shell(servers, ".cluster") == shell(version, servers, ".cluster")
    our_shell(servers, "INSERT INTO model VALUES ('a;b', 'c'); UPDATE model SET value = 'w'")
    assert demo.get("k") == "w"


def all_vote(servers: list[str]) -> bool:
    return [each.role for each in members(servers).values()] == [Role.VOTER] * len(servers)


@pytest.mark.parametrize(("version", "founder"), VERSIONS_AND_FOUNDERS)
def test_demos_of_both_form_a_cluster_and_hand_over_to_each_other(
    programs: Programs, version: str, founder: str
) -> None:
    def demo(kind: str, join: list[str]) -> Running:
        if kind == "go":
            return programs.go_demo(version, join=join)
        return programs.our_demo(LIBRARY_OF[version], join=join)

    other = "ours" if founder == "go" else "go"
    first = demo(founder, [])
    second, third = (demo(kind, [first.db]) for kind in (other, founder))
    servers = [first.db, second.db, third.db]
    until(lambda: all_vote(servers))
    first.put("k", "one")
    assert [each.get("k") for each in (first, second, third)] == ["one"] * 3

    assert first.stop() == 0
    rest = servers[1:]
    assert until(lambda: leader(rest)) in rest
    second.put("k", "two")
    assert third.get("k") == "two"
    until(lambda: dump(second.db) == dump(third.db))


@pytest.mark.parametrize(("version", "founder"), VERSIONS_AND_FOUNDERS)
def test_demos_of_both_take_turns_on_one_directory(
    programs: Programs, version: str, founder: str
) -> None:
    kinds = ("go", "ours", "go") if founder == "go" else ("ours", "go", "ours")
    at, identities = None, set()
    for turn, kind in enumerate(kinds):
        if kind == "go":
            demo = programs.go_demo(version, at=at)
        else:
            demo = programs.our_demo(LIBRARY_OF[version], at=at)
        if turn:
            assert demo.get("turn") == str(turn - 1)
        demo.put("turn", str(turn))
        (member,) = members([demo.db]).values()
        identities.add((member.id, member.address, member.role))
        assert demo.stop() == 0
        at = demo

    assert len(identities) == 1


def test_one_directory_goes_through_both_languages_and_both_libraries(programs: Programs) -> None:
    demo = programs.go_demo("1.11.5")
    demo.put("turn", "0")
    assert demo.stop() == 0
    for turn, start in enumerate(
        [
            lambda at: programs.our_demo("1.11.1", at=at),
            lambda at: programs.our_demo("1.18.7", at=at),
            lambda at: programs.go_demo("3.0.4", at=at),
        ]
    ):
        demo = start(demo)
        assert demo.get("turn") == str(turn)
        demo.put("turn", str(turn + 1))
        assert demo.stop() == 0


def test_demos_and_shells_of_both_speak_tls_with_each_other(
    programs: Programs, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl makes the certificate, and is not here")
    certificate, key = tmp_path / "cluster.crt", tmp_path / "cluster.key"
    subprocess.run(
        (
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=cluster", "-keyout", str(key)),
            *("-out", str(certificate), "-addext", "subjectAltName=DNS:cluster,IP:127.0.0.1"),
        ),
        check=True,
        capture_output=True,
    )
    # Go's tools trust the certificate that they have: all members share one.
    options = ("--cert", str(certificate), "--key", str(key))
    first = programs.go_demo("3.0.4", *options)
    second = programs.our_demo("1.18.7", *options, join=[first.db])
    third = programs.our_demo("1.18.7", *options, join=[first.db])
    servers = [first.db, second.db, third.db]

    first.put("k", "v")
    assert [each.get("k") for each in (second, third)] == ["v", "v"]
    assert our_shell(servers, "SELECT * FROM model", *options) == ["k|v"]
    assert shell("3.0.4", servers, "SELECT * FROM model", *options)[-1] == "k\tv"
    assert our_shell(servers, ".cluster", *options) == shell("3.0.4", servers, ".cluster", *options)
    with connect([first.db], "demo", tls=simple_tls_config(certificate, key)) as connection:
        assert connection.execute("SELECT value FROM model").fetchall() == [("v",)]
    connection.close()
    until(lambda: all(line.endswith("|voter") for line in our_shell(servers, ".cluster", *options)))
    assert first.stop() == 0
    second.put("k", "w")
    assert third.get("k") == "w"


@pytest.mark.parametrize("version", GO_VERSIONS)
def test_our_dialects_of_sqlalchemy_read_and_write_at_the_go_demo(
    programs: Programs, version: str
) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("dqlite.sqlalchemy")
    asyncio_of_it = pytest.importorskip("sqlalchemy.ext.asyncio")
    demo = programs.go_demo(version)
    demo.put("by", "go")

    engine = sqlalchemy.create_engine(f"dqlite+sync://{demo.db}/demo")
    model = sqlalchemy.Table("model", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.select(model)).all() == [("by", "go")]
        connection.execute(model.update().values(value="sync"))
    engine.dispose()
    assert demo.get("by") == "sync"

    async def main() -> None:
        engine = asyncio_of_it.create_async_engine(f"dqlite+asyncio://{demo.db}/demo")
        async with engine.begin() as connection:
            await connection.execute(model.update().values(value="asyncio"))
        await engine.dispose()

    asyncio.run(main())
    assert demo.get("by") == "asyncio"
