"""API keys: their shape, their digest, what of them may be seen."""

import hashlib
import hmac

import pytest

from plans import key_secrets


def test_a_new_key_has_its_shape_its_prefix_and_its_digest() -> None:
    for kind in (key_secrets.VIRTUAL_KEY_KIND, key_secrets.ADMIN_KEY_KIND):
        new = key_secrets.generate_key(kind, pepper="p")
        assert key_secrets.is_well_formed(new.secret, kind)
        assert new.secret.startswith(new.prefix)
        assert len(new.prefix) == len(kind) + 7
        assert new.digest == key_secrets.compute_key_digest(new.secret, pepper="p")


def test_the_secret_is_not_in_the_repr() -> None:
    new = key_secrets.generate_key(key_secrets.VIRTUAL_KEY_KIND, pepper="p")
    assert new.secret not in repr(new)
    assert new.secret[len(new.prefix) :] not in repr(new)


def test_keys_do_not_repeat() -> None:
    assert (
        len(
            {
                key_secrets.generate_key(key_secrets.VIRTUAL_KEY_KIND, pepper="p").secret
                for _ in range(100)
            }
        )
        == 100
    )


def test_the_digest_is_an_hmac_and_needs_the_pepper() -> None:
    secret = "tt-" + "A" * 43
    assert (
        key_secrets.compute_key_digest(secret, pepper="p")
        == hmac.new(b"p", secret.encode(), hashlib.sha256).hexdigest()
    )
    assert key_secrets.compute_key_digest(secret, pepper="p") != key_secrets.compute_key_digest(
        secret, pepper="q"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tt-",
        "tt-" + "A" * 42,
        "tt-" + "A" * 44,
        "tt_" + "A" * 43,
        "tt-" + "A" * 42 + "é",
        "tt-" + "A" * 43 + "\n",
    ],
)
def test_a_malformed_key_is_recognised(text: str) -> None:
    assert not key_secrets.is_well_formed(text, key_secrets.VIRTUAL_KEY_KIND)


def test_the_two_kinds_do_not_open_each_others_doors() -> None:
    assert not key_secrets.is_well_formed("tta-" + "A" * 43, key_secrets.VIRTUAL_KEY_KIND)
    assert not key_secrets.is_well_formed("tt-" + "A" * 43, key_secrets.ADMIN_KEY_KIND)


def test_a_key_made_elsewhere_is_found_by_the_sha256_that_its_maker_stored() -> None:
    secret = "sk-1234-made-elsewhere"
    stored = hashlib.sha256(secret.encode()).hexdigest()
    digest = key_secrets.compute_foreign_key_digest(stored, pepper="p")
    assert key_secrets.compute_client_digest(secret, pepper="p") == digest
    assert stored not in digest
    assert key_secrets.compute_foreign_key_digest(stored, pepper="q") != digest


def test_a_stored_sha256_is_no_key_itself() -> None:
    stored = hashlib.sha256(b"sk-1234").hexdigest()
    kept = key_secrets.compute_foreign_key_digest(stored, pepper="p")
    for text in (stored, f"sha256:{stored}", kept):
        assert key_secrets.compute_client_digest(text, pepper="p") != kept


def test_a_key_of_ours_has_one_digest_and_none_of_another_kind() -> None:
    secret = "tt-" + "A" * 43
    ours = key_secrets.compute_key_digest(secret, pepper="p")
    assert key_secrets.compute_client_digest(secret, pepper="p") == ours
    assert key_secrets.compute_client_digest("tta-" + "A" * 43, pepper="p") is None


def test_how_much_of_a_strangers_key_is_hashed_is_bounded() -> None:
    longest = "x" * key_secrets.MAX_FOREIGN_KEY_LENGTH
    assert key_secrets.compute_client_digest(longest, pepper="p") is not None
    assert key_secrets.compute_client_digest(longest + "x", pepper="p") is None


def test_what_is_visible_of_a_key_made_elsewhere_confirms_no_guess() -> None:
    stored = hashlib.sha256(b"sk-1234").hexdigest()
    digest = key_secrets.compute_foreign_key_digest(stored, pepper="p")
    shown = key_secrets.mask_foreign_key(digest)
    assert (len(shown), shown[:9]) == (15, "imported-")
    assert stored[:6] not in shown


@pytest.mark.parametrize("text", ["", "a" * 63, "A" * 64, "g" * 64, "a" * 65, "a" * 64 + "\n"])
def test_what_is_no_sha256_is_recognised(text: str) -> None:
    assert not key_secrets.is_sha256(text)
