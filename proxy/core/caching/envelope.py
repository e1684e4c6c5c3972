"""Cached answers as stored: msgpack, zstd (RFC 8878) above 1 KB, sealed. Never pickle.

The seal (`proxy.core.sealing`) is checked first. An envelope names the scope, keys, bucket and
question it was stored under, so one that was moved, or whose question was changed, is detected.
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
MAX_ENVELOPE_BYTES = 16 * 1024 * 1024  # of one answer, unpacked; a longer one is not stored
MAX_SEAL_OVERHEAD_BYTES = 64 * 1024  # of a seal, and of what does not compress
MAX_TAGS = 64
MAX_ANSWER_TOKENS = 2**31 - 1  # of one answer; beyond it the ledger's sums would overflow
MAX_EPOCH_SECONDS = 2.0**40  # epoch seconds
LARGE_VALUE_BYTES = 64 * 1024  # values from this size on are encoded and decoded in a thread
_COMPRESS_ABOVE_BYTES = 1024
_RAW_PREFIX, _ZSTD_PREFIX = b"J", b"Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One stored completion and what it was stored under.

    `completion`: JSON of a whole `chat.completion`. Times: epoch seconds. `asked_tokens`: the
    prompt as the provider bills it, of which `question_tokens` are compared by meaning.
    `revision`: of the configuration at the request; with `tags` it tells whether the answer was
    invalidated since. `entry_id`, `sent`: keys of the exact tier for the request as asked and as
    compressed. `bucket`, `question`: where a semantic entry is found, and its question. `chat`:
    its history, packed by `proxy.core.verification.conversation`, where histories are compared.
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
        """Return the whole seconds since the answer was made, never negative."""
        return max(0, int(now - self.created_at))


class BadEnvelope(ValueError):
    """The stored bytes are not an envelope of this gateway and this schema version."""


class EnvelopeTooLarge(ValueError):
    """The packed answer exceeds `MAX_ENVELOPE_BYTES`."""


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
    """Pack and seal an envelope for a store. Raises EnvelopeTooLarge."""
    return sealer.seal_value(SEAL_PURPOSE, pack_envelope(envelope))


def decode_envelope(value: bytes, sealer: Sealer) -> Envelope:
    """Unseal, unpack and check a stored envelope.

    Raises BadEnvelope for whatever this gateway did not write: unsealed, of another schema, out of
    range.
    """
    return unpack_envelope(_unseal_value(value, sealer))


async def encode_in_thread(envelope: Envelope, sealer: Sealer) -> bytes:
    """Encode an envelope, a large one in a thread. Raises EnvelopeTooLarge."""
    if len(envelope.completion) < LARGE_VALUE_BYTES:
        return encode_envelope(envelope, sealer)
    return await asyncio.to_thread(encode_envelope, envelope, sealer)


async def decode_in_thread(value: bytes, sealer: Sealer) -> Envelope:
    """Decode a stored envelope, a large one in a thread. Raises BadEnvelope."""
    if len(value) < LARGE_VALUE_BYTES:
        # Repeated text of many megabytes is a few kilobytes here.
        body = _unseal_value(value, sealer)
        return (
            unpack_envelope(body)
            if _read_inflated_size(body) < LARGE_VALUE_BYTES
            else await asyncio.to_thread(unpack_envelope, body)
        )
    return await asyncio.to_thread(decode_envelope, value, sealer)


def pack_envelope(envelope: Envelope) -> bytes:
    """Pack and compress an envelope for sealing. Raises EnvelopeTooLarge."""
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
    """Decompress, unpack and check what was sealed. Raises BadEnvelope."""
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
    """Return text that PostgreSQL and UTF-8 accept: no NUL, lone surrogates as question marks."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _check_fields(values: dict[str, Any]) -> None:
    """Check types and ranges.

    Raises BadEnvelope, or ValueError if the completion is not JSON.
    """
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
    """Return the decompressed size a body declares; 0 if `unpack_envelope` refuses it at once."""
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
