"""Another worker's flight, as it is heard here."""

import secrets
from typing import Any

from proxy.core.answers import ErrorAnswer
from proxy.core.flights import Flight, FlightResult
from proxy.engines.coalescing.messages import BadMessage, landing_of

# Beats without a sign of the lease until the holder is given up: at once where nothing was heard
# yet, since another call can still answer in its place; a stream that has begun can only be cut, so
# it waits until Redis may be back.
PATIENCE = 10


class Mirror(Flight):
    """`holder`: the lease it depends on; `nonce`: what is said to it names this."""

    def __init__(self, key: str, holder: str) -> None:
        super().__init__(key)
        self.holder = holder
        self.nonce = secrets.token_hex(8)
        self._missed = 0

    @property
    def worker(self) -> str:
        return self.holder.partition(":")[0]

    def hear(self, begin: int, cut: int, parts: list[bytes]) -> None:
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

    def come_down(self, number: int, words: Any) -> None:
        """Land as the other did, once all `number` parts are here. Where that cannot be used, this
        worker asks for itself."""
        if type(number) is not int or len(self.parts) < number:
            return
        try:
            landing = landing_of(words)
        except BadMessage:
            landing = FlightResult(is_unshared=True)
        if isinstance(landing.answer, ErrorAnswer):
            self.end_stream(landing.answer.error)
        self.complete(landing)

    def miss(self) -> None:
        """No sign of the lease."""
        self._missed += 1
        if not self.parts or self._missed >= PATIENCE:
            self.abandon()

    def seen(self) -> None:
        self._missed = 0
