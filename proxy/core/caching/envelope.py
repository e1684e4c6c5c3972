"""A cached answer on its way to and from a store:
msgpack, compressed by zstd (RFC 8878) above one kilobyte, sealed. Never pickle.

The seal (`proxy.core.sealing`) is checked first. The envelope says itself under which keys, in
which bucket and for which question it was stored, and for whom: a value that was moved, or whose
question was changed, is told by that.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

import msgpack
import orjson
import zstandard

from proxy.core.sealing import InvalidSeal, Sealer

SCHEMA_VERSION = 3
SEAL_PURPOSE = "answers"
MAX_ENVELOPE_BYTES = 16 * 1024 * 1024  # of one stored answer, unpacked; a longer one is not kept
MAX_SEAL_OVERHEAD_BYTES = 64 * 1024  # of a seal, and of what does not compress
MAX_TAGS = 64
MAX_ANSWER_TOKENS = 2**31 - 1  # of one answer; beyond it the ledger's sums would overflow
MAX_EPOCH_SECONDS = 2.0**40  # epoch seconds
LARGE_VALUE_BYTES = 64 * 1024  # bytes of a value from which on it is opened and made in a thread
_COMPRESS_ABOVE_BYTES = 1024
_RAW_PREFIX, _ZSTD_PREFIX = b"J", b"Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One stored completion.

    `completion` is the JSON of a whole `chat.completion`; times in epoch seconds; `asked_tokens`
    counts the prompt it answered as the provider bills it, of which `question_tokens` are what was
    compared by meaning. `revision`: of the configuration under which the answer was asked for; with
    `tags` it tells whether the answer was forgotten since. `entry_id` and `sent`: the keys of the
    exact tier it may stand under; in semantic entries `bucket` and `question`: where it is found
    and what was asked; `chat`: what was said before, as `proxy.core.verification.conversation`
    packs it, where entries are compared by it.
    """

    scope: str
    plan_id: int
    created_at: float
    expires_at: float
    completion: bytes
    asked_tokens: int
    question_tokens: int
    completion_tokens: int
    estimated: bool = False
    revision: int = 0
    tags: tuple[str, ...] = ()
    chat: bytes = b""
    entry_id: str = ""
    sent: str = ""
    bucket: str = ""
    question: str = ""

    def age_seconds(self, now: float) -> int:
        """Whole seconds since the answer was made, never negative."""
        return max(0, int(now - self.created_at))


class BadEnvelope(ValueError):
    """The stored bytes are not an envelope of ours and of this schema."""


class EnvelopeTooLarge(ValueError):
    """The answer is longer than what is kept."""


_FIELD_NAMES = (
    "scope",
    "plan_id",
    "created_at",
    "expires_at",
    "completion",
    "asked_tokens",
    "question_tokens",
    "completion_tokens",
    "estimated",
    "revision",
    "tags",
    "chat",
    "entry_id",
    "sent",
    "bucket",
    "question",
)
_FIELD_TYPES = (
    str,
    int,
    float,
    float,
    bytes,
    int,
    int,
    int,
    bool,
    int,
    tuple,
    bytes,
    str,
    str,
    str,
    str,
)
_TOKEN_FIELDS = ("asked_tokens", "question_tokens", "completion_tokens")


def encode_envelope(envelope: Envelope, sealer: Sealer) -> bytes:
    """Bytes for a store. Raises TooLarge."""
    return sealer.seal_value(SEAL_PURPOSE, pack_envelope(envelope))


def decode_envelope(value: bytes, sealer: Sealer) -> Envelope:
    """The envelope.

    Raises BadEnvelope for anything that we did not write: unsealed, of another schema, out of
    range.
    """
    return unpack_envelope(_unseal_value(value, sealer))


async def encode_in_thread(envelope: Envelope, sealer: Sealer) -> bytes:
    """The same, a large one in a thread. Raises TooLarge."""
    if len(envelope.completion) < LARGE_VALUE_BYTES:
        return encode_envelope(envelope, sealer)
    return await asyncio.to_thread(encode_envelope, envelope, sealer)


async def decode_in_thread(value: bytes, sealer: Sealer) -> Envelope:
    """The same, a large one in a thread: repeated text of many megabytes is a few kilobytes here.

    Raises BadEnvelope.
    """
    if len(value) < LARGE_VALUE_BYTES:
        body = _unseal_value(value, sealer)
        return (
            unpack_envelope(body)
            if _read_inflated_size(body) < LARGE_VALUE_BYTES
            else await asyncio.to_thread(unpack_envelope, body)
        )
    return await asyncio.to_thread(decode_envelope, value, sealer)


def pack_envelope(envelope: Envelope) -> bytes:
    """The bytes that are sealed. Raises TooLarge."""
    packed: bytes = msgpack.packb(
        [SCHEMA_VERSION, *(getattr(envelope, field) for field in _FIELD_NAMES)],
        unicode_errors="replace",
    )
    if len(packed) > MAX_ENVELOPE_BYTES:
        raise EnvelopeTooLarge(f"an answer of {len(packed)} bytes")
    if len(packed) <= _COMPRESS_ABOVE_BYTES:
        return _RAW_PREFIX + packed
    return _ZSTD_PREFIX + zstandard.ZstdCompressor(level=3).compress(packed)


def unpack_envelope(body: bytes) -> Envelope:
    """The envelope of what was sealed. Raises BadEnvelope."""
    try:
        fields = msgpack.unpackb(
            _inflate_body(body),
            use_list=False,
            max_array_len=MAX_TAGS,
            max_map_len=0,
            max_ext_len=0,
            max_str_len=MAX_ENVELOPE_BYTES,
        )
        if not isinstance(fields, tuple) or fields[0] != SCHEMA_VERSION:
            raise BadEnvelope("unknown schema")
        values = dict(zip(_FIELD_NAMES, fields[1:], strict=True))
        _check_fields(values)
    except (ValueError, IndexError, zstandard.ZstdError, msgpack.UnpackException) as error:
        raise BadEnvelope(str(error)) from error
    return Envelope(**values)


def to_storable_text(text: str) -> str:
    """Text that PostgreSQL and UTF-8 accept: without NUL, lone surrogates as question marks."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _check_fields(values: dict[str, Any]) -> None:
    """Types and ranges. Raises BadEnvelope, or ValueError where the completion is no JSON."""
    if tuple(map(type, values.values())) != _FIELD_TYPES:
        raise BadEnvelope("a field is of another type")
    if values["tags"] and not all(type(tag) is str for tag in values["tags"]):
        raise BadEnvelope("a tag is no str")
    if (
        not all(0 <= values[name] <= MAX_ANSWER_TOKENS for name in _TOKEN_FIELDS)
        or values["revision"] < 0
    ):
        raise BadEnvelope("a count is out of range")
    made, ends = values["created_at"], values["expires_at"]
    if not (math.isfinite(made) and math.isfinite(ends) and 0 <= made <= ends <= MAX_EPOCH_SECONDS):
        raise BadEnvelope("a time is out of range")
    _check_completion(orjson.loads(values["completion"]))


def _check_completion(completion: Any) -> None:
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices:
        raise BadEnvelope("the completion has no choices")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise BadEnvelope("a choice has no message")


def _unseal_value(value: bytes, sealer: Sealer) -> bytes:
    if len(value) > MAX_ENVELOPE_BYTES + MAX_SEAL_OVERHEAD_BYTES:
        raise BadEnvelope("longer than anything that is kept")
    try:
        return sealer.unseal_value(SEAL_PURPOSE, value)
    except InvalidSeal as error:
        raise BadEnvelope(str(error)) from error


def _read_inflated_size(body: bytes) -> int:
    """Bytes that it says it inflates to; 0 where `unpack_envelope` refuses it at once."""
    try:
        return (
            max(zstandard.get_frame_parameters(body[1:]).content_size, 0)
            if body[:1] == _ZSTD_PREFIX
            else len(body)
        )
    except zstandard.ZstdError:
        return 0


def _inflate_body(value: bytes) -> bytes:
    if value[:1] == _RAW_PREFIX:
        return value[1:]
    if value[:1] != _ZSTD_PREFIX:
        raise BadEnvelope("unknown first byte")
    params = zstandard.get_frame_parameters(value[1:])
    if not 0 <= params.content_size <= MAX_ENVELOPE_BYTES:
        raise BadEnvelope("inflates beyond the limit")
    return zstandard.ZstdDecompressor().decompress(value[1:], max_output_size=MAX_ENVELOPE_BYTES)
