"""Say what a command is doing while it takes long: nothing for what is quick.

Whole lines, which read well in a terminal and in a log.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

QUIET_SECONDS: Final = 2.0
REPEAT_SECONDS: Final = 10.0


@contextmanager
def report_slow_step(
    doing: str, *, usual: str = "", write: Callable[[str], object]
) -> Iterator[None]:
    """Report a step once it takes longer than QUIET_SECONDS, then now and again, and its end.

    `doing`: such as "Creating the database's tables"; `usual`: how long it usually takes. `write`
    gets lines without their end, from a thread of this function's own.
    """
    began, ended = time.monotonic(), threading.Event()

    def report() -> None:
        if ended.wait(QUIET_SECONDS):
            return
        write(f"{doing}{f' ({usual})' if usual else ''} ...")
        while not ended.wait(REPEAT_SECONDS):
            write(f"{doing}: {time.monotonic() - began:.0f} s so far")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
    if (took := time.monotonic() - began) > QUIET_SECONDS:
        write(f"{doing}: done in {took:.0f} s")
