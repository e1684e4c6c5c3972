"""How many requests of one key are being answered: none of them may take all that a worker has."""

from proxy.core.errors import TooManyRequests

RETRY_SECONDS = 1


class InFlight:
    """The requests of one worker, by key."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._counts: dict[int, int] = {}

    def enter(self, request_id: str, key_id: int, *, most: int) -> None:
        """Count the request, until `leave`. Raises TooManyRequests where the key has `most` already; 0 is no limit."""
        count = self._counts.get(key_id, 0)
        if most and count >= most:
            raise TooManyRequests(
                f"{most} requests of this key are being answered already. Try again in a moment.", retry_after=RETRY_SECONDS
            )
        self._keys[request_id] = key_id
        self._counts[key_id] = count + 1

    def leave(self, request_id: str) -> None:
        """The request is answered, or was never counted."""
        key_id = self._keys.pop(request_id, None)
        if key_id is None:
            return
        if self._counts[key_id] > 1:
            self._counts[key_id] -= 1
        else:
            del self._counts[key_id]
