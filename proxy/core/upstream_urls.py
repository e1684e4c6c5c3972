"""Check an upstream's URL without network access; a public name's addresses are not seen."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

IPAddress = IPv4Address | IPv6Address
LOCAL_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home",
    ".corp",
    ".private",
    ".home.arpa",
)
# Networks whose last 32 bits are an IPv4 address: RFC 6052 (NAT64), RFC 4291 section 2.5.5.1
# (compatible), RFC 2765 (translated).
EMBEDDED_IPV4_NETWORKS: Final = tuple(map(ip_network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
# Never a public server, whatever `is_global` of this Python says: local NAT64 (RFC 8215),
# site-local (RFC 3879), IPv4 in IPv6 other than NAT64's own, discard-only, benchmarking, ORCHID,
# documentation, 6to4 relays, shared space of providers, IETF protocols, tests.
UNROUTABLE_NETWORKS: Final = tuple(
    map(
        ip_network,
        (
            *(
                "64:ff9b:1::/48",
                "fec0::/10",
                "::/96",
                "::ffff:0:0:0/96",
                "100::/64",
                "2001:2::/48",
                "2001:10::/28",
                "2001:20::/28",
            ),
            *(
                "2001:db8::/32",
                "3fff::/20",
                "5f00::/16",
                "192.88.99.0/24",
                "100.64.0.0/10",
                "192.0.0.0/24",
                "198.18.0.0/15",
            ),
        ),
    )
)


def check_base_url(url: str, *, allow_private: bool) -> str:
    """Return the URL without trailing slashes.

    Raises ValueError with a sentence for the person who typed it.
    """
    parts = _split_url(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("Must start with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "Must not hold a user name or password: the provider key has its own field."
        )
    if "?" in url or "#" in url:
        raise ValueError("Must not have a query (?) or fragment (#).")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise ValueError("Must name a host.")
    if not allow_private and is_private(host):
        raise ValueError(
            "This is a loopback, private or local address: tick “allow private” if the "
            "model is your own."
        )
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError("Must end before /chat/completions, as in https://api.openai.com/v1.")
    return url.rstrip("/")


def is_private(host: str) -> bool:
    """Return whether a URL's host is anything but a public address or a public name.

    Names known only to a local network and link-local metadata addresses are private.
    """
    address = _parse_literal(host.lower())
    if address is None:
        return "." not in host or host.lower().endswith(LOCAL_SUFFIXES)
    return any(_is_local_address(inner) for inner in _unwrap_addresses(address))


def _is_local_address(address: IPAddress) -> bool:
    nowhere = any(
        address in network for network in UNROUTABLE_NETWORKS if network.version == address.version
    )
    return nowhere or not address.is_global or address.is_multicast


def _split_url(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError(
            "Must be a plain ASCII URL: no blanks or backslashes, international names "
            "in their xn-- form."
        )
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname  # both are validated when read
    except ValueError:
        raise ValueError("Must be a valid URL with a port from 0 to 65535.") from None
    if "%" in parts.netloc:
        raise ValueError("Must not have % in the host.")
    return parts


def _parse_literal(host: str) -> IPAddress | None:
    """Return the address this text is, None for a name."""
    # Numbers are read as C libraries read them (inet_aton: 127.1, 0x7f.1, 017700000001, 2130706433
    # are all 127.0.0.1), because one makes the connection.
    if ":" in host:
        return ip_address(host)
    parts = host.split(".")
    numbers = [_parse_number(part) for part in parts]
    if len(parts) > 4 or None in numbers:
        return None
    *head, last = [number for number in numbers if number is not None]
    if any(number > 255 for number in head) or last >= 256 ** (4 - len(head)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(head)) + last)


def _parse_number(text: str) -> int | None:
    """Parse decimal, 0x hexadecimal or 0 octal, as strtoul does with base 0."""
    base = 16 if text.startswith("0x") else 8 if text.startswith("0") and len(text) > 1 else 10
    digits = text.removeprefix("0x")
    if not digits.isalnum():
        return 0 if text == "0x" else None
    try:
        return int(digits, base)
    except ValueError:
        return None


def _unwrap_addresses(address: IPAddress) -> list[IPAddress]:
    """Return the address and IPv4 ones embedded in it (mapped, 6to4, Teredo, NAT64, ISATAP)."""
    # A gateway on the way may unwrap them.
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in EMBEDDED_IPV4_NETWORKS[0]:
        return [last]
    if any(address in network for network in EMBEDDED_IPV4_NETWORKS[1:]):
        return [address, last]
    # RFC 5214: ISATAP interface ids hold an IPv4 address.
    if int(address) >> 32 & 0xFCFFFFFF == 0x00005EFE:
        return [address, last]
    return [address, *([address.sixtofour] if address.sixtofour else []), *(address.teredo or ())]
