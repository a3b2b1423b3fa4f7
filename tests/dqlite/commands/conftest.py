"""Servers that do as a test says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from dqlite.wire import codec, schema
from dqlite.wire.schema import Request, Response


class Scripted:
    """
    A node of a cluster of one that answers SQL as the test says.

    Attributes:
        answers: The answers to SQL, in turn: a response, or None to close the connection; an empty
            list is silence.
        received: The SQL that came.
    """

    def __init__(self) -> None:
        self.answers: list[Response | None] = []
        self.received: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection), connection.makefile("rb") as stream:
            stream.read(len(codec.HANDSHAKE))
            while header_bytes := stream.read(codec.HEADER_BYTES):
                header = codec.decode_header(header_bytes)
                request = codec.decode_request(header, stream.read(header.body_bytes))
                answer = self._answer(request)
                if answer is None:
                    return
                with suppress(OSError):
                    connection.sendall(codec.encode(answer))

    def _answer(self, request: Request) -> Response | None:
        if isinstance(request, schema.Leader):
            return schema.LeaderNode(1, self.address)
        if isinstance(request, schema.Open):
            return schema.Database(0)
        if not isinstance(request, schema.ExecSql | schema.QuerySql):
            return schema.Welcome(15000)
        self.received.append(request.sql)
        if not self.answers:
            threading.Event().wait(10)
            return None
        return self.answers.pop(0)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with closing(Scripted()) as server:
        yield server
