"""Log what blocked the event loop, and in which stage, from a thread beside it."""

import asyncio
import logging
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType

from proxy.pipeline.stage_labels import get_stage_label
from stats.monitoring import gauges

# The loop records the time twenty times a second. When that record is late, the thread reads the
# loop's stack: of Python code at once, of C code that holds the GIL as soon as it releases it,
# while it is still in the call.
HEARTBEAT_SECONDS = 0.05  # seconds
STALL_SECONDS = 0.2  # longer turns of the loop are logged
OUTSIDE_STAGE = "outside"  # none of our code ran: a busy machine or a stopped process
STAGE_MODULE_PREFIX = "proxy.pipeline.stages."
PRODUCT_MODULE_PREFIXES = ("proxy.", "gateway_project.", "stats.", "plans.")

log = logging.getLogger("tokenthrift.proxy")


@dataclass(frozen=True, slots=True)
class StallLocation:
    """Where the loop was blocked."""

    # The stage's name, or the module of ours.
    stage: str
    # The innermost line of ours.
    line: str


class Watchdog:
    """One per worker, started in its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._last_beat_at, self._longest_delay_seconds = time.monotonic(), 0.0
        self._close_event = threading.Event()
        self._thread = threading.Thread(target=self._watch_loop, name="watchdog", daemon=True)
        self._record_beat()
        self._thread.start()

    def close(self) -> None:
        self._close_event.set()

    def _record_beat(self) -> None:
        now = time.monotonic()
        self._longest_delay_seconds = max(
            self._longest_delay_seconds, now - self._last_beat_at - HEARTBEAT_SECONDS
        )
        self._last_beat_at = now
        if not self._close_event.is_set():
            self._loop.call_later(HEARTBEAT_SECONDS, self._record_beat)

    def _watch_loop(self) -> None:
        """Watch until closed; report each stall when it is over, with where it was first seen."""
        place: StallLocation | None = None
        while not self._close_event.wait(HEARTBEAT_SECONDS):
            late = time.monotonic() - self._last_beat_at - HEARTBEAT_SECONDS
            if self._longest_delay_seconds > STALL_SECONDS:
                seconds, self._longest_delay_seconds = self._longest_delay_seconds, 0.0
                self._report_stall(place or StallLocation(OUTSIDE_STAGE, OUTSIDE_STAGE), seconds)
                place = None
            elif place is None and late > HEARTBEAT_SECONDS:
                place = find_location(sys._current_frames().get(self._thread_id))
            elif late <= HEARTBEAT_SECONDS:
                place = None

    @staticmethod
    def _report_stall(place: StallLocation, seconds: float) -> None:
        gauges.LOOP_STALLS.labels(place.stage).inc()
        log.warning(
            "the event loop was held up for %.2f s in %s (%s)", seconds, place.stage, place.line
        )


def find_location(frame: FrameType | None) -> StallLocation:
    """Return the innermost stage and the innermost line of ours in a stack."""
    stage = line = module_of_line = module_of_stage = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(PRODUCT_MODULE_PREFIXES):
            if not line:
                line, module_of_line = f"{module}.{frame.f_code.co_name}:{frame.f_lineno}", module
            if module.startswith(STAGE_MODULE_PREFIX) and module_of_stage in ("", module):
                # The outermost function is the stage.
                stage, module_of_stage = get_stage_label(frame.f_code.co_name), module
        frame = frame.f_back
    return StallLocation(
        stage or module_of_line.rpartition(".")[2] or OUTSIDE_STAGE, line or OUTSIDE_STAGE
    )
