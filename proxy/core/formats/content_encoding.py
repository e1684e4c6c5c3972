"""Bodies that a client packed (RFC 9110 section 8.4), unpacked to a bound."""

import zlib
from collections.abc import Callable

import zstandard

from proxy.core.errors import BadRequest, EncodingUnknown, TooLarge

ACCEPTED = "gzip, deflate, zstd"
MAX_ENCODINGS = 2  # one upon the other
MAX_NAME_LENGTH = 40  # characters of an encoding that are shown in a refusal
MAX_MEMBERS = 16  # of one gzip file
MAX_WINDOW = 8 * 1024 * 1024  # bytes that zstd looks back; RFC 8878 section 3.1.1.1.2 asks for as much


def unpack(body: bytes, encodings: str, *, limit: int) -> bytes:
    """The body as it was before. Raises EncodingUnknown, TooLarge as soon as `limit` bytes are exceeded, or BadRequest."""
    names = [name.strip().lower() for name in encodings.split(",")]
    if len(names) > MAX_ENCODINGS or not set(names) <= {*_UNPACKERS}:
        refused = next((name for name in names if name not in _UNPACKERS), encodings)[:MAX_NAME_LENGTH]
        raise EncodingUnknown(f"The Content-Encoding {refused!r} is not read. Accepted are {ACCEPTED}.")
    for name in reversed(names):
        try:
            body = _UNPACKERS[name](body, limit)
        except (zlib.error, zstandard.ZstdError, EOFError):
            raise BadRequest(f"The body is not {name}, as its Content-Encoding says.") from None
        if len(body) > limit:
            raise TooLarge(f"The body is larger than the {limit} bytes accepted once it is unpacked.")
    return body


def _gzip(body: bytes, limit: int) -> bytes:
    found = b""
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        found += member.decompress(body, limit + 1 - len(found))
        if len(found) > limit:
            return found
        if not member.eof:
            raise EOFError
        body = member.unused_data
        if not body:
            return found
    raise EOFError


def _deflate(body: bytes, limit: int) -> bytes:
    """zlib's form, as the name means, or the bare one, which many send."""
    try:
        return _inflated(body, limit, zlib.MAX_WBITS)
    except zlib.error:
        return _inflated(body, limit, -zlib.MAX_WBITS)


def _inflated(body: bytes, limit: int, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    found = stream.decompress(body, limit + 1)
    if len(found) <= limit and (not stream.eof or stream.unused_data):
        raise EOFError
    return found


def _zstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(body, read_across_frames=True) as reader:
        parts, size = [], 0
        while size <= limit and (part := reader.read(min(1024 * 1024, limit + 1 - size))):
            parts.append(part)
            size += len(part)
    found = b"".join(parts)
    if not found:
        raise EOFError
    return found


def _identity(body: bytes, limit: int) -> bytes:
    return body


_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "identity": _identity,
}
