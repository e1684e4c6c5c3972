"""By which HTTP proxy an upstream is reached: its own, or the environment's when that is asked for.

The environment's rules are those of curl: `https_proxy` for https addresses, `http_proxy` for
http ones, `no_proxy` with names, their endings, addresses and networks that need none. Capitals are
read too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

MAX_PROXY_URL_LENGTH: Final = 2048
EXAMPLE: Final = "http://proxy.example.com:3128"


@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """The proxies that the environment names. URLs may hold a password."""

    https: str = field(default="", repr=False)
    http: str = field(default="", repr=False)
    exempt: tuple[str, ...] = ()

    def find_proxy(self, url: str) -> str:
        """Return the proxy for an address, "" for none."""
        parts = urlsplit(url)
        found = self.https if parts.scheme == "https" else self.http
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if not found or host == "localhost" or _is_loopback(host):
            return ""
        return "" if any(_is_exempt(host, port, rule) for rule in self.exempt) else found


def read_environment_proxies(environment: Mapping[str, str]) -> EnvironmentProxies:
    """Read the proxies of an environment. Raises ValueError, naming the variable."""
    # curl ignores HTTP_PROXY in capitals, since a CGI server sets it from a request's header. No
    # such server starts this process.
    return EnvironmentProxies(
        https=_read_variable(environment, "https_proxy"),
        http=_read_variable(environment, "http_proxy"),
        exempt=tuple(
            rule.strip().lower()
            for rule in (environment.get("no_proxy") or environment.get("NO_PROXY", "")).split(",")
            if rule.strip()
        ),
    )


def check_proxy_url(url: str) -> str:
    """Return the URL of a proxy without a slash at its end.

    Raises ValueError with a sentence that does not hold the URL, which may have a password.
    """
    text = url.strip()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("Must be a plain ASCII URL without blanks.")
    if len(text) > MAX_PROXY_URL_LENGTH:
        raise ValueError(f"Must be {MAX_PROXY_URL_LENGTH} characters at most.")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("Must be a valid URL with a port from 0 to 65535.") from None
    if parts.scheme != "http" or not host:
        raise ValueError(
            f"Must be the address of an HTTP proxy, such as {EXAMPLE}; a user and password may "
            "stand before the host: http://user:password@..."
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"Must end with the port, as in {EXAMPLE}.")
    return text.rstrip("/")


def check_proxied_address(base_url: str, *, allow_private: bool) -> None:
    """Raise ValueError unless the address may be reached by way of a proxy."""
    # The proxy looks the name up, so nobody here sees where it leads. Of https the certificate
    # proves who answers, before it is sent anything: a server inside has none for a public name.
    if not allow_private and not base_url.startswith("https://"):
        raise ValueError(
            "Only https:// addresses are reached by way of a proxy: over http:// nobody can tell "
            "who answers. For a server of your own tick “allow private”."
        )


def _read_variable(environment: Mapping[str, str], name: str) -> str:
    found = environment.get(name) or environment.get(name.upper(), "")
    if not found.strip():
        return ""
    try:
        return check_proxy_url(found if "://" in found else f"http://{found}")
    except ValueError as error:
        raise ValueError(f"{name.upper()}: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_exempt(host: str, port: int, rule: str) -> bool:
    """Return whether a rule of `no_proxy` names the host."""
    if rule == "*":
        return True
    name, colon, digits = rule.rpartition(":")
    if colon and digits.isdigit() and name.count(":") == 0:
        if int(digits) != port:
            return False
        rule = name
    try:
        return ip_address(host) in ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        name = rule.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
