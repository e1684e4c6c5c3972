"""A cached answer on its way to and from a store: msgpack, compressed by zstd (RFC 8878) above one kilobyte. Never pickle.

First byte: `J` raw, `Z` compressed. The envelope carries its own scope digest, which is checked after every read.
"""

from dataclasses import dataclass

import msgpack
import zstandard

SCHEMA = 2
_COMPRESS_ABOVE = 1024
_MAX_BYTES = 32 * 1024 * 1024
_RAW, _ZSTD = b"J", b"Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One stored completion. `completion` is the JSON of a whole `chat.completion`; times in epoch seconds; `asked_tokens` counts
    the prompt it answered as the provider bills it, of which `question_tokens` are what was compared by meaning. `revision`: of the
    configuration under which the answer was asked for; with `tags` it tells whether the answer was forgotten since. `chat`: what was
    said before, as `proxy.core.window` packs it, in semantic entries that are compared by it."""

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

    def age(self, now: float) -> int:
        """Whole seconds since the answer was made, never negative."""
        return max(0, int(now - self.created_at))


class BadEnvelope(ValueError):
    """The stored bytes are not an envelope of this schema."""


_FIELDS = (
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
)
_TYPES = (str, int, float, float, bytes, int, int, int, bool, int, tuple, bytes)


def encode(envelope: Envelope) -> bytes:
    """Bytes for a store."""
    packed: bytes = msgpack.packb([SCHEMA, *(getattr(envelope, field) for field in _FIELDS)])
    if len(packed) <= _COMPRESS_ABOVE:
        return _RAW + packed
    return _ZSTD + zstandard.ZstdCompressor(level=3).compress(packed)


def decode(value: bytes) -> Envelope:
    """The envelope. Raises BadEnvelope for anything else: corrupted, of another schema, or inflating beyond 32 MiB."""
    try:
        fields = msgpack.unpackb(_inflate(value), use_list=False)
        if not isinstance(fields, tuple) or fields[0] != SCHEMA:
            raise BadEnvelope("unknown schema")
        values = dict(zip(_FIELDS, fields[1:], strict=True))
    except (ValueError, IndexError, zstandard.ZstdError, msgpack.UnpackException) as error:
        raise BadEnvelope(str(error)) from error
    for (name, field), kind in zip(values.items(), _TYPES, strict=True):
        if type(field) is not kind:
            raise BadEnvelope(f"{name} is no {kind.__name__}")
    if not all(type(tag) is str for tag in values["tags"]):
        raise BadEnvelope("a tag is no str")
    return Envelope(**values)


def _inflate(value: bytes) -> bytes:
    if value[:1] == _RAW:
        return value[1:]
    if value[:1] != _ZSTD:
        raise BadEnvelope("unknown first byte")
    params = zstandard.get_frame_parameters(value[1:])
    if not 0 <= params.content_size <= _MAX_BYTES:
        raise BadEnvelope("inflates beyond the limit")
    return zstandard.ZstdDecompressor().decompress(value[1:], max_output_size=_MAX_BYTES)
