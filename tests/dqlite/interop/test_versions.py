"""What our clients ask of a server depends on its version; one node of each, in a process."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest

from dqlite import BlockingClient, Client, ServerTooOld
from tests.dqlite.interop.tools import LIMIT_S, Programs

pytestmark = pytest.mark.cluster

SCRIPT = """
CREATE TABLE t (n INTEGER, word TEXT);
INSERT INTO t VALUES (1, 'a;b'); -- \N{SNOWMAN};
/* ; */ INSERT INTO t VALUES (2, '\N{SNOWMAN}');;
SELECT word FROM t ORDER BY n; -- the end
"""

Walk: TypeAlias = Callable[[str], tuple[list[str], int]]
"""Runs a script at an address; returns the words that it selects, and how many statements ran."""


def walk_blocking(address: str) -> tuple[list[str], int]:
    words: list[str] = []
    count, rest = 0, SCRIPT
    with BlockingClient.connect(address, timeout_s=LIMIT_S) as client:
        client.open("walk")
        while rest:
            statement, rest = client.prepare_first(rest)
            assert statement.id == 0  # the one before was finalized
            words += [str(row[0]) for row in client.query(statement).rows]
            client.finalize(statement)
            count += 1
    return words, count


def walk_async(address: str) -> tuple[list[str], int]:
    async def main() -> tuple[list[str], int]:
        words: list[str] = []
        count, rest = 0, SCRIPT
        async with await Client.connect(address, timeout_s=LIMIT_S) as client:
            await client.open("walk")
            while rest:
                statement, rest = await client.prepare_first(rest)
                assert statement.id == 0
                words += [str(row[0]) for row in (await client.query(statement)).rows]
                await client.finalize(statement)
                count += 1
        return words, count

    return asyncio.run(main())


@pytest.mark.parametrize("walk", [walk_blocking, walk_async])
def test_script_is_walked_statement_by_statement_by_1_18_7(programs: Programs, walk: Walk) -> None:
    address = programs.node("1.18.7", 1).db

    assert walk(address) == (["a;b", "\N{SNOWMAN}"], 4)


@pytest.mark.parametrize("walk", [walk_blocking, walk_async])
def test_script_is_refused_before_it_runs_by_1_11_1(programs: Programs, walk: Walk) -> None:
    address = programs.node("1.11.1", 1).db
    with pytest.raises(ServerTooOld, match=r"1\.15"):
        walk(address)

    with BlockingClient.connect(address, timeout_s=LIMIT_S) as client:
        client.open("walk")
        assert client.query_sql("SELECT count(*) FROM sqlite_master").rows == ((0,),)
