"""Another worker's flight, as it is heard here."""

import secrets
from typing import Any

from proxy.core.answers import ErrorAnswer
from proxy.core.flights import Flight, FlightResult
from proxy.engines.coalescing.messages import BadMessage, decode_result

# Beats without a sign of the lease until the holder is given up: at once where nothing was heard
# yet, since another call can still answer in its place; a stream that has begun can only be cut, so
# it waits until Redis may be back.
MAX_MISSED_HEARTBEATS = 10


class RemoteFlight(Flight):
    """`holder`: the lease it depends on; `nonce`: what is said to it names this."""

    def __init__(self, key: str, holder: str) -> None:
        super().__init__(key)
        self.holder = holder
        self.nonce = secrets.token_hex(8)
        self._missed_heartbeats = 0

    @property
    def worker_id(self) -> str:
        return self.holder.partition(":")[0]

    def receive_parts(self, begin: int, cut: int, parts: list[bytes]) -> None:
        """Parts from number `begin` on.

        Known ones are passed over; what leaves a gap is, for it will be told again. Raises
        BadMessage.
        """
        if (
            type(begin) is not int
            or type(cut) is not int
            or not all(isinstance(part, bytes) for part in parts)
        ):
            raise BadMessage("no parts of a stream")
        if begin <= len(self.parts) < begin + len(parts):
            if not self.has_stream:
                self.begin_stream(cut=cut)
            for part in parts[len(self.parts) - begin :]:
                self.publish_part(part)

    def receive_result(self, number: int, words: Any) -> None:
        """Land as the other did, once all `number` parts are here. Where that cannot be used, this
        worker asks for itself."""
        if type(number) is not int or len(self.parts) < number:
            return
        try:
            landing = decode_result(words)
        except BadMessage:
            landing = FlightResult(is_unshared=True)
        if isinstance(landing.answer, ErrorAnswer):
            self.end_stream(landing.answer.error)
        self.complete(landing)

    def record_missed_heartbeat(self) -> None:
        """No sign of the lease."""
        self._missed_heartbeats += 1
        if not self.parts or self._missed_heartbeats >= MAX_MISSED_HEARTBEATS:
            self.abandon()

    def record_heartbeat(self) -> None:
        self._missed_heartbeats = 0
