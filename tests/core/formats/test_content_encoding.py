"""Packed bodies: read to a bound, whatever they would unpack to."""

import gzip
import random
import zlib

import pytest
import zstandard

from proxy.core.errors import BadRequest, BodyTooLarge, UnsupportedEncoding
from proxy.core.formats.content_encoding import decompress_body

BODY = b'{"model": "m"}' * 100
BARE = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(BODY),
    "X-GZIP": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    " deflate ": BARE.compress(BODY) + BARE.flush(),
    "zstd": zstandard.compress(BODY),
    "identity": BODY,
    "identity, gzip": gzip.compress(BODY),
    "zstd, gzip": gzip.compress(zstandard.compress(BODY)),
}


@pytest.mark.parametrize("encoding", PACKED)
def test_it_is_read(encoding: str) -> None:
    assert decompress_body(PACKED[encoding], encoding, limit=len(BODY)) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_file_of_two_members_is_one_body(encoding: str) -> None:
    assert decompress_body(PACKED[encoding] * 2, encoding, limit=10_000) == BODY + BODY


@pytest.mark.parametrize("encoding", PACKED)
def test_what_comes_out_is_bounded(encoding: str) -> None:
    with pytest.raises(BodyTooLarge):
        decompress_body(PACKED[encoding], encoding, limit=len(BODY) - 1)


def test_bombs_are_not_unpacked() -> None:
    zeros = bytes(200_000_000)
    for encoding, packed in (
        ("gzip", gzip.compress(zeros, 1)),
        ("deflate", zlib.compress(zeros, 1)),
        ("zstd", zstandard.compress(zeros)),
        ("zstd, gzip", gzip.compress(zstandard.compress(zeros))),
    ):
        with pytest.raises(BodyTooLarge):
            decompress_body(packed, encoding, limit=100_000)


@pytest.mark.parametrize(
    "encoding", ["br", "compress", "gzip, br", "gzip, gzip, gzip", "gzip;q=1", "chunked", ","]
)
def test_other_encodings_are_named_unknown_and_ours_are_named(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="gzip, deflate, zstd") as refused:
        decompress_body(BODY, encoding, limit=1000)
    assert refused.value.status == 415
    assert encoding.rpartition(", ")[2][:40] in str(refused.value)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_what_is_not_packed_so_is_a_bad_request(encoding: str) -> None:
    packed = PACKED[encoding]
    for broken in (
        BODY,
        b"x",
        packed[:-5],
        packed[: len(packed) // 2],
        packed + b"more of it",
        packed[:10],
    ):
        with pytest.raises(BadRequest) as refused:
            decompress_body(broken, encoding, limit=10_000)
        assert refused.value.status == 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_long_body_that_was_cut_is_a_bad_request(encoding: str) -> None:
    noise = random.Random(7).randbytes(400_000)
    whole = {
        "gzip": gzip.compress(noise),
        "deflate": zlib.compress(noise),
        "zstd": zstandard.compress(noise),
    }[encoding]
    assert decompress_body(whole, encoding, limit=len(noise)) == noise
    for length in (len(whole) - 1, len(whole) - 5, len(whole) - 150_000, 300):
        with pytest.raises(BadRequest, match=encoding):
            decompress_body(whole[:length], encoding, limit=len(noise))


def test_a_second_frame_that_was_cut_is_a_bad_request() -> None:
    frame = zstandard.compress(BODY)
    with pytest.raises(BadRequest, match="zstd"):
        decompress_body(frame + frame[:-4], "zstd", limit=10_000)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_many_members_are_refused(encoding: str) -> None:
    with pytest.raises(BadRequest):
        decompress_body(PACKED[encoding] * 100, encoding, limit=1_000_000)
