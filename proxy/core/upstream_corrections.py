"""Correct what people get wrong when they paste a provider's address and key, or name it.

Pure text, no network access. What was corrected is told, and what is wrong is refused, in a
sentence for the person who typed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from proxy.core.providers import Provider, find_host_owner, get_provider
from proxy.core.upstream_urls import check_base_url, is_private

CHAT_PATH: Final = "/chat/completions"
# Pasted after /v1; elsewhere they may belong to the address, as /models on Azure.
PASTED_ENDINGS: Final = ("/completions", "/responses", "/embeddings", "/messages", "/models")
DEPLOYMENTS_PATH: Final = "/openai/deployments/"
API_VERSION: Final = "api-version"
MAX_QUERY_FIELDS: Final = 20
VARIABLE_ENDINGS: Final = ("_KEY", "_TOKEN", "_SECRET")
QUOTES: Final = "\"'`<>"
INSECURE_MESSAGE: Final = (
    "Must start with https://: on the way of http:// everybody can read the key and the "
    "questions. A server of your own may use it: tick “allow private”."
)


@dataclass(frozen=True, slots=True)
class CorrectedAddress:
    """A base URL as it is stored.

    `query`: parameters of every request, those of the address included; `notes`: what was
    corrected and what looks odd, a sentence each.
    """

    base_url: str
    query: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def correct_base_url(
    typed: str, *, provider_id: str, allow_private: bool, query: Mapping[str, str] | None = None
) -> CorrectedAddress:
    """Correct an address as typed; an empty one becomes the provider's own.

    `query`: parameters that every request has besides. Raises ValueError.
    """
    provider = get_provider(provider_id)
    text = typed.strip().strip(QUOTES)
    if not text:
        return _take_own_address(provider, allow_private=allow_private, query=query or {})
    notes: list[str] = []
    parts = _split_address(text, notes)
    query = {**(query or {}), **_take_query(parts, notes)}
    owner = find_host_owner(parts.hostname or "")
    scheme = _correct_scheme(parts, provider, owner, notes, allow_private=allow_private)
    path = _complete_path(_cut_path(parts.path, notes), provider, owner, notes)
    base_url = check_base_url(
        f"{scheme}://{parts.netloc}{path}{'#' if '#' in text else ''}", allow_private=allow_private
    )
    _check_deployment(parts, path, owner, query, notes)
    if owner is not None and owner is not provider:
        notes.append(
            f"This is an address of {owner.title}, and the prices are those of "
            f"{provider.title or provider_id}: choose {owner.title} as the provider."
        )
    return CorrectedAddress(base_url, query, tuple(notes))


def correct_provider_key(typed: str) -> str:
    """Return the key itself, without what is often pasted with it; "" if there is none.

    Raises ValueError unless it is printable ASCII without blanks.
    """
    key = typed.strip()
    for name in ("authorization:", "api-key:", "x-api-key:", "bearer "):
        if key.lower().startswith(name):
            key = key[len(name) :].strip()
    variable, equals, value = key.partition("=")
    if equals and variable.isidentifier() and variable.endswith(VARIABLE_ENDINGS):
        key = value  # a line of an .env file
    key = key.strip(QUOTES).strip()
    if any(character.isspace() for character in key):
        raise ValueError("The provider key holds a blank or a line break: paste it in one piece.")
    if not (key.isascii() and (not key or key.isprintable())):
        raise ValueError("The provider key must be printable ASCII: it is sent in a header.")
    return key


def build_models_url(base_url: str) -> str:
    """Return the address of the list of models; Azure has one for all deployments."""
    base, found, _ = base_url.rstrip("/").partition(DEPLOYMENTS_PATH)
    return f"{base}/openai/models" if found else f"{base}/models"


def _take_own_address(
    provider: Provider, *, allow_private: bool, query: Mapping[str, str]
) -> CorrectedAddress:
    if provider.address_example:
        raise ValueError(
            f"{provider.title} has an address for each customer, such as "
            f"{provider.address_example}."
        )
    if not provider.base_url:
        raise ValueError("Is needed, such as https://api.openai.com/v1.")
    return CorrectedAddress(check_base_url(provider.base_url, allow_private=allow_private), query)


def _split_address(text: str, notes: list[str]) -> SplitResult:
    """Split an address, with the scheme that it lacks. Raises ValueError."""
    if "://" not in text:
        host = text.partition("/")[0]
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        scheme = "http" if name and not name.startswith("[") and is_private(name) else "https"
        text = f"{scheme}://{text}"
        notes.append(f"Added {scheme}:// at the beginning.")
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.hostname
    except ValueError:
        raise ValueError("Must be a valid URL with a port from 0 to 65535.") from None
    return parts


def _take_query(parts: SplitResult, notes: list[str]) -> dict[str, str]:
    """Return the `api-version` of an address. Raises ValueError for anything else."""
    if not parts.query:
        return {}
    try:
        found = dict(parse_qsl(parts.query, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        found = {}
    if found.keys() != {API_VERSION}:
        raise ValueError(
            "Must not have a query (?) other than api-version: the key has its own field, and so "
            "have parameters of every request."
        )
    notes.append(f"Moved ?{API_VERSION}= to the query parameters of every request.")
    return found


def _correct_scheme(
    parts: SplitResult,
    provider: Provider,
    owner: Provider | None,
    notes: list[str],
    *,
    allow_private: bool,
) -> str:
    if parts.scheme != "http":
        return parts.scheme
    if owner is not None:
        notes.append("Changed http:// to https://.")
        return "https"
    is_public = bool(provider.hosts) and not allow_private
    if is_public and not is_private((parts.hostname or "").rstrip(".")):
        raise ValueError(INSECURE_MESSAGE)
    return "http"


def _cut_path(typed: str, notes: list[str]) -> str:
    """Take the endpoint off a pasted path."""
    path = typed.rstrip("/")
    for ending in (CHAT_PATH, *PASTED_ENDINGS):
        rest = path.removesuffix(ending)
        if rest != path and (ending == CHAT_PATH or rest.endswith("/v1")):
            path = rest.rstrip("/")
            notes.append(f"Took {ending} off the end: it is not part of a base URL.")
            break
    if path.endswith("/v1/v1"):
        path = path.removesuffix("/v1")
        notes.append("Took off one /v1 of two.")
    return path


def _complete_path(path: str, provider: Provider, owner: Provider | None, notes: list[str]) -> str:
    """Complete a path that is a part of the one where the provider has its API."""
    known = owner or provider
    own = urlsplit(known.base_url or known.address_example).path
    # Of a host that no row knows only what people run themselves is sure to have the usual path.
    is_part = (
        not path or f"{own}/".startswith(f"{path}/") or own.endswith(path)
        if owner is not None
        else provider.is_self_hosted and not path
    )
    if not is_part or path == own:
        return path
    notes.append(f"Completed the path to {own}.")
    return own


def _check_deployment(
    parts: SplitResult,
    path: str,
    owner: Provider | None,
    query: Mapping[str, str],
    notes: list[str],
) -> None:
    """Tell what an address of one deployment means. Raises ValueError without an api-version."""
    if owner is None or not owner.address_example:
        return
    if parts.hostname == urlsplit(owner.address_example).hostname:
        raise ValueError("Must have the name of your resource in place of my-resource.")
    if DEPLOYMENTS_PATH not in f"{path}/":
        return
    general = f"https://{parts.netloc}{urlsplit(owner.address_example).path}"
    if API_VERSION not in query:
        raise ValueError(
            f"The address of a deployment needs ?{API_VERSION}= at its end. Better take {general}, "
            "and the deployment for the model of a route."
        )
    notes.append(
        f"This is the address of one deployment. {general} serves all of them: the deployment is "
        "the model of a route."
    )
