"""Cached answers as bytes: whole, or refused."""

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import EnvelopeSerializer
from proxy.core.envelope import SCHEMA, BadEnvelope, Envelope, decode, encode


def envelope(completion: bytes = b"{}") -> Envelope:
    return Envelope(
        scope="s",
        plan_id=1,
        created_at=1.5,
        expires_at=9.5,
        completion=completion,
        asked_tokens=3,
        question_tokens=2,
        completion_tokens=1,
        revision=1_790_000_000_000,
        tags=("prices", "de"),
    )


@pytest.mark.parametrize("completion", [b"{}", b"x" * 100_000, bytes(range(256))])
def test_an_envelope_comes_back_as_it_went(completion: bytes) -> None:
    assert decode(encode(envelope(completion))) == envelope(completion)
    serializer = EnvelopeSerializer({})
    assert serializer.loads(serializer.dumps(envelope(completion))) == envelope(completion)


def test_large_answers_are_compressed() -> None:
    assert len(encode(envelope(b"word " * 10_000))) < 1000


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(BadEnvelope):
        decode(value)


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_flipped_byte_never_crashes(position: int) -> None:
    value = bytearray(encode(envelope(b"x" * 5000)))
    value[position % len(value)] ^= 0xFF
    try:
        decode(bytes(value))
    except BadEnvelope:
        return
    assert decode(bytes(value)) is not None


def test_old_schemas_and_wrong_types_are_refused() -> None:
    fields = ["s", 1, 1.5, 9.5, b"{}", 3, 2, 1, False, 5, ["tag"], b"chat"]
    assert decode(b"J" + msgpack.packb([SCHEMA, *fields])).tags == ("tag",)
    first = [1, *fields[:9]]
    for bad in (first, [1, *fields], [SCHEMA, *fields[:-1]], [SCHEMA, 7, *fields[1:]], [SCHEMA, *fields[:-2], [7], b""], [], {"a": 1}):
        with pytest.raises(BadEnvelope):
            decode(b"J" + msgpack.packb(bad))


def test_a_bomb_is_refused_before_it_inflates() -> None:
    with pytest.raises(BadEnvelope):
        decode(b"Z" + zstandard.ZstdCompressor().compress(bytes(40 * 1024 * 1024)))


def test_the_serializer_keeps_envelopes_only() -> None:
    with pytest.raises(TypeError):
        EnvelopeSerializer({}).dumps({"a": "dict"})
