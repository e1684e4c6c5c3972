"""Cached answers as bytes: whole, sealed and within bounds, or refused."""

import math
import threading
from dataclasses import replace
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache_serializer import EnvelopeSerializer
from proxy.core.caching.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_TAGS,
    SCHEMA_VERSION,
    SEAL_PURPOSE,
    BadEnvelope,
    Envelope,
    EnvelopeTooLarge,
    decode_in_thread,
    encode_in_thread,
    unpack_envelope,
)
from proxy.core.sealing import Sealer
from tests.support.entries import COMPLETION, SEALER, decode, encode

LONG = COMPLETION.replace(b"card", b"word " * 20_000)
ODD = "A\u00e9\u4e2d \U0001f600 \\u0000".encode()
SECRETS = Sealer("pepper", keys=[b"k" * 32], encrypts=True)


def envelope(completion: bytes = COMPLETION, **fields: Any) -> Envelope:
    given: dict[str, Any] = {
        "scope": "s",
        "plan_id": 1,
        "created_at": 1.5,
        "expires_at": 9.5,
        "completion": completion,
        "asked_tokens": 3,
        "question_tokens": 2,
        "completion_tokens": 1,
        "revision": 1_790_000_000_000,
        "tags": ("prices", "de"),
        "entry_id": "a" * 64,
        "bucket": "b" * 64,
        "question": "How do I pay?",
    }
    return Envelope(**(given | fields))


def sealed(fields: Any, mark: bytes = b"J") -> bytes:
    """What another version of ours could have written."""
    return SEALER.seal_value(SEAL_PURPOSE, mark + msgpack.packb(fields))


@pytest.mark.parametrize("sealer", [SEALER, SECRETS], ids=["sealed", "encrypted"])
@pytest.mark.parametrize("completion", [COMPLETION, LONG, COMPLETION.replace(b"card", ODD)])
def test_an_envelope_comes_back_as_it_went(completion: bytes, sealer: Sealer) -> None:
    assert decode(encode(envelope(completion), sealer), sealer) == envelope(completion)


@pytest.mark.parametrize("completion", [COMPLETION, LONG])
async def test_a_large_one_comes_back_from_its_thread(completion: bytes) -> None:
    assert await decode_in_thread(
        await encode_in_thread(envelope(completion), SEALER), SEALER
    ) == envelope(completion)


@pytest.mark.parametrize(
    ("completion", "aside"),
    [(COMPLETION, False), (LONG, True)],
    ids=["small", "small while compressed"],
)
async def test_what_inflates_to_much_is_opened_in_a_thread(
    completion: bytes, aside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, threads = encode(envelope(completion)), list[int]()

    def noted(body: bytes) -> Envelope:
        threads.append(threading.get_ident())
        return unpack_envelope(body)

    monkeypatch.setattr("proxy.core.caching.envelope.unpack_envelope", noted)
    assert await decode_in_thread(value, SEALER) == envelope(completion)
    assert [ident != threading.get_ident() for ident in threads] == [aside]


def test_the_admin_reads_and_writes_the_same() -> None:
    serializer = EnvelopeSerializer({})
    assert serializer.loads(serializer.dumps(envelope())) == envelope()


def test_large_answers_are_compressed() -> None:
    assert len(encode(envelope(LONG))) < 1000


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(BadEnvelope):
        decode(value)


@pytest.mark.parametrize("sealer", [SEALER, SECRETS], ids=["sealed", "encrypted"])
def test_a_flipped_bit_breaks_the_seal(sealer: Sealer) -> None:
    good = encode(envelope(), sealer)
    for position in range(len(good)):
        value = bytearray(good)
        value[position] ^= 1
        with pytest.raises(BadEnvelope):
            decode(bytes(value), sealer)


@pytest.mark.parametrize("other", [Sealer("other"), Sealer("pepper", "instance"), Sealer("")])
def test_what_another_installation_sealed_is_refused(other: Sealer) -> None:
    with pytest.raises(BadEnvelope):
        decode(encode(envelope(), other))


def test_what_was_sealed_for_another_purpose_is_refused() -> None:
    body = SEALER.unseal_value(SEAL_PURPOSE, encode(envelope()))
    for value in (SEALER.seal_value("flights", body), SEALER.seal_value(SEAL_PURPOSE, body, "k")):
        with pytest.raises(BadEnvelope):
            decode(value)


def test_values_written_before_they_were_sealed_are_misses() -> None:
    fields = ["s", 1, 1.5, 9.5, COMPLETION, 3, 2, 1, False, 5, ["tag"], b"chat"]
    with pytest.raises(BadEnvelope):
        decode(b"J" + msgpack.packb([2, *fields]))


def test_old_schemas_and_wrong_types_are_refused() -> None:
    fields = ["s", 1, 1.5, 9.5, COMPLETION, 3, 2, 1, False, 5, ["tag"], b"chat", "e", "", "", ""]
    assert decode(sealed([SCHEMA_VERSION, *fields])).tags == ("tag",)
    others: list[Any] = [
        [2, *fields],
        [SCHEMA_VERSION, *fields[:-1]],
        [SCHEMA_VERSION, 7, *fields[1:]],
        [SCHEMA_VERSION, *fields[:-6], [7], *fields[-5:]],
    ]
    for bad in (*others, [], {"a": 1}, [SCHEMA_VERSION] * 100, [[]] * 17, 7, None):
        with pytest.raises(BadEnvelope):
            decode(sealed(bad))


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": math.inf},
        {"expires_at": math.nan},
        {"created_at": math.nan},
        {"created_at": -math.inf},
        {"created_at": -1.0},
        {"expires_at": 1e300},
        {"created_at": 9.0, "expires_at": 8.0},
        {"asked_tokens": -1},
        {"completion_tokens": -1},
        {"question_tokens": 2**31},
        {"asked_tokens": 2**63 - 1},
        {"revision": -1},
        {"tags": ("x",) * (MAX_TAGS + 1)},
        *(
            {"completion": value}
            for value in (
                b"",
                b"no JSON",
                b"[]",
                b"7",
                b"{}",
                b'{"choices":null}',
                b'{"choices":[7]}',
            )
        ),
        *(
            {"completion": value}
            for value in (b'{"choices":[]}', b'{"choices":[{"message":"x"}]}', b"[" * 100_000)
        ),
    ],
)
def test_what_is_out_of_range_is_refused_although_it_is_sealed(fields: dict[str, Any]) -> None:
    with pytest.raises(BadEnvelope):
        decode(encode(replace(envelope(), **fields)))


def test_a_bomb_is_refused_before_it_inflates() -> None:
    for bomb in (bytes(MAX_ENVELOPE_BYTES + 1), msgpack.packb([{}] * 1000)):
        with pytest.raises(BadEnvelope):
            decode(
                SEALER.seal_value(SEAL_PURPOSE, b"Z" + zstandard.ZstdCompressor().compress(bomb))
            )
    endless = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(BadEnvelope):
        decode(SEALER.seal_value(SEAL_PURPOSE, b"Z" + endless))


def test_what_is_longer_than_anything_kept_is_not_even_read() -> None:
    with pytest.raises(BadEnvelope, match="longer"):
        decode(bytes(2 * MAX_ENVELOPE_BYTES))


def test_an_answer_beyond_the_limit_is_not_written() -> None:
    with pytest.raises(EnvelopeTooLarge):
        encode(envelope(b" " * MAX_ENVELOPE_BYTES))


def test_the_serializer_keeps_envelopes_only() -> None:
    with pytest.raises(TypeError):
        EnvelopeSerializer({}).dumps({"a": "dict"})
    assert EnvelopeSerializer({}).loads(b"planted") is None


class TestEncryption:
    """Of what is sealed."""

    def test_no_text_stands_in_the_value(self) -> None:
        value = encode(envelope(), SECRETS)
        assert b"By card" not in value
        assert b"How do I pay" not in value
        assert b"By card" in encode(envelope())

    def test_the_same_answer_is_never_the_same_value(self) -> None:
        assert encode(envelope(), SECRETS) != encode(envelope(), SECRETS)

    def test_keys_rotate_by_their_list(self) -> None:
        old, new = b"k" * 32, b"n" * 32
        rotated = Sealer("pepper", keys=[new, old], encrypts=True)
        assert decode(encode(envelope(), SECRETS), rotated) == envelope()
        with pytest.raises(BadEnvelope):
            decode(encode(envelope(), rotated), SECRETS)  # the new key is not known there
        with pytest.raises(BadEnvelope):
            # The old one is gone.
            decode(encode(envelope(), SECRETS), Sealer("pepper", keys=[new], encrypts=True))

    def test_what_was_stored_before_is_read_on(self) -> None:
        assert decode(encode(envelope()), SECRETS) == envelope()  # in clear
        off = Sealer("pepper", keys=[b"k" * 32])
        assert decode(encode(envelope(), SECRETS), off) == envelope()

    def test_without_a_key_nothing_is_encrypted_in_vain(self) -> None:
        with pytest.raises(ValueError, match="key"):
            Sealer("pepper", encrypts=True)
