"""Bugs that fixed steps show, most of them with requests that our own client refuses."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable
from functools import partial

import dqlite
from dissever.systems.dqlite.bugs.bug import RELEASES, Bug, Directed, Say
from dissever.systems.dqlite.bugs.wire import Answer, Wire
from dissever.systems.dqlite.database import DATABASE
from dissever.systems.dqlite.deployment import DqliteDeployment
from dqlite.wire import codec
from dqlite.wire.schema import ExecSql, Failure, QuerySql, Request

__all__ = [
    "GHOST_WRITE",
    "HOSTILE_HEADER",
    "NAME_PREFIX",
    "OPEN_TRANSACTION",
    "PARTIAL_ROWS",
    "RETURNING",
    "RETURNING_RUN",
]

READY_S = 10.0
PROGRESS_S = 20.0
ANSWER_S = 3.0
DEPOSED_ANSWER_S = 15.0
"""An answer of a leader that nobody answers comes once it gives up."""

LEADERSHIP_LOST = 10506
BUSY = 5
VALUE = 7


async def _name_prefix(deployment: DqliteDeployment, say: Say) -> bool:
    async with await deployment.find_leader() as client:
        await client.open("blahblah")
        await client.exec_sql("CREATE TABLE secret (value INTEGER)")
        await client.exec_sql("INSERT INTO secret (value) VALUES (42)")
        say("database blahblah: made the table secret, with the row 42")
    async with await deployment.find_leader() as client:
        await client.open("blah")
        try:
            rows = (await client.query_sql("SELECT value FROM secret")).rows
        except dqlite.StatementError as error:
            say(f"database blah, which nobody made a table in: SELECT value FROM secret: {error}")
            return False
        say(f"database blah, which nobody made a table in: SELECT value FROM secret: {rows}")
    return rows == ((42,),)


NAME_PREFIX = Bug(
    "name-prefix",
    "opening the database blah gives blahblah",
    releases=("1.11.1",),
    references="dqlite#509",
    test=Directed(_name_prefix),
)
"""
A database whose name begins another's name is that other database.

Source: canonical/dqlite issue 509; mended in 1.15.
"""


async def _ask_while_deposed(deployment: DqliteDeployment, say: Say, request: Request) -> Answer:
    """
    Ask the leader while nothing that its followers send arrives there; heal afterwards.

    So it gives up leading with an entry in its log that the others have as well, and the next
    leader commits that entry. In that moment nobody can know the outcome.

    Raises:
        OSError: When there is no answer.
        TimeoutError: When nobody leads afterwards.
    """
    leader = (await deployment.await_ready(READY_S))["leader"]
    followers = [node for node in deployment.cluster.nodes if node != leader]
    wire = await Wire.open(deployment, leader, DEPOSED_ANSWER_S)
    try:
        await deployment.cluster.drop({leader: frozenset(followers)})
        say(f"{leader} leads; nothing that {' and '.join(followers)} send arrives there any more")
        answer = await wire.ask(request)
    finally:
        wire.close()
        await deployment.cluster.drop({})
    await deployment.await_progress(followers, PROGRESS_S)
    say("the network is whole again, and others lead")
    return answer


async def _count(deployment: DqliteDeployment) -> int:
    """How often the leader has the element, once it has committed a write of its own."""
    async with await deployment.find_leader() as client:
        await client.open(DATABASE)
        rows = await client.query_sql("SELECT value FROM element WHERE value = ?", [VALUE])
    return len(rows.rows)


async def _ghost_write(deployment: DqliteDeployment, say: Say) -> bool:
    insert = f"INSERT INTO element (value) VALUES ({VALUE})"
    answer = await _ask_while_deposed(deployment, say, ExecSql(0, insert))
    count = await _count(deployment)
    say(f"{insert}: answered {answer}; in the database: {count} times")
    is_refused = isinstance(answer.response, Failure) and answer.response.code == LEADERSHIP_LOST
    return is_refused and count > 0


GHOST_WRITE = Bug(
    "ghost-write",
    "a write that was answered with a failure is there",
    releases=RELEASES,
    references="dqlite#46",
    test=Directed(_ghost_write, attempts=5),
)
"""
The failure is 10506, "disk I/O error" or "leadership lost". The code means that the leader was
deposed with the entry in its log, so the outcome is unknown; dqlite's FAQ says that such a
transaction is never seen. A client that takes the answer for a failure and asks again writes two
rows.

Source: canonical/dqlite issue 46; Raft dissertation, 6.3.
"""


async def _partial_rows(deployment: DqliteDeployment, say: Say) -> bool:
    insert = f"INSERT INTO element (value) VALUES ({VALUE}) RETURNING value, 2, 3, 4, 5"
    answer = await _ask_while_deposed(deployment, say, QuerySql(0, insert))
    count = await _count(deployment)
    say(f"{insert}: answered {answer}; in the database: {count} times")
    if not isinstance(answer.response, Failure):
        return False
    code, message = answer.read_from_the_start
    say(f"read from its start, the same answer says: failure {code} {message!r}")
    return code == BUSY and count > 0


PARTIAL_ROWS = Bug(
    "partial-rows",
    "a committed INSERT … RETURNING whose failure reads like BUSY: it stands behind partial rows",
    releases=("1.18.7",),
    references="not reported",
    test=Directed(_partial_rows, attempts=5),
)
"""
From 1.18.2 on an `INSERT … RETURNING` that loses its leader is answered with the head of its
result, then the failure, in one body. A client that reads the body from its start takes the number
of columns for the code and the first column's name for the message: five columns are code 5, BUSY,
which says that nothing happened. go-dqlite 3.0.4 reads it so.

Source: `dqlite/src/gateway.c`, `failure`, which does not clear the buffer. Not reported.
"""

INSERT = "INSERT INTO element (value) VALUES (1) RETURNING value"
SELECT = "SELECT value FROM element"
WRITE = "INSERT INTO element (value) VALUES (2)"


async def _returning(deployment: DqliteDeployment, say: Say, *, asks_for_rows: bool) -> bool:
    leader = (await deployment.await_ready(READY_S))["leader"]
    wire = await Wire.open(deployment, leader, ANSWER_S)
    try:
        if asks_for_rows:
            say(f"{leader} leads; {INSERT}: answered {await wire.query(INSERT)}")
            say(f"{SELECT}: answered {await _answer_of(wire.query(SELECT))}")
        else:
            say(f"{leader} leads; {INSERT}: answered {await wire.execute(INSERT)}")
        say(f"the next write: {await _answer_of(wire.execute(WRITE))}")
    finally:
        wire.close()
    return await _has_crashed(deployment, leader, say)


async def _answer_of(asked: Awaitable[Answer]) -> str:
    try:
        return str(await asked)
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s"
    except OSError as error:
        return str(error)


async def _has_crashed(deployment: DqliteDeployment, node: str, say: Say) -> bool:
    """Whether a node ended itself by a signal, or does so in a moment."""
    for _ in range(20):
        ends = [end for end in deployment.cluster.exits if end.node == node and not end.is_asked]
        if ends:
            break
        await asyncio.sleep(0.05)
    else:
        say(f"{node} goes on")
        return False
    status = ends[-1].exit_status
    log = deployment.cluster.directory(node) / f"stderr-{ends[-1].incarnation}.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    reasons = [line for line in lines if "Assertion" in line or "corruption" in line]
    said = (reasons or lines[-1:] or ["its log says no more"])[0].strip()
    say(f"{node} ended by signal {-status}: {said}")
    return status < 0


RETURNING = Bug(
    "returning",
    "INSERT … RETURNING asked for rows: lost or refused, and the next write ends the leader",
    releases=("1.11.1", "1.18.1"),
    references="dqlite#477, #740, #798",
    test=Directed(partial(_returning, asks_for_rows=True)),
)
"""
Outside a transaction the statement leaves frames in the log of the leader's SQLite that were never
replicated; the next write finds them, and an assertion fails. Asked for rows (QUERY_SQL) it was
mended in 1.18.2; asked to run (EXEC_SQL) it still ends 1.18.7, by another assertion.

Source: canonical/dqlite issue 477, pull requests 740 and 798.
"""

RETURNING_RUN = Bug(
    "returning-run",
    "INSERT … RETURNING asked to run: refused, and the next write ends the leader",
    releases=("1.11.1", "1.18.1", "1.18.7"),
    references="dqlite#477",
    test=Directed(partial(_returning, asks_for_rows=False)),
)

REPLICATED_S = 0.05
"""In this time a write is on its way to the followers, and a leader has missed no election."""

RETRY_S = 0.3


async def _open_transaction(deployment: DqliteDeployment, say: Say) -> bool:
    """
    Pause a leader with a transaction open and a write not acknowledged; wake it once another leads.

    Of the followers only the new leader is heard then, whose answer alone makes no quorum of five.
    """
    loop = asyncio.get_running_loop()
    cluster = deployment.cluster
    leader = (await deployment.await_ready(READY_S))["leader"]
    followers = frozenset(cluster.nodes) - {leader}
    reader = await Wire.open(deployment, leader, ANSWER_S)
    writer = await Wire.open(deployment, leader, DEPOSED_ANSWER_S)
    try:
        await reader.execute("BEGIN")
        say(f"{leader} leads; BEGIN; {SELECT}: answered {await reader.query(SELECT)}")
        await cluster.drop({leader: followers})
        cut_at = loop.time()
        async with asyncio.TaskGroup() as tasks:
            written = tasks.create_task(_answer_of(writer.execute(WRITE)))
            await asyncio.sleep(REPLICATED_S)
            await cluster.pause(leader)
            progress = await deployment.await_progress(sorted(followers), PROGRESS_S)
            async with await deployment.lead(progress["by"], ANSWER_S) as client:
                successor = deployment.name_of(client.address)
            await cluster.drop({leader: followers - {successor}})
            # TCP doubles its pauses: it has sent again once a cut is as long ago as it was long.
            await asyncio.sleep(loop.time() - cut_at + RETRY_S)
            say(f"a write on its way, {leader} paused; {successor} leads, and {leader} wakes")
            await cluster.resume(leader)
            has_crashed = await _has_crashed(deployment, leader, say)
        say(f"{WRITE}: answered {written.result()}")
    finally:
        reader.close()
        writer.close()
        await cluster.drop({})
    return has_crashed


OPEN_TRANSACTION = Bug(
    "open-transaction",
    "a deposed leader aborts: a client reads in a transaction while the next leader's news arrive",
    releases=("1.11.1",),
    references="dqlite#355, cowsql#11",
    test=Directed(
        _open_transaction, latency_ms=150, attempts=8, nodes=("n1", "n2", "n3", "n4", "n5")
    ),
)
"""
A node that stops leading closes the transactions of its clients, but only before its event loop
waits again. What has piled up in its sockets, while it was paused or cut off, is read in one go:
the first message of the new leader deposes it, and a later one commits an entry that it has in its
log already. Applying that entry asserts that nobody holds a lock of the WAL index, and the open
transaction does.

An open transaction alone is not enough: transferring leadership away, or a cut that is noticed,
closes it in time. About one attempt in three does not show it; presumably the leader, once awake,
first counts who answered it, finds nobody and steps down by itself. A long latency helps.

Two runs of transactions on five nodes under `partition,kill,pause` met it after seven minutes. How
it comes about is read from the sources and from these reports; it was not seen in a debugger.

Source: canonical/dqlite issue 355, mended there for leaders that notice (pull request 366);
cowsql issue 11 and cowsql/raft pull request 99, which name the pause as the reason.
"""


OVERSIZE_WORDS = 0x1000_0001
"""8 bytes each: the smallest body that fits in no buffer of 2 GiB."""

STOPS_S = 1.0


async def _hostile_header(deployment: DqliteDeployment, say: Say) -> bool:
    leader = (await deployment.await_ready(READY_S))["leader"]
    content = codec.HANDSHAKE + struct.pack("<IBBH", OVERSIZE_WORDS, 0, 0, 0)
    wire = await Wire.connect(deployment, leader, ANSWER_S)
    try:
        wire.put(content)
        say(f"{leader} leads, and gets {len(content)} bytes: {content.hex(' ')}")
        await asyncio.sleep(STOPS_S)
        if deployment.cluster.exits:
            return await _has_crashed(deployment, leader, say)
        answers = await deployment.answers(leader)
    except OSError:
        return await _has_crashed(deployment, leader, say)
    finally:
        wire.close()
    say(f"{leader} still answers" if answers else f"{leader} runs, and answers nobody")
    return not answers


HOSTILE_HEADER = Bug(
    "hostile-header",
    "16 bytes of any client, which need not authenticate, end a node or make it loop for ever",
    releases=RELEASES,
    references="not reported",
    test=Directed(_hostile_header, attempts=1),
)
"""
A header that announces a body above 2 GiB. `ensure` of src/lib/buffer.c doubles the pages of a
buffer until it is large enough; the product of pages and their size is a 32-bit number, which
becomes 0 after 2 GiB. 1.11.1 frees the buffer with it (`realloc` to 0 bytes) and once more when it
hangs up: SIGSEGV. Since pull request 390 the doubling has no end: the node's thread loops.

Source: canonical/dqlite 1.18.7, src/lib/buffer.c, `ensure`; src/conn.c, `read_request`. See
docs/findings/hostile-header.md.
"""
