"""Fields of an upstream, from what a foreign file says of an address, a key and a timeout."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.config_import.config_draft import read_variable_name, translate_text
from proxy.config_import.foreign_config import read_number
from proxy.config_import.foreign_providers import ForeignProvider
from proxy.config_import.report import EXACT, MANUAL
from proxy.config_import.rules import Ruling
from proxy.core.upstream_urls import check_base_url, is_private

MAX_ADDRESS_LENGTH: Final = 500
MIN_READ_TIMEOUT_SECONDS: Final = 1.0
MAX_READ_TIMEOUT_SECONDS: Final = 3600.0
# What stands where a server wants no key, and a client library insists on one.
NO_KEYS: Final = frozenset({"", "none", "null", "empty", "na", "n/a", "not-needed", "dummy"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is. `name`: what to call it; `ruling`: the verdict on what was given."""

    base_url: str
    name: str
    ruling: Ruling
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    """The key of an upstream as a reference; `is_literal`: it stood in the file itself."""

    reference: str
    ruling: Ruling
    is_literal: bool = False


def read_address(given: Any, provider: ForeignProvider) -> Address | Ruling:
    """Read an address, the provider's own if none is given, or say why it cannot be one."""
    if given in (None, ""):
        if not provider.base_url:
            return Ruling(MANUAL, "It names no address: add upstream and route by hand.")
        ruling = Ruling(EXACT, "The provider's own address.")
        return Address(provider.base_url, provider.price_id, ruling)
    if not isinstance(given, str):
        return Ruling(MANUAL, "The address is no text: add upstream and route by hand.")
    if name := read_variable_name(given):
        text = (
            f"The address is ${{{name}}}, taken when the file is applied; if it is on a private "
            "network, set allow_private."
        )
        base_url = f"${{{name}}}{provider.suffix}"
        return Address(base_url, provider.price_id, Ruling(MANUAL, text))
    return _read_literal_address(given, provider)


def _read_literal_address(given: str, provider: ForeignProvider) -> Address | Ruling:
    base_url = given.rstrip("/")
    if provider.suffix and not base_url.endswith(provider.suffix):
        base_url += provider.suffix
    if len(base_url) > MAX_ADDRESS_LENGTH:
        return Ruling(MANUAL, f"An address has {MAX_ADDRESS_LENGTH} characters at most.")
    try:
        base_url = check_base_url(base_url, allow_private=True)
    except ValueError as error:
        return Ruling(MANUAL, f"The address cannot be an upstream's: {error}")
    host = urlsplit(base_url).hostname or provider.price_id
    is_own = base_url == provider.base_url
    return Address(
        translate_text(base_url),
        provider.price_id if is_own else host,
        Ruling(EXACT, "The upstream's address."),
        is_private(host.rstrip(".")),
    )


def read_key(given: Any, provider: ForeignProvider, *, is_own_address: bool) -> UpstreamKey:
    """Read a provider key; a literal one is replaced by a variable, not copied."""
    if given is None:
        # Elsewhere than at the provider its key has no business.
        name = provider.key_variable if is_own_address else ""
        reference = f"${{{name}}}" if name else ""
        return UpstreamKey(reference, Ruling(EXACT, reference or "No key is sent."))
    if name := read_variable_name(given):
        return UpstreamKey(f"${{{name}}}", Ruling(EXACT, f"The upstream's key is ${{{name}}}."))
    if isinstance(given, str) and given.strip().lower() in NO_KEYS:
        return UpstreamKey("", Ruling(EXACT, "No key is sent."))
    text = "Not copied: the file names a variable for it. Set it, or put file:<path> in its place."
    return UpstreamKey("", Ruling(MANUAL, text), is_literal=True)


def read_timeout(given: Any) -> float | None:
    """Return the seconds of a read timeout; None if they cannot be an upstream's."""
    seconds = read_number(given)
    if seconds is None or not MIN_READ_TIMEOUT_SECONDS <= seconds <= MAX_READ_TIMEOUT_SECONDS:
        return None
    return seconds
