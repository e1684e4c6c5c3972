"""Verify ID tokens: signature, issuer, audience, times, nonce. Pure apart from the clock.

OpenID Connect Core 1.0, section 3.1.3.7, by joserfc and Authlib.
"""

from collections.abc import Mapping
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key
from joserfc.jws import extract_compact

from accounts.oidc.errors import TokenInvalid

# Signatures by a private key of the provider. Neither `none`, nor HS256 and its kind: with those
# whoever knows the client's secret, or takes a public key for it, could sign.
SIGNATURE_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
    "Ed25519",
)
KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP"})
LEEWAY_SECONDS: Final = 30  # between the clocks of the provider and of the gateway
MAX_SUBJECT_LENGTH: Final = 255  # of OpenID Connect Core, section 2
MAX_KEYS: Final = 100  # of a provider
MAX_TOKEN_LENGTH: Final = 65_536


class KeyUnknown(TokenInvalid):
    """The token names a key that the provider's known keys lack: it may have a new one."""


def verify_id_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str,
) -> dict[str, Any]:
    """Return the claims of a token that the issuer signed for this client and this log-in.

    `keys` is the provider's JWK set (RFC 7517). Raises KeyUnknown or TokenInvalid.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenInvalid("the ID token is too long")
    try:
        read = jwt.decode(token, _find_keys(token, keys), algorithms=SIGNATURE_ALGORITHMS)
        claims = CodeIDToken(
            read.claims,
            read.header,
            {
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": client_id},
                "sub": {"essential": True},
                "exp": {"essential": True},
                "iat": {"essential": True},
            },
            {"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        claims.validate(leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenInvalid(f"the ID token is invalid: {type(error).__name__}: {error}") from error
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise TokenInvalid("the ID token's subject is no text of 1 to 255 characters")
    if not subject.isprintable():
        raise TokenInvalid("the ID token's subject holds control characters")
    return dict(claims)


def _find_keys(token: str, keys: Mapping[str, Any]) -> KeySet:
    """Return the keys the token can be signed with. Raises KeyUnknown, JoseError."""
    usable = [key for key in map(_import_key, _list_keys(keys)) if key is not None]
    name = _read_header(token).get("kid")
    # A token may leave its key's name out where there is one key only.
    matching = [key for key in usable if name is None or key.kid == name]
    if not matching or (name is None and len(matching) > 1):
        raise KeyUnknown(f"no key of the provider is named {name!r}")
    return KeySet(matching)


def _list_keys(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the keys for signatures; a set may hold some for encryption, and of newer kinds."""
    listed = keys.get("keys")
    return [
        each
        for each in (listed if isinstance(listed, list) else [])[:MAX_KEYS]
        if isinstance(each, dict) and each.get("kty") in KEY_TYPES and each.get("use") != "enc"
    ]


def _import_key(key: dict[str, Any]) -> Key | None:
    """Return the key; None for one that is damaged, so that it spoils no other."""
    try:
        return import_key(key)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _read_header(token: str) -> Mapping[str, Any]:
    return extract_compact(token.encode()).headers()
