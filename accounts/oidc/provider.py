"""Talk to the identity provider: discovery, keys, token endpoint, user info.

Requests keep to the address guard that providers of models are under: a public name cannot lead
into the gateway's own network. Redirects are not followed.
"""

import asyncio
import json
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
from authlib.oauth2.auth import ClientAuth

from accounts.oidc.conf import OidcSettings
from accounts.oidc.errors import ProviderUnavailable, TokenInvalid
from accounts.oidc.id_tokens import KeyUnknown, verify_id_token
from accounts.oidc.roles import read_role_values
from proxy.core.upstream_urls import is_private
from proxy.engines.providers.resolver import PublicResolver

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
LOGIN_SECONDS: Final = 10.0  # all requests of one step of a log-in together
METADATA_SECONDS: Final = 300.0  # for which a discovery document and keys are believed
MAX_REPLY_BYTES: Final = 1024 * 1024
HTTP_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class Metadata:
    """A discovery document (OpenID Connect Discovery 1.0) and when it was read."""

    document: dict[str, Any]
    read_at: float

    def __getitem__(self, name: str) -> str:
        value = self.document.get(name)
        return value if isinstance(value, str) else ""


_metadata: dict[str, Metadata] = {}  # by issuer
_keys: dict[str, dict[str, Any]] = {}  # by the address they were read from


class ProviderSession:
    """One step of a log-in: a client for a few requests, closed afterwards."""

    def __init__(self, config: OidcSettings) -> None:
        self._config = config
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=None if config.allow_private else PublicResolver(), ssl=_load_roots()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=LOGIN_SECONDS),
            trust_env=False,
        )

    async def __aenter__(self) -> "ProviderSession":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def load_metadata(self) -> Metadata:
        """Return the discovery document, read anew after METADATA_SECONDS.

        Raises ProviderUnavailable, also for a document that is another issuer's.
        """
        issuer = self._config.issuer
        known = _metadata.get(issuer)
        if known and time.monotonic() - known.read_at < METADATA_SECONDS:
            return known
        document = await self._request("GET", issuer.rstrip("/") + DISCOVERY_PATH)
        if document.get("issuer") != issuer:
            raise ProviderUnavailable(
                f"the discovery document is of issuer {document.get('issuer')!r}, and "
                f"TOKENTHRIFT_OIDC_ISSUER is {issuer!r}: they must be equal to the letter"
            )
        metadata = Metadata(document, time.monotonic())
        for name in ENDPOINTS:
            self._check_address(metadata[name], name)
        _metadata[issuer] = metadata
        _keys.pop(metadata["jwks_uri"], None)  # read with the document, forgotten with it
        return metadata

    async def fetch_claims(
        self, *, code: str, verifier: str, redirect_uri: str, nonce: str
    ) -> dict[str, Any]:
        """Exchange the code for tokens and return the verified claims of the ID token.

        Where they lack the roles, those of the user info endpoint are added. Raises
        ProviderUnavailable or TokenInvalid.
        """
        metadata = await self.load_metadata()
        tokens = await self._exchange_code(metadata, code, verifier, redirect_uri)
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise TokenInvalid("the token endpoint gave no ID token, or no access token")
        claims = await self._verify(metadata, id_token, nonce=nonce, access_token=access_token)
        if read_role_values(claims, self._config.roles_claim) is None:
            claims = await self._fetch_user_info(metadata, access_token, claims) | claims
        return claims

    async def _exchange_code(
        self, metadata: Metadata, code: str, verifier: str, redirect_uri: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address, headers, body = self._build_client_auth(metadata).prepare(
            "POST", metadata["token_endpoint"], headers, urlencode(form)
        )
        return await self._request("POST", address, headers=headers, body=body)

    def _build_client_auth(self, metadata: Metadata) -> ClientAuth:
        secret, name = self._config.client_secret, self._config.client_id
        if not secret:
            return ClientAuth(name, "", "none")
        offered = metadata.document.get("token_endpoint_auth_methods_supported")
        # RFC 8414, section 2: without a list it is client_secret_basic.
        listed = offered if isinstance(offered, list) else AUTH_METHODS
        method = next((each for each in AUTH_METHODS if each in listed), AUTH_METHODS[0])
        if method == "client_secret_basic":
            # RFC 6749, section 2.3.1: both are form-encoded first.
            name, secret = quote_plus(name), quote_plus(secret)
        return ClientAuth(name, secret, method)

    async def _verify(
        self, metadata: Metadata, token: str, *, nonce: str, access_token: str
    ) -> dict[str, Any]:
        address = metadata["jwks_uri"]
        known = address in _keys
        for fresh in (False, True):
            keys = await self._load_keys(address, fresh=fresh)
            try:
                return verify_id_token(
                    token,
                    keys,
                    issuer=self._config.issuer,
                    client_id=self._config.client_id,
                    nonce=nonce,
                    access_token=access_token,
                )
            except KeyUnknown:
                # The provider may sign with a new key since its keys were read.
                if fresh or not known:
                    raise
        raise AssertionError  # pragma: no cover - the second turn returns or raises

    async def _load_keys(self, address: str, *, fresh: bool) -> dict[str, Any]:
        if fresh or address not in _keys:
            _keys[address] = await self._request("GET", address)
        return _keys[address]

    async def _fetch_user_info(
        self, metadata: Metadata, access_token: str, claims: dict[str, Any]
    ) -> dict[str, Any]:
        address = metadata["userinfo_endpoint"]
        if not address:
            return {}
        found = await self._request(
            "GET", address, headers={"Authorization": f"Bearer {access_token}"}
        )
        # OpenID Connect Core 1.0, section 5.3.2: or it may be somebody else's.
        if found.get("sub") != claims["sub"]:
            raise TokenInvalid("the user info is of another subject than the ID token")
        return found

    async def _request(
        self, method: str, address: str, *, headers: dict[str, str] | None = None, body: str = ""
    ) -> dict[str, Any]:
        """Return the JSON object of the reply. Raises ProviderUnavailable."""
        self._check_address(address, "an address")
        try:
            async with self._http.request(
                method,
                address,
                headers={"Accept": "application/json"} | (headers or {}),
                data=body or None,
                allow_redirects=False,
            ) as reply:
                content = await _read_limited(reply)
                status = reply.status
        except HTTP_ERRORS as error:
            raise ProviderUnavailable(
                f"{method} {_describe(address)}: {type(error).__name__}: {error}"
            ) from error
        return _read_object(f"{method} {_describe(address)}", status, content)

    def _check_address(self, address: str, name: str) -> None:
        """Check that the address may be asked. Raises ProviderUnavailable.

        Names are checked again by what they resolve to.
        """
        try:
            parts = urlsplit(address)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            host = ""
        if not host:
            raise ProviderUnavailable(f"{name} is no address: {address[:200]!r}")
        if is_private(host) and not self._config.allow_private:
            raise ProviderUnavailable(
                f"{name} leads to the private host {host}: TOKENTHRIFT_OIDC_ALLOW_PRIVATE=yes "
                "allows that"
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_private(host)):
            raise ProviderUnavailable(f"{name} must begin with https://: {_describe(address)}")


def build_logout_url(issuer: str, client_id: str, return_to: str) -> str:
    """Return where the provider's own session is ended; "" if it has no such page.

    OpenID Connect RP-Initiated Logout 1.0. Only what was read at a log-in is used: no request.
    """
    known = _metadata.get(issuer)
    address = known["end_session_endpoint"] if known else ""
    if not address.startswith(("https://", "http://")):
        return ""
    query = urlencode({"client_id": client_id, "post_logout_redirect_uri": return_to})
    return f"{address}{'&' if '?' in address else '?'}{query}"


def forget_providers() -> None:
    """Forget what was read of every provider."""
    _metadata.clear()
    _keys.clear()


async def _read_limited(reply: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for part in reply.content.iter_any():
        content += part
        if len(content) > MAX_REPLY_BYTES:
            raise ValueError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
    return content


def _read_object(asked: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if status != 200 or not isinstance(found, dict):
        # RFC 6749, section 5.2; whatever else a reply holds is not for a log.
        error = found.get("error") if isinstance(found, dict) else None
        said = f", error {error[:100]!r}" if isinstance(error, str) else ""
        kind = TokenInvalid if status in {400, 401} else ProviderUnavailable
        raise kind(f"{asked}: status {status}{said}")
    return found


def _describe(address: str) -> str:
    """Return the address without its query, for the log."""
    return repr(address.partition("?")[0][:200])


@cache
def _load_roots() -> ssl.SSLContext:
    return ssl.create_default_context()  # takes tens of milliseconds


async def fetch_claims(config: OidcSettings, **reply: str) -> dict[str, Any]:
    """Run the second step of a log-in within LOGIN_SECONDS, see ProviderSession.fetch_claims."""
    try:
        async with asyncio.timeout(LOGIN_SECONDS), ProviderSession(config) as session:
            return await session.fetch_claims(**reply)
    except TimeoutError as error:
        raise ProviderUnavailable(f"no reply within {LOGIN_SECONDS:g} s") from error


async def fetch_metadata(config: OidcSettings) -> Metadata:
    """Return the discovery document within LOGIN_SECONDS. Raises ProviderUnavailable."""
    try:
        async with asyncio.timeout(LOGIN_SECONDS), ProviderSession(config) as session:
            return await session.load_metadata()
    except TimeoutError as error:
        raise ProviderUnavailable(f"no reply within {LOGIN_SECONDS:g} s") from error
