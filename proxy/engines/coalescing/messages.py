"""Messages between workers about flights: msgpack lists, sealed for the receiving worker.

to the holder     ["join", key, who, begin, nonce]               send all parts from number `begin`
                                                                 on, until the join is not renewed
                  ["quit", key, who]
to a follower     ["parts", key, nonce, begin, cut, [bytes, ...]]
                  ["landed", key, nonce, number of parts, landing]
                  ["gone", key, nonce]                           no such flight in this worker

The follower's nonce makes a replayed message worthless.
"""

from collections.abc import Mapping
from typing import Any

import msgpack

from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.caching.envelope import MAX_ENVELOPE_BYTES, BadEnvelope, EnvelopeTooLarge
from proxy.core.caching.envelope import pack_envelope as packed_envelope
from proxy.core.caching.envelope import unpack_envelope as unpacked_envelope
from proxy.core.errors import (
    GatewayError,
    InternalFault,
    UpstreamAuthFailed,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.core.flights import FlightResult
from proxy.core.sealing import InvalidSeal, Sealer

SEAL_PURPOSE = "flights"
# A late follower gets all of a stream so far in one message.
MAX_MESSAGE_BYTES = 4 * MAX_ENVELOPE_BYTES
MAX_PARTS = 1_000_000
MAX_HEADERS = 256

ERROR_TYPES_BY_NAME: dict[str, type[GatewayError]] = {
    kind.__name__: kind
    for kind in (
        UpstreamUnreachable,
        UpstreamInvalid,
        UpstreamAuthFailed,
        UpstreamTimeout,
        InternalFault,
    )
}


class BadMessage(ValueError):
    """The bytes are not a valid message."""


def pack_message(sealer: Sealer, to: str, *words: Any) -> bytes:
    """Serialize and seal a message for the worker `to`."""
    return sealer.seal_value(SEAL_PURPOSE, msgpack.packb(words), to)


def unpack_message(sealer: Sealer, me: str, data: Any) -> list[Any]:
    """Open a message to this worker. Raises BadMessage, also if none of our workers sent it."""
    if not isinstance(data, bytes) or len(data) > MAX_MESSAGE_BYTES:
        raise BadMessage("no message of ours")
    try:
        body = sealer.unseal_value(SEAL_PURPOSE, data, me)
        words = msgpack.unpackb(
            body, max_array_len=MAX_PARTS, max_map_len=MAX_HEADERS, max_ext_len=0
        )
    except InvalidSeal as error:
        sealer.refusals.count_refusal(SEAL_PURPOSE)
        raise BadMessage(str(error)) from error
    except (ValueError, msgpack.UnpackException) as error:
        raise BadMessage(str(error)) from error
    if (
        not isinstance(words, list)
        or len(words) < 2
        or not all(isinstance(word, str) for word in words[:2])
    ):
        raise BadMessage("no list of words")
    return words


def encode_result(landing: FlightResult) -> list[Any]:
    """Convert a flight's result to values that msgpack can serialize.

    An answer too large to send becomes "alone": each follower makes its own call.
    """
    answer = landing.answer
    if isinstance(answer, CachedAnswer):
        try:
            return [
                "stored",
                packed_envelope(answer.envelope),
                answer.prompt_tokens,
                landing.was_called,
            ]
        except EnvelopeTooLarge:
            return ["alone"]
    if isinstance(answer, CompleteAnswer):
        return ["whole", answer.status, dict(answer.headers), answer.body]
    if isinstance(answer, ErrorAnswer):
        return ["refused", type(answer.error).__name__, answer.error.message]
    return ["alone"] if landing.is_unshared else ["nobody"]


def decode_result(words: Any) -> FlightResult:
    """Convert the values back to a flight's result. Raises BadMessage."""
    try:
        kind, *rest = words
        if kind == "stored":
            envelope, asked, called = rest
            return FlightResult(
                CachedAnswer(unpacked_envelope(envelope), "exact", _check_count(asked)),
                was_called=bool(called),
            )
        if kind == "whole":
            status, headers, body = rest
            return FlightResult(_decode_complete_answer(status, headers, body))
        if kind == "refused":
            name, message = rest
            return FlightResult(
                ErrorAnswer(ERROR_TYPES_BY_NAME.get(name, InternalFault)(str(message)))
            )
    except (ValueError, TypeError, BadEnvelope) as error:
        raise BadMessage(str(error)) from error
    return FlightResult(is_unshared=kind == "alone")


def _check_count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise BadMessage("a count that is none")
    return number


def _decode_complete_answer(status: Any, headers: Any, body: Any) -> CompleteAnswer:
    """Rebuild a provider's error. Raises BadMessage."""
    named = isinstance(headers, Mapping) and all(
        isinstance(word, str) for pair in headers.items() for word in pair
    )
    if (
        type(status) is not int
        or not 200 <= status <= 599
        or not named
        or not isinstance(body, bytes)
    ):
        raise BadMessage("no answer of a provider")
    return CompleteAnswer(status, headers, body, None)
