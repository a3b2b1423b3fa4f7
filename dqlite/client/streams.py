"""
Results that are read while they come, one part at a time: about 4 KiB, or one larger row.

A stream holds the connection until its last part was read or it is closed: other requests are
refused until then. To close it early asks the server for no more and passes over the rest. Servers
finish a result before they read on, so a long rest costs more than a new connection: beyond
`LEAVE_BYTES_MAX` the connection is closed, and with it an open transaction.

Source: `dqlite/src/gateway.c`, `handle_query` and `handle_interrupt`.
"""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dqlite.values import Value
from dqlite.wire.schema import Request, Rows

if TYPE_CHECKING:  # either is used without the other
    from dqlite.client.blocking_connection import BlockingConnection
    from dqlite.client.connection import Connection


class RowStream:
    """
    An asynchronous iterator over rows; leave it with `async with`, or `close` it.

    Attributes:
        columns: The names.
    """

    def __init__(
        self,
        connection: "Connection",
        database: int,
        request: Request,
        first: Rows,
        *,
        timeout_s: float,
    ) -> None:
        """`timeout_s` holds for each part; the time that the caller takes does not count."""
        self.columns = first.columns
        self._connection = connection
        self._database = database
        self._request = request
        self._timeout_s = timeout_s
        self._has_more = not first.is_last
        self._ready = deque(first.rows)

    async def next_part(self) -> tuple[tuple[Value, ...], ...]:
        """
        Return the rows that are here, or else wait for the next part; empty after the last row.

        Raises:
            NotApplied, Indeterminate, ProtocolError: If the query failed after its first rows.
        """
        while not self._ready and self._has_more:
            self._has_more = False  # whatever is raised now ends the result
            part = await self._connection.next_part(self._request, timeout_s=self._timeout_s)
            self._has_more = not part.is_last
            self._ready.extend(part.rows)
        rows = tuple(self._ready)
        self._ready.clear()
        return rows

    async def close(self) -> None:
        """Read no more; idempotent. The client is of no more use if its `is_open` is false then."""
        self._ready.clear()
        if self._has_more:
            self._has_more = False
            await self._connection.leave(self._database, timeout_s=self._timeout_s)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Value, ...]:
        if not self._ready:
            self._ready.extend(await self.next_part())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()


class BlockingRowStream:
    """
    An iterator over rows, as `RowStream` without an event loop.

    Attributes:
        columns: The names.
    """

    def __init__(
        self,
        connection: "BlockingConnection",
        database: int,
        request: Request,
        first: Rows,
        *,
        timeout_s: float,
    ) -> None:
        """`timeout_s` holds for each part; the time that the caller takes does not count."""
        self.columns = first.columns
        self._connection = connection
        self._database = database
        self._request = request
        self._timeout_s = timeout_s
        self._has_more = not first.is_last
        self._ready = deque(first.rows)

    def next_part(self) -> tuple[tuple[Value, ...], ...]:
        """
        Return the rows that are here, or else wait for the next part; empty after the last row.

        Raises:
            NotApplied, Indeterminate, ProtocolError: If the query failed after its first rows.
        """
        while not self._ready and self._has_more:
            self._has_more = False  # whatever is raised now ends the result
            part = self._connection.next_part(self._request, timeout_s=self._timeout_s)
            self._has_more = not part.is_last
            self._ready.extend(part.rows)
        rows = tuple(self._ready)
        self._ready.clear()
        return rows

    def close(self) -> None:
        """Read no more; idempotent. The client is of no more use if its `is_open` is false then."""
        self._ready.clear()
        if self._has_more:
            self._has_more = False
            self._connection.leave(self._database, timeout_s=self._timeout_s)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Value, ...]:
        if not self._ready:
            self._ready.extend(self.next_part())
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()
