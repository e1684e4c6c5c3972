"""Another worker's flight, as followed from this worker."""

import secrets
from typing import Any

from proxy.core.answers import ErrorAnswer
from proxy.core.flights import Flight, FlightResult
from proxy.engines.coalescing.messages import BadMessage, decode_result

# Heartbeats without the lease until the holder is given up. At once if nothing was received yet,
# since another call can still answer instead; a stream that has begun can only be cut, so it waits
# until Redis may be back.
MAX_MISSED_HEARTBEATS = 10


class RemoteFlight(Flight):
    """A flight led by another worker.

    `holder`: the lease it depends on; `nonce`: identifies the messages meant for it.
    """

    def __init__(self, key: str, holder: str) -> None:
        super().__init__(key)
        self.holder = holder
        self.nonce = secrets.token_hex(8)
        self._missed_heartbeats = 0

    @property
    def worker_id(self) -> str:
        return self.holder.partition(":")[0]

    def receive_parts(self, begin: int, cut: int, parts: list[bytes]) -> None:
        """Append the parts from number `begin` on that are not known yet. Raises BadMessage."""
        if (
            type(begin) is not int
            or type(cut) is not int
            or not all(isinstance(part, bytes) for part in parts)
        ):
            raise BadMessage("no parts of a stream")
        # Parts that would leave a gap are skipped; they will be sent again.
        if begin <= len(self.parts) < begin + len(parts):
            if not self.has_stream:
                self.begin_stream(cut=cut)
            for part in parts[len(self.parts) - begin :]:
                self.publish_part(part)

    def receive_result(self, number: int, words: Any) -> None:
        """Complete the flight once all `number` parts are here."""
        if type(number) is not int or len(self.parts) < number:
            return
        try:
            landing = decode_result(words)
        except BadMessage:
            # The result cannot be used, so this worker makes its own call.
            landing = FlightResult(is_unshared=True)
        if isinstance(landing.answer, ErrorAnswer):
            self.end_stream(landing.answer.error)
        self.complete(landing)

    def record_missed_heartbeat(self) -> None:
        """Count a heartbeat without the lease, and abandon the flight after too many."""
        self._missed_heartbeats += 1
        if not self.parts or self._missed_heartbeats >= MAX_MISSED_HEARTBEATS:
            self.abandon()

    def record_heartbeat(self) -> None:
        self._missed_heartbeats = 0
