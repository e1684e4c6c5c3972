"""What held up the event loop: a thread beside it sees when a turn takes too long,
and in which stage.

The loop notes the time twenty times a second. When that note grows old the thread reads the loop's
stack: of Python code at once, of C code that keeps the interpreter for itself as soon as it lets
go, which is still at the place that called it.
"""

import asyncio
import logging
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType

from proxy.pipeline.stage_labels import label_of
from stats.monitoring import gauges

BEAT = 0.05  # seconds
STALL_SECONDS = 0.2  # a turn of the loop that takes longer is logged
OUTSIDE = "outside"  # no code of ours ran: the machine was busy, or the process was stopped
STAGES = "proxy.pipeline.stages."
OURS = ("proxy.", "gateway_project.", "stats.", "plans.")

log = logging.getLogger("tokenthrift.proxy")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the loop was seen.

    `stage`: the stage's name, or the module of ours that ran; `line`: the innermost line of ours.
    """

    stage: str
    line: str


class Watchdog:
    """One per worker, started in its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._noted, self._longest = time.monotonic(), 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._beat()
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _beat(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._noted - BEAT)
        self._noted = now
        if not self._closed.is_set():
            self._loop.call_later(BEAT, self._beat)

    def _watch(self) -> None:
        """Look until closed.

        A stall is told once, when it is over, with the place where it was first seen.
        """
        place: Place | None = None
        while not self._closed.wait(BEAT):
            late = time.monotonic() - self._noted - BEAT
            if self._longest > STALL_SECONDS:
                seconds, self._longest = self._longest, 0.0
                self._tell(place or Place(OUTSIDE, OUTSIDE), seconds)
                place = None
            elif place is None and late > BEAT:
                place = place_of(sys._current_frames().get(self._thread_id))
            elif late <= BEAT:
                place = None

    @staticmethod
    def _tell(place: Place, seconds: float) -> None:
        gauges.LOOP_STALLS.labels(place.stage).inc()
        log.warning(
            "the event loop was held up for %.2f s in %s (%s)", seconds, place.stage, place.line
        )


def place_of(frame: FrameType | None) -> Place:
    """Where a stack is: the innermost stage in it, and the innermost line of ours."""
    stage = line = module_of_line = module_of_stage = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(OURS):
            if not line:
                line, module_of_line = f"{module}.{frame.f_code.co_name}:{frame.f_lineno}", module
            if module.startswith(STAGES) and module_of_stage in ("", module):
                # The outermost function is the stage.
                stage, module_of_stage = label_of(frame.f_code.co_name), module
        frame = frame.f_back
    return Place(stage or module_of_line.rpartition(".")[2] or OUTSIDE, line or OUTSIDE)
