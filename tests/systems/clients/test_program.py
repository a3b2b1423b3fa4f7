"""Clients that are programs: one request, one answer, and whatever else they do is info."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.forward import Forwarders
from dissever.harness.history import Type
from dissever.systems.clients import program as programs
from dissever.systems.clients.kinds import UNFOUNDED, kind_of
from dissever.systems.clients.program import Nonsense, Program, ProgramClient

TXN = Invocation("txn", [["r", 1, None], ["append", 1, 3]])

DONE = [["r", 1, [2]], ["append", 1, 3]]

READY = '{"id":0,"type":"ok"}'


class Place:
    """An endpoint of n1 in a cluster of two, with two ports."""

    node = "n1"
    address = "127.0.0.1:4001"

    def dialable(self) -> Mapping[str, Mapping[str, str]]:
        return {
            "n1": {"10.0.0.1:80": "127.0.0.1:4001", "10.0.0.1:81": "127.0.0.1:4002"},
            "n2": {"10.0.0.2:80": "127.0.0.1:4003", "10.0.0.2:81": "127.0.0.1:4004"},
        }


def script(*lines: str) -> Program:
    """A program in shell that answers the opening, and goes on with these lines."""
    return Program(["sh", "-c", "\n".join(["read opening", f"echo '{READY}'", *lines])])


def answering(*answers: str) -> Program:
    """Gives these answers to its requests, in order, and then reads on without any."""
    return script(*(f"read r; echo {shlex.quote(each)}" for each in answers), "cat >/dev/null")


def use(
    program: Program,
    folder: Path,
    act: Callable[[ProgramClient], Awaitable[Any]],
    store: str = "registers",
) -> Any:
    async def main() -> Any:
        client = await program.open(Place(), store=store, here=folder, directory=folder)
        try:
            async with asyncio.timeout(10):
                return await act(client)
        finally:
            await client.close()

    return asyncio.run(main())


def completions(
    program: Program, folder: Path, *invocations: Invocation, store: str = "registers"
) -> list[Completion]:
    async def act(client: ProgramClient) -> list[Completion]:
        return [await client.invoke(each) for each in invocations]

    found: list[Completion] = use(program, folder, act, store)
    return found


READ = Invocation("read", key=3)
WRITE = Invocation("write", 5, key=3)


def test_program_is_asked_one_line_and_answers_one_line(tmp_path: Path) -> None:
    program = script("tee asked.txt | while read r; do", 'echo \'{"id":1,"type":"ok"}\'', "done")

    assert completions(program, tmp_path, WRITE) == [Completion(Type.OK, 5)]
    assert (tmp_path / "asked.txt").read_text() == '{"id":1,"f":"write","key":3,"value":5}\n'


def test_program_learns_where_everything_can_be_dialled(tmp_path: Path) -> None:
    program = Program(["sh", "-c", f"read r; echo \"$r\" > opening.txt; echo '{READY}'; cat"])
    use(program, tmp_path, lambda _: asyncio.sleep(0))

    assert (tmp_path / "opening.txt").read_text() == (
        '{"id":0,"f":"open","value":{"node":"n1","address":"127.0.0.1:4001",'
        '"nodes":{"n1":"127.0.0.1:4001","n2":"127.0.0.1:4003"},'
        '"translate":{"10.0.0.1:80":"127.0.0.1:4001","10.0.0.1:81":"127.0.0.1:4002",'
        '"10.0.0.2:80":"127.0.0.1:4003","10.0.0.2:81":"127.0.0.1:4004"},"store":"registers"}}\n'
    )


def test_fail_and_info_keep_the_error(tmp_path: Path) -> None:
    program = answering(
        '{"id":1,"type":"fail","error":"no such key"}',
        '{"id":2,"type":"info","error":["reset",104]}',
        '{"id":3,"type":"fail"}',
    )
    fail, info, bare = completions(program, tmp_path, WRITE, WRITE, WRITE)

    assert fail == Completion(Type.FAIL, 5, "no such key")
    assert info == Completion(Type.INFO, 5, ["reset", 104])
    assert bare == Completion(Type.FAIL, 5, "no reason given")


@pytest.mark.parametrize(
    ("store", "invocation", "answer", "value"),
    [
        ("registers", READ, '"value":7', 7),
        ("registers", READ, '"value":null', None),
        ("registers", Invocation("cas", [1, 2], key=3), '"value":[1,2]', [1, 2]),
        ("registers", WRITE, '"value":null', 5),
        ("elements", Invocation("read"), '"value":[3,1,1]', [1, 1, 3]),
        ("elements", Invocation("add", 4), '"error":null', 4),
        (
            "transactions",
            TXN,
            '"value":[["r",1,[2]],["append",1,3]]',
            [["r", 1, [2]], ["append", 1, 3]],
        ),
        ("transactions", Invocation("read", [0, 1]), '"value":{"0":5,"1":-5}', {"0": 5, "1": -5}),
        ("transactions", Invocation("transfer", {"to": 1}), '"error":null', {"to": 1}),
        ("queues", Invocation("dequeue"), '"value":{"a":[1]}', {"a": [1]}),
        ("queues", Invocation("enqueue", 1), '"error":null', 1),
    ],
)
def test_ok_has_a_value_of_the_kind_of_the_operation(
    tmp_path: Path, store: str, invocation: Invocation, answer: str, value: Any
) -> None:
    program = answering('{"id":1,"type":"ok",' + answer + "}")

    assert completions(program, tmp_path, invocation, store=store) == [Completion(Type.OK, value)]


@pytest.mark.parametrize(
    ("invocation", "answer", "why"),
    [
        (READ, "hello", "got no JSON: 'hello'"),
        (READ, "", "got no JSON: ''"),
        (READ, "[1]", "got '[1]'"),
        (READ, '{"id":2,"type":"ok","value":1}', "got the id 2"),
        (READ, '{"id":"1","type":"ok","value":1}', "got the id '1'"),
        (READ, '{"id":true,"type":"ok","value":1}', "got the id True"),
        (READ, '{"type":"ok","value":1}', "got the id None"),
        (READ, '{"id":1,"type":"OK","value":1}', "got the type 'OK'"),
        (READ, '{"id":1,"type":"invoke","value":1}', "got the type 'invoke'"),
        (READ, '{"id":1,"value":1}', "got the type None"),
        (READ, '{"id":1,"type":["ok"],"value":1}', "got the type ['ok']"),
        (READ, '{"id":1,"type":"ok","value":"5"}', "a whole number or null as the value of read"),
        (READ, '{"id":1,"type":"ok","value":5.0}', "got 5.0"),
        (READ, '{"id":1,"type":"ok","value":true}', "got True"),
        (READ, '{"id":1,"type":"ok","value":NaN}', "got no JSON"),
        (READ, '{"id":1,"type":"ok","value":99999999999999999999}', "99999999999999999999"),
        (READ, '{"id":1,"type":"ok"}', "an answer without a value"),
        (READ, '{"id":1,"type":"ok","value":' + "[" * 5000 + "]" * 5000 + "}", "got no JSON"),
        (WRITE, '{"id":1,"type":"ok","value":6}', "expected no value for write, or 5 again, got 6"),
        (WRITE, '{"id":1,"type":"fail","value":"\x1b[2J', "\\x1b[2J"),
        (WRITE, "\\xff\\xfe", "got no JSON"),
    ],
)
def test_answer_that_is_none_is_info_with_the_reason(
    tmp_path: Path, invocation: Invocation, answer: str, why: str
) -> None:
    [completion] = completions(answering(answer), tmp_path, invocation)

    assert completion.type is Type.INFO
    assert completion.error[0] == "nonsense"
    assert why in completion.error[1]


@pytest.mark.parametrize(
    ("invocation", "answer", "why"),
    [
        (TXN, "", "expected 2 micro-operations, got None"),
        (TXN, ',"value":[["r",1,[2]]]', "expected 2 micro-operations, got [['r', 1, [2]]]"),
        (TXN, ',"value":[["r",1,null],["append",1,3]]', "expected a list of whole numbers"),
        (TXN, ',"value":[["r",1,[]],["append",1,4]]', "expected ['append', 1, 3] again"),
        (Invocation("read", [0]), ',"value":[5]', "a map from accounts to whole numbers"),
        (Invocation("read", [0]), ',"value":{"0":"5"}', "a map from accounts to whole numbers"),
        (Invocation("transfer", {"to": 1}), ',"value":7', "expected no value for transfer"),
    ],
)
def test_answer_to_a_transaction_that_is_none_is_info(
    tmp_path: Path, invocation: Invocation, answer: str, why: str
) -> None:
    program = answering('{"id":1,"type":"ok"' + answer + "}")
    [completion] = completions(program, tmp_path, invocation, store="transactions")

    assert completion.type is Type.INFO
    assert why in completion.error[1]


def test_second_answer_is_no_answer_to_the_next_request(tmp_path: Path) -> None:
    twice = 'read r; printf \'{"id":1,"type":"ok"}\\n{"id":2,"type":"ok"}\\n\'; cat >&2'

    async def act(client: ProgramClient) -> list[Completion]:
        first = await client.invoke(WRITE)
        await asyncio.sleep(0.05)
        return [first, await client.invoke(WRITE), await client.invoke(WRITE)]

    first, second, third = use(script(twice), tmp_path, act)

    assert first.type is Type.OK
    assert second.type is third.type is Type.INFO
    assert "expected nothing before the next request" in second.error[1]
    assert not (tmp_path / "client-1.log").exists(), "the second request was sent"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["read r; exit 3"], "got none: it ended with status 3"),
        (["read r; kill -9 $$"], "got none: it ended with signal 9"),
        (["read r; printf half; exit 0"], "got b'half' without the end of a line"),
        (["read r; exec >&-; exec sleep 60"], "got none: it closed its stdout"),
        (["exec <&-; exit 1"], "got none: it ended with status 1"),
        (["read r; echo 'no such database' >&2; exit 1"], "its last words: 'no such database'"),
    ],
)
def test_program_that_ends_before_its_answer_is_info(
    tmp_path: Path, lines: list[str], why: str
) -> None:
    [completion] = completions(script(*lines), tmp_path, WRITE)

    assert completion.type is Type.INFO
    assert why in completion.error[1]


def test_answer_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ANSWER_BYTES_MAX", 10_000)
    [completion] = completions(script("read r; exec cat /dev/zero"), tmp_path, WRITE)

    assert completion.error == ["nonsense", "expected at most 10,000 bytes in an answer"]


def test_flood_on_stderr_stops_nothing_and_its_log_has_a_bound(tmp_path: Path) -> None:
    flood = 'head -c 3000000 /dev/zero | tr \'\\0\' x >&2; read r; echo \'{"id":1,"type":"ok"}\''
    [completion] = completions(script(flood), tmp_path, WRITE)
    log = (tmp_path / "client-1.log").read_bytes()

    assert completion.type is Type.OK
    assert programs.LOG_BYTES_MAX < len(log) < programs.LOG_BYTES_MAX + 100
    assert log.endswith(b"(the rest is left out: the file has 1,048,576 bytes)\n")


def test_log_follows_no_link_that_a_node_made(tmp_path: Path) -> None:
    (tmp_path / "client-1.log").symlink_to("/dev/full")
    (tmp_path / "target").touch()
    completions(script("echo hello >&2; " + "read r"), tmp_path, WRITE)

    assert (tmp_path / "client-1.log").is_symlink()


def test_clients_of_a_node_have_logs_of_their_own_and_a_new_one_goes_on(tmp_path: Path) -> None:
    program = script("echo $$ >&2; cat >/dev/null")

    async def main() -> None:
        def opened() -> Awaitable[ProgramClient]:
            return program.open(Place(), store="elements", here=tmp_path, directory=tmp_path)

        first, second = await opened(), await opened()
        await first.close()
        third = await opened()
        await asyncio.gather(second.close(), third.close())

    asyncio.run(main())

    assert len((tmp_path / "client-1.log").read_text().splitlines()) == 2
    assert len((tmp_path / "client-2.log").read_text().splitlines()) == 1
    assert not (tmp_path / "client-3.log").exists()


def test_program_that_cannot_be_started_is_missing_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program\n")
    (tmp_path / "alien").write_bytes(b"\x7fELF")
    (tmp_path / "alien").chmod(0o755)

    for command, why in (
        ("./absent", "No such file or directory"),
        ("./text", "Permission denied"),
        ("./alien", "Exec format error"),
        ("{home}/x", "expected a command with no other names than {python} and {here} in braces"),
        ("'", "No closing quotation"),
        ("", "expected the command of a client"),
        ([], "expected the command of a client"),
    ):
        missing = Program(command).probe(tmp_path)

        assert missing is not None, command
        assert why in missing.reason
        assert "\n" not in missing.reason
    assert Program("{python} -c pass").probe(tmp_path) is None


def test_program_that_does_not_open_its_node_is_no_client(tmp_path: Path) -> None:
    refusing = Program(
        ["sh", "-c", """read r; echo '{"id":0,"type":"fail","error":"no TLS"}'; cat"""]
    )
    with pytest.raises(NotApplied, match="the client is not ready: no TLS"):
        use(refusing, tmp_path, lambda _: asyncio.sleep(0))
    with pytest.raises(Nonsense, match="status 7; its last words: 'bad flag'"):
        use(Program("sh -c 'echo bad flag >&2; exit 7'"), tmp_path, lambda _: asyncio.sleep(0))


def test_ok_without_a_byte_from_a_node_is_not_believed(tmp_path: Path) -> None:
    """A cache in the client would make the database look stale."""

    async def main() -> Completion:
        kind = kind_of(answering('{"id":1,"type":"ok","value":7}'), tmp_path)
        forwarders = Forwarders(Nowhere(), "n1", (80,), {})
        client = await kind.open(forwarders, store="registers", directory=tmp_path)
        try:
            completion: Completion = await client.invoke(READ)
        finally:
            await client.close()
        return completion

    assert asyncio.run(main()) == Completion(Type.INFO, None, ["program", UNFOUNDED])


class Nowhere:
    """Hosts that nobody can connect to."""

    nodes = ("n1",)

    def address(self, node: str) -> str:
        return "10.0.0.1"

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        raise ConnectionRefusedError


def test_optional_request_gives_its_value(tmp_path: Path) -> None:
    program = answering('{"id":1,"type":"ok","value":true}', '{"id":2,"type":"fail","error":"f?"}')

    async def act(client: ProgramClient) -> Any:
        leads = await client.ask("is_leader")
        with pytest.raises(NotApplied, match=r"f\?"):
            await client.ask("digest")
        return leads

    assert use(program, tmp_path, act) is True


def test_client_that_is_given_up_is_ended_with_its_whole_group(tmp_path: Path) -> None:
    program = script("sleep 60 & echo $! $$ > pids", "read r", "trap '' TERM", "wait")

    async def act(client: ProgramClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.invoke(WRITE)

    use(program, tmp_path, act)

    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    assert all(is_gone(int(pid)) for pid in pids)


def is_gone(pid: int) -> bool:
    """Whether no program runs under that number; its parent may not have heard of it yet."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_killed_harness_leaves_no_program(tmp_path: Path) -> None:
    """Even one that reads no stdin."""
    code = f"""
import asyncio, os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_program import Place, script
async def main():
    here = Path({str(tmp_path)!r})
    program = script("echo $$ > pid", "exec sleep 60")
    await program.open(Place(), store="registers", here=here, directory=here)
    while not (here / "pid").exists() or not (here / "pid").read_text():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    pid = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code])

    assert pid == -9
    if programs._guard():
        assert is_gone(int((tmp_path / "pid").read_text()))
