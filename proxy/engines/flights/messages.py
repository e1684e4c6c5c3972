"""What workers tell each other about their flights: msgpack lists, the kind first.

to the holder     ["join", key, who, begin]                      tell me all parts from that number on, until you have not heard for long
                  ["quit", key, who]
to a follower     ["parts", key, begin, cut, [bytes, ...]]
                  ["landed", key, number of parts, landing]
                  ["gone", key]                                  there is no such flight here
"""

from typing import Any

import msgpack

from proxy.core.envelope import BadEnvelope, decode, encode
from proxy.core.errors import (
    GatewayError,
    InternalFault,
    UpstreamAuthFailed,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.core.exchange import Refused, Stored, Whole
from proxy.core.flights import Landing

ERRORS: dict[str, type[GatewayError]] = {
    kind.__name__: kind for kind in (UpstreamUnreachable, UpstreamInvalid, UpstreamAuthFailed, UpstreamTimeout, InternalFault)
}


class BadMessage(ValueError):
    """It is no message of ours."""


def pack(*words: Any) -> bytes:
    return bytes(msgpack.packb(words))


def unpack(data: bytes) -> list[Any]:
    """The words of a message. Raises BadMessage."""
    try:
        words = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadMessage(str(error)) from error
    if not isinstance(words, list) or len(words) < 2 or not all(isinstance(word, str) for word in words[:2]):
        raise BadMessage("no list of words")
    return words


def landing_words(landing: Landing) -> list[Any]:
    """A landing as something msgpack knows."""
    answer = landing.answer
    if isinstance(answer, Stored):
        return ["stored", encode(answer.envelope), answer.asked_tokens, landing.called]
    if isinstance(answer, Whole):
        return ["whole", answer.status, dict(answer.headers), answer.body]
    if isinstance(answer, Refused):
        return ["refused", type(answer.error).__name__, answer.error.message]
    return ["alone"] if landing.alone else ["nobody"]


def landing_of(words: Any) -> Landing:
    """The landing again. Raises BadMessage."""
    try:
        kind, *rest = words
        if kind == "stored":
            envelope, asked, called = rest
            return Landing(Stored(decode(envelope), "exact", int(asked)), called=bool(called))
        if kind == "whole":
            status, headers, body = rest
            return Landing(Whole(int(status), headers, body, None))
        if kind == "refused":
            name, message = rest
            return Landing(Refused(ERRORS.get(name, InternalFault)(message)))
    except (ValueError, TypeError, BadEnvelope) as error:
        raise BadMessage(str(error)) from error
    return Landing(alone=kind == "alone")
