"""
Whether a toxic acts, as seen by who is connected to an echo through it.

Each measure is taken before the fault, while it is in force, and after: it must say no, yes, and
no. `ways`: in how many directions the toxic acts, 1 or 2. All are done in some 2 s at most.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dissever.nemesis.parameters import Settings

__all__ = [
    "Connect",
    "Measure",
    "Measured",
    "bandwidth",
    "black_hole",
    "latency",
    "limit",
    "reset",
    "slicer",
    "slow_close",
    "timeout",
]

Connect: TypeAlias = Callable[[], Awaitable[socket.socket]]
"""A new connection through the proxy that is measured; the measure closes it."""

LIMIT_S: Final = 5.0
SILENCE_S: Final = 0.3
"""An echo that says nothing in this time says nothing."""

TRIES: Final = 3
_TICK_S: Final = 0.002
"""Timers of the server and of the kernel may be early by so much."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Whether the effect was seen, and what was measured."""

    is_so: bool
    facts: Mapping[str, Any]


Measure: TypeAlias = Callable[[Connect, Settings, int], Awaitable[Measured]]


async def latency(connect: Connect, settings: Settings, ways: int) -> Measured:
    """No round trip is faster than the delay allows."""
    least_s = ways * (settings["delay_ms"] - settings["jitter_ms"]) / 1000
    with await connect() as connection:
        taken_s = min([await _echoed(connection, 1) for _ in range(TRIES)])
    return Measured(taken_s >= least_s - _TICK_S, {"round_trip_ms": _ms(taken_s)})


async def bandwidth(connect: Connect, settings: Settings, ways: int) -> Measured:
    """What takes a third of a second at that rate is not much faster."""
    rate = settings["rate_kb_s"] * 1000
    count = max(1000, rate // 3)
    with await connect() as connection:
        taken_s = await _echoed(connection, count)
    seen = count / taken_s
    return Measured(seen <= 1.5 * rate, {"kb_s": round(seen / 1000, 1)})


async def slicer(connect: Connect, settings: Settings, ways: int) -> Measured:
    """Twenty slices take as long as twenty pauses."""
    size = settings["slice_bytes"]
    least_s = 20 * settings["delay_ms"] / 1000
    with await connect() as connection:
        taken_s = min([await _echoed(connection, 20 * (size + size // 4)) for _ in range(TRIES)])
    return Measured(taken_s >= least_s - _TICK_S, {"twenty_slices_ms": _ms(taken_s)})


async def slow_close(connect: Connect, settings: Settings, ways: int) -> Measured:
    """The end comes back as late as it was passed on."""
    waits = []
    for _ in range(TRIES):
        with await connect() as connection:
            await _echoed(connection, 1)
            began = _now()
            connection.shutdown(socket.SHUT_WR)
            await _received(connection, LIMIT_S)
            waits.append(_now() - began)
        if waits[-1] < settings["delay_ms"] / 2000:
            break
    is_so = min(waits) >= settings["delay_ms"] / 1000 - _TICK_S
    return Measured(is_so, {"closed_after_ms": _ms(min(waits))})


async def reset(connect: Connect, settings: Settings, ways: int) -> Measured:
    """The connection is reset, or closed, instead of an echo."""
    seen = await _answer(connect, settings["after_ms"] / 1000 + 1.0)
    return Measured(seen in ("reset", "closed"), {"answer": seen})


async def limit(connect: Connect, settings: Settings, ways: int) -> Measured:
    """No more than that comes back before the end."""
    most = settings["limit_bytes"]
    with await connect() as connection:
        count, end = await _carried(connection, most + 1000)
    return Measured(end != "open" and count <= most, {"bytes": count, "connection": end})


async def timeout(connect: Connect, settings: Settings, ways: int) -> Measured:
    """Nothing comes back but, in time, the end."""
    began = _now()
    seen = await _answer(connect, settings["after_ms"] / 1000 + 1.0)
    facts = {"answer": seen, "after_ms": _ms(_now() - began)}
    return Measured(seen in ("reset", "closed"), facts)


async def black_hole(connect: Connect, settings: Settings, ways: int) -> Measured:
    """Nothing comes back, and the connection stays open."""
    seen = await _answer(connect, SILENCE_S)
    return Measured(seen == "none", {"answer": seen})


async def _echoed(connection: socket.socket, count: int) -> float:
    """
    Send `count` bytes, and have them back; how long that took, in s.

    Raises:
        OSError: When they do not come back.
    """
    began = _now()
    got, _ = await _carried(connection, count)
    if got < count:
        raise ConnectionError(f"{got} of {count} bytes came back within {LIMIT_S:g} s")
    return _now() - began


async def _carried(connection: socket.socket, count: int) -> tuple[int, str]:
    """Send `count` bytes; how many came back, and what became of the connection."""
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(connection, bytes(count)))
    got = 0
    end = _now() + LIMIT_S
    try:
        while got < count:
            data = await _received(connection, end - _now())
            if isinstance(data, str):
                return got, data
            got += len(data)
        return got, "open"
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _answer(connect: Connect, limit_s: float) -> str:
    """What a new connection's first byte is answered with: echo, closed, reset, or none."""
    try:
        with await connect() as connection:
            await asyncio.get_running_loop().sock_sendall(connection, b"x")
            data = await _received(connection, limit_s)
    except ConnectionError:
        return "reset"
    if isinstance(data, bytes):
        return "echo"
    return "none" if data == "open" else data


async def _received(connection: socket.socket, limit_s: float) -> bytes | str:
    """Data, or `closed`, or `reset`, or `open` when nothing came in time."""
    try:
        async with asyncio.timeout(limit_s):
            data = await asyncio.get_running_loop().sock_recv(connection, 1 << 16)
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "open"
    return data or "closed"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(duration_s: float) -> float:
    return round(duration_s * 1000, 1)
