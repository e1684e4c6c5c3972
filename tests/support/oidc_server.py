"""An OpenID provider on a real socket: discovery, code flow with PKCE, RS256 signatures, user info.

It is as strict as a provider is: a code is good once, for the client, the address and the verifier
it was asked with. What tests change is what it says: see `OidcServer`.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "gateway", "a secret: of/the client"
PAGE = """<!doctype html><html lang="en"><title>Provider</title><h1>Provider</h1>
<form method="post" action="/authorize?{query}"><label>Name <input name="name"></label>
<button>Sign in</button></form></html>"""
Claims = dict[str, Any]


@dataclass
class OidcServer:
    """`people`: claims by the name typed at the provider; `change`: the last word on the claims of
    an ID token; `sign`: makes the token of them; `document`: changes of the discovery document;
    `pause`: seconds before each reply; `asked`: the paths asked for.
    """

    issuer: str = ""
    people: dict[str, Claims] = field(default_factory=dict)
    change: Callable[[Claims], Claims] = dict
    sign: Callable[[Claims], str] | None = None
    document: Claims = field(default_factory=dict)
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)
    keys: list[RSAKey] = field(default_factory=list)
    in_user_info: tuple[str, ...] = ()
    user_info_subject: str = ""
    _codes: dict[str, Claims] = field(default_factory=dict)
    _tokens: dict[str, Claims] = field(default_factory=dict)

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish no other."""
        number = secrets.token_hex(4)
        self.keys[:] = [RSAKey.generate_key(2048, {"kid": number, "use": "sig", "alg": "RS256"})]

    def discovery(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
        } | self.document

    def authorize(self, asked: dict[str, str], name: str) -> str:
        """Where the browser goes once somebody has signed in."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        reply = {"state": asked["state"], "iss": self.issuer}
        if name not in self.people:
            return f"{asked['redirect_uri']}?{urlencode(reply | {'error': 'access_denied'})}"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked | {"name": name}
        return f"{asked['redirect_uri']}?{urlencode(reply | {'code': code})}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """The tokens for a code."""
        kind, _, pair = authorization.partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        if kind != "Basic" or (unquote_plus(name), unquote_plus(secret)) != (
            CLIENT_ID,
            CLIENT_SECRET,
        ):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or proof != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        access_token = secrets.token_urlsafe(16)
        claims = self._claims(asked)
        self._tokens[access_token] = claims
        told = {key: value for key, value in claims.items() if key not in self.in_user_info}
        return 200, {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": (self.sign or self.sign_rs256)(self.change(told)),
        }

    def _claims(self, asked: Claims) -> Claims:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "sub": f"id-of-{asked['name']}",
        } | self.people[asked["name"]]

    def sign_rs256(self, claims: Claims) -> str:
        key = self.keys[-1]
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    def sign_none(self, claims: Claims) -> str:
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        texts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
        return ".".join(text.rstrip(b"=").decode() for text in texts) + "."

    def sign_with_secret(self, claims: Claims) -> str:
        """As whoever knows the client's secret could sign."""
        key = OctKey.import_key(CLIENT_SECRET)
        return jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])

    def sign_by_stranger(self, claims: Claims) -> str:
        """With a key of that name which is not the provider's."""
        forged = RSAKey.generate_key(2048, {"kid": self.keys[-1].kid or ""})
        return jwt.encode({"alg": "RS256", "kid": forged.kid}, claims, forged)

    def user_info(self, authorization: str) -> tuple[int, Claims]:
        claims = self._tokens.get(authorization.removeprefix("Bearer "))
        if claims is None:
            return 401, {"error": "invalid_token"}
        return 200, claims | ({"sub": self.user_info_subject} if self.user_info_subject else {})


class _Server(ThreadingHTTPServer):
    state: OidcServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        state, parts = self._begin()
        if parts.path == "/.well-known/openid-configuration":
            self._answer(200, state.discovery())
        elif parts.path == "/keys":
            self._answer(200, {"keys": [key.as_dict(private=False) for key in state.keys]})
        elif parts.path == "/userinfo":
            self._answer(*state.user_info(self.headers.get("authorization", "")))
        elif parts.path == "/authorize":
            self._send(200, PAGE.format(query=parts.query.replace("&", "&amp;")).encode())
        elif parts.path == "/logout":
            self._send(200, b"<!doctype html><title>Provider</title><h1>Signed out</h1>")
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        state, parts = self._begin()
        length = int(self.headers.get("content-length", 0))
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        if parts.path == "/authorize":
            where = state.authorize(dict(parse_qsl(parts.query)), form.get("name", ""))
            self._send(303, b"", location=where)
        elif parts.path == "/token":
            self._answer(*state.exchange(form, self.headers.get("authorization", "")))
        else:
            self._answer(404, {"error": "not_found"})

    def _begin(self) -> tuple[OidcServer, SplitResult]:
        state, parts = self.server.state, urlsplit(self.path)
        time.sleep(state.pause)
        state.asked.append(parts.path)
        return state, parts

    def _answer(self, status: int, said: Claims) -> None:
        self._send(status, json.dumps(said).encode(), "application/json")

    def _send(
        self, status: int, content: bytes, kind: str = "text/html", location: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # a caller that waits no longer
            self.wfile.write(content)


@contextmanager
def running_oidc_server() -> Iterator[OidcServer]:
    """A provider with one key and nobody in it, on a port of its own."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        state = server.state = OidcServer(issuer=f"http://127.0.0.1:{server.server_port}")
        state.rotate()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
