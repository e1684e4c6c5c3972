"""Cores and processes, by /proc and sched_setaffinity(2): who runs where, what it costs and how large it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GATEWAY_CORE, REST_CORE = {0}, {1}  # what is measured; everything else
_TICKS = os.sysconf("SC_CLK_TCK")


def can_pin() -> bool:
    return {0, 1} <= os.sched_getaffinity(0)


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """What is started inside the block stays on these cores, with all its threads and children; this process returns to where it was."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def moved(pid: int, cores: set[int]) -> Iterator[None]:
    """The process, with its threads, runs on other cores until the block ends."""
    before = os.sched_getaffinity(pid)
    _move(pid, cores)
    try:
        yield
    finally:
        _move(pid, before)


def _move(pid: int, cores: set[int]) -> None:
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):  # a thread that ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def family(pid: int) -> list[int]:
    """The process and everything below it."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return [pid, *(below for child in children for below in family(child))]


def cpu_seconds(pid: int) -> float:
    """User and system time that the process and everything below it have taken so far."""
    return sum(_cpu(member) for member in family(pid))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # proc(5); the name may hold spaces
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of that one process, in MB of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6
