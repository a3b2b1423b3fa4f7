"""Listen at an address, and lead whoever connects to a Unix socket: `relay.py ADDRESS SOCKET`."""

import asyncio
import contextlib
import sys


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()  # The engine's attached streams end in one direction only.


async def _main(address: str, path: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, on = await asyncio.open_unix_connection(path)
        await asyncio.gather(_pass_on(reader, on), _pass_on(inner, writer))
        for each in (on, writer):
            each.close()

    server = await asyncio.start_server(serve, address, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(_main(*sys.argv[1:]))
