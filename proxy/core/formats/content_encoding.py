"""Decompress request bodies up to a limit (RFC 9110 section 8.4)."""

import zlib
from collections.abc import Callable

import zstandard

from proxy.core.errors import BadRequest, BodyTooLarge, UnsupportedEncoding

ACCEPTED_ENCODINGS = "gzip, deflate, zstd"
MAX_ENCODINGS = 2  # applied one after another
MAX_ENCODING_NAME_LENGTH = 40  # characters shown in an error
MAX_GZIP_MEMBERS = 16  # of one gzip file
# The window of zstd; RFC 8878 section 3.1.1.1.2 asks for as much.
MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
MAX_ZSTD_FRAMES = 16  # of one body
# Input at a time. A block takes 4 bytes and holds up to 128 KB, so no step gives more than 8 MB;
# zstandard's reader has a limit of its own, but takes the end of a truncated body for a good one.
ZSTD_STEP_BYTES = 256


def decompress_body(body: bytes, encodings: str, *, limit: int) -> bytes:
    """Decompress a body by its Content-Encoding.

    Raises UnsupportedEncoding, BodyTooLarge as soon as `limit` bytes are exceeded, or BadRequest.
    """
    names = [name.strip().lower() for name in encodings.split(",")]
    if len(names) > MAX_ENCODINGS or not set(names) <= {*_DECOMPRESSORS}:
        refused = next((name for name in names if name not in _DECOMPRESSORS), encodings)[
            :MAX_ENCODING_NAME_LENGTH
        ]
        raise UnsupportedEncoding(
            f"The Content-Encoding {refused!r} is not read. Accepted are {ACCEPTED_ENCODINGS}."
        )
    for name in reversed(names):
        try:
            body = _DECOMPRESSORS[name](body, limit)
        except (zlib.error, zstandard.ZstdError, EOFError):
            raise BadRequest(f"The body is not {name}, as its Content-Encoding says.") from None
        if len(body) > limit:
            raise BodyTooLarge(
                f"The body is larger than the {limit} bytes accepted once it is unpacked."
            )
    return body


def _decompress_gzip(body: bytes, limit: int) -> bytes:
    found = b""
    for _ in range(MAX_GZIP_MEMBERS):
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


def _decompress_deflate(body: bytes, limit: int) -> bytes:
    """Decompress zlib's format, or raw deflate data."""
    # The name means zlib's format, but many clients send raw data.
    try:
        return _inflate_zlib(body, limit, zlib.MAX_WBITS)
    except zlib.error:
        return _inflate_zlib(body, limit, -zlib.MAX_WBITS)


def _inflate_zlib(body: bytes, limit: int, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    found = stream.decompress(body, limit + 1)
    if len(found) <= limit and (not stream.eof or stream.unused_data):
        raise EOFError
    return found


def _decompress_zstd(body: bytes, limit: int) -> bytes:
    parts, size, begin = list[bytes](), 0, 0
    for _ in range(MAX_ZSTD_FRAMES):
        frame = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).decompressobj()
        while not frame.eof:
            step = body[begin : begin + ZSTD_STEP_BYTES]
            if not step:
                raise EOFError
            begin += len(step)
            parts.append(frame.decompress(step))
            size += len(parts[-1])
            if size > limit:
                return b"".join(parts)
        begin -= len(frame.unused_data)
        if begin == len(body):
            return b"".join(parts)
    raise EOFError


def _return_unchanged(body: bytes, limit: int) -> bytes:
    return body


_DECOMPRESSORS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _decompress_gzip,
    "x-gzip": _decompress_gzip,
    "deflate": _decompress_deflate,
    "zstd": _decompress_zstd,
    "identity": _return_unchanged,
}
