"""A closed-loop load generator: so many connections, each sending its next request when the last answer is complete.

It speaks HTTP/1.1 on plain streams, so that it costs a fraction of what it measures.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop

Bodies = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests a second, and latencies in milliseconds."""

    rps: float
    p50: float
    p99: float


def run(url: str, bodies: Bodies, *, key: str = "", connections: int = 16, seconds: float = 5.0, warm: float = 1.0) -> Measured:
    """Send for `warm` seconds, then measure for `seconds`. Raises RuntimeError on an answer that is not 200."""

    async def send() -> list[list[float]]:
        begin = time.perf_counter() + warm
        return await asyncio.gather(*(_connection(url, bodies, key, begin, begin + seconds) for _ in range(connections)))

    times = sorted(took for part in uvloop.run(send()) for took in part)
    return Measured(len(times) / seconds, 1000 * times[len(times) // 2], 1000 * times[len(times) * 99 // 100])


async def _connection(url: str, bodies: Bodies, key: str, begin: float, end: float) -> list[float]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    times = []
    while (sent := time.perf_counter()) < end:
        body = bodies()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await _answer(reader)
        if sent >= begin:
            times.append(time.perf_counter() - sent)
    writer.close()
    return times


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"an answer that is not 200: {head[:200]!r}")
    if b"transfer-encoding: chunked" in head:
        while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))


def counted(template: bytes) -> Bodies:
    """Bodies that differ in a number put in place of `%d`, so that no two are the same request."""
    numbers: Iterator[int] = iter(range(1_000_000_000))
    return lambda: template % next(numbers)
