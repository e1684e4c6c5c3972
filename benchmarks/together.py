"""Everything of a run on the same cores, with equal rights."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks import machine


@contextmanager
def together(cores: set[int]) -> Iterator[None]:
    """This process and everything below it shares these cores,
    and it gives up what `go_first` gave it.

    When the block ends, all that is left is where this process was, and this process goes first
    again.
    """
    before, policy, param = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    _move(cores)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)
        _move(before)


def _move(cores: set[int]) -> None:
    for pid in machine.family(os.getpid()):
        with suppress(FileNotFoundError):  # a process that ended meanwhile
            machine.move(pid, cores)
