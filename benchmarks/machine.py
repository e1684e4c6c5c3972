"""Cores and processes, by /proc and sched_setaffinity(2):
who runs where, what it costs and how large it is."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GATEWAY_CORE, REST_CORE = {0}, {1}  # what is measured; everything else
_TICKS = os.sysconf("SC_CLK_TCK")


def can_pin() -> bool:
    return {0, 1} <= os.sched_getaffinity(0)


def go_first() -> None:
    """Let this process run before all else on its core, where the system allows it,
    so that a client's own waiting for the processor is not taken for the server's. What it starts
    runs as usual (sched_setscheduler(2))."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """What is started inside the block stays on these cores, with all its threads and children;
    this process returns to where it was."""
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
    move(pid, cores)
    try:
        yield
    finally:
        move(pid, before)


def move(pid: int, cores: set[int]) -> None:
    """The process, with its threads, runs on these cores from now on."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):  # a thread that ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def family(pid: int) -> list[int]:
    """The process and everything below it; what ends meanwhile is left out."""
    children: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return [pid, *(below for child in children for below in family(child))]


def workers_of(pid: int) -> list[int]:
    """The workers of a gateway's first process, beside multiprocessing's own helper."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sorted(int(child) for child in children if b"spawn_main" in _command(child))


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended
        return b""


def cpu_seconds(pid: int) -> float:
    """User and system time that the process and everything below it have taken so far."""
    return sum(_cpu(member) for member in family(pid))


def _cpu(pid: int) -> float:
    """Nothing of a process that ended meanwhile."""
    with suppress(OSError):
        return sum(map(int, _stat(pid)[11:13])) / _TICKS
    return 0.0


def _stat(pid: int) -> list[str]:
    """The fields of proc(5), `/proc/<pid>/stat`, from the third on.

    The second is a name, which may hold spaces.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def busy_seconds(core: int) -> float:
    """Seconds that one core has worked so far, interrupts included (proc(5), `/proc/stat`)."""
    line = next(
        line
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith(f"cpu{core} ")
    )
    user, nice, system, _, _, irq, softirq, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + softirq) / _TICKS


class Others:
    """How many cores everything that is not ours has kept busy since this object was made:
    other programs, and the hypervisor's guests."""

    def __init__(self) -> None:
        self._begun, self._busy, self._ours = time.perf_counter(), _busy(), _ours()

    def cores(self) -> float:
        return max(0.0, _busy() - self._busy - _ours() + self._ours) / (
            time.perf_counter() - self._begun
        )


def _busy() -> float:
    """Seconds that all cores have spent on programs or lost to the hypervisor;
    interrupts are nobody's (proc(5), `/proc/stat`)."""
    user, nice, system, _, _, _, _, steal, *_ = map(
        int, Path("/proc/stat").read_text().split(None, 10)[1:10]
    )
    return (user + nice + system + steal) / _TICKS


def _ours() -> float:
    """CPU seconds of this process and everything below it, what has ended included."""
    return sum(sum(map(int, _stat(member)[11:15])) for member in family(os.getpid())) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of that one process, in MB of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6
