"""How much later small requests are while long chats are being compressed beside them,
in the same worker on the same core.

Exact hits at a steady 100/s, first alone, then with two connections that send nothing but long
chats, none of whose messages was seen before. The lag is what the 99th percentile of the second is
beyond the median of the first: the event loop's own work on those chats (reading, counting,
cutting) and the processor's time that compression takes away are both in it.
"""

import time

import uvloop

from benchmarks.bench import PLAN, Bench
from benchmarks.compression import long_chats
from benchmarks.load import ClosedLoop, Measured
from benchmarks.openloop import sending
from benchmarks.questions import chat, name
from benchmarks.wire import Request, Requests, connect

RATE, SECONDS = 100.0, 10.0
CHATS, AT_ONCE = 400, 2


def chats(bench: Bench) -> list[Request]:
    """Long chats of which no message is the same."""
    (history,), key = long_chats(1), bench.keys["virtual_key"]
    made = []
    for number in range(CHATS):
        word = name(number)
        messages = [{**message, "content": f"{message['content']} {word}."} for message in history]
        made.append(
            chat(bench.chat, f"Where is the {word} lamp?", key=key, plan=PLAN, before=messages[:-1])
        )
    return made


def measure(bench: Bench) -> dict[str, float]:
    hits = bench.hot()
    usual = uvloop.run(sending(bench.chat, hits, rate=RATE, seconds=SECONDS / 2, tally=bench.tally))
    beside, compressed = uvloop.run(_both(bench, hits, chats(bench)))
    return {
        "loop_lag_p50_ms": beside.p50 - usual.p50,
        "loop_lag_p99_ms": beside.p99 - usual.p50,
        "loop_lag_chats": compressed,
    }


async def _both(bench: Bench, hits: Requests, long: list[Request]) -> tuple[Measured, int]:
    """The hits measured while chats are compressed, and how many chats were."""
    end = time.perf_counter() + SECONDS + 1
    load = ClosedLoop(iter(long), bench.tally, 0.0, end)
    wires = await connect(bench.chat, load, AT_ONCE)
    load.start(wires)
    beside = await sending(bench.chat, hits, rate=RATE, seconds=SECONDS, tally=bench.tally)
    await load.over
    for wire in wires:
        wire.close()
    if len(load.times) == len(long):
        raise RuntimeError(
            f"All {len(long)} long chats were answered before the time was up: make more."
        )
    return beside, len(load.times)
