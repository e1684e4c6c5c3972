"""A clock for sending at a steady rate: Linux's timerfd,
exact to some ten microseconds where event loops' timers know milliseconds.

timerfd_create(2). Python has it from 3.13 on; until then by ctypes.
"""

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLOCK_MONOTONIC, ABSOLUTE = 1, 1  # the clock of time.perf_counter on Linux
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def ticking(rate: float, due: Callable[[float], None]) -> Iterator[None]:
    """Call `due` with the time each tick was due at, `rate` times a second until the block ends;
    late ticks are called, none is dropped."""
    loop = asyncio.get_running_loop()
    timer = _libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    interval, begin, told = 1 / rate, time.perf_counter() + 0.01, 0

    def read() -> None:
        nonlocal told
        (expired,) = struct.unpack("=Q", os.read(timer, 8))
        for _ in range(expired):
            due(begin + told * interval)
            told += 1

    _libc.timerfd_settime(
        timer, ABSOLUTE, struct.pack("@4q", *_timespec(interval), *_timespec(begin)), None
    )
    loop.add_reader(timer, read)
    try:
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)


def _timespec(seconds: float) -> tuple[int, int]:
    return divmod(round(seconds * 1e9), 1_000_000_000)
