"""Read a request's cache controls: the body's `cache` object and the `Cache-Control` header.

RFC 9111 section 5.2.1.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from proxy.core.errors import BadRequest

ACCEPTED_CONTROLS = (
    "no-store",
    "no-cache",
    "only-if-cached",
    "ttl",
    "s-maxage",
    "namespace",
    "similarity_threshold",
    "tags",
)
MAX_TAGS, MAX_TAG_LENGTH = 8, 64
_FLAG_FIELDS = {"no-store": "no_store", "no-cache": "no_cache", "only-if-cached": "only_if_cached"}
_SECONDS_FIELDS = {"ttl": "ttl", "s-maxage": "max_age"}
MAX_AGE_DIGITS = 10
_WHOLE_SECONDS = re.compile(r"[0-9]+")
_HEADER_DIRECTIVES = {"max-age": "max_age", "s-maxage": "max_age"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheControls:
    """The cache controls of one request."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    # Seconds.
    ttl: int | None = None
    max_age: int | None = None
    namespace: str | None = None
    # Can only raise the plan's threshold.
    similarity_threshold: float | None = None
    # What the answer depends on; entries can be invalidated by tag.
    tags: tuple[str, ...] = ()


def parse_cache_object(value: Any) -> CacheControls:
    """Parse the body's `cache` object; None gives the defaults.

    Raises BadRequest naming the field.
    """
    if value is None:
        return CacheControls()
    if not isinstance(value, dict):
        raise BadRequest('cache must be an object such as {"no-store": true}.', param="cache")
    found: dict[str, Any] = {}
    for name, given in value.items():
        field, accepted = _validate_field(name, given)
        if not accepted:
            raise BadRequest(f"cache.{name}: {_EXPECTATIONS[field]}", param=f"cache.{name}")
        found[field] = tuple(dict.fromkeys(given)) if field == "tags" else given
    return CacheControls(**found)


_EXPECTATIONS = {
    "no_store": "must be true or false.",
    "no_cache": "must be true or false.",
    "only_if_cached": "must be true or false.",
    "ttl": "must be a whole number of seconds, 1 to 31536000.",
    "max_age": "must be a whole number of seconds, 0 to 31536000.",
    "namespace": "must be a text of 1 to 128 characters without NUL.",
    "similarity_threshold": "must be a number from 0 to 1; it can only raise the plan's own.",
    "tags": (
        f"must be a list of 1 to {MAX_TAGS} printable texts of 1 to {MAX_TAG_LENGTH} characters."
    ),
}


def _validate_field(name: str, given: Any) -> tuple[str, bool]:
    """Return the attribute of a field name, and whether the value is valid for it."""
    if name in _FLAG_FIELDS:
        return _FLAG_FIELDS[name], isinstance(given, bool)
    if name in _SECONDS_FIELDS:
        low = 1 if name == "ttl" else 0
        return _SECONDS_FIELDS[name], type(given) is int and low <= given <= 31_536_000
    if name == "namespace":
        # PostgreSQL cannot store NUL.
        return "namespace", isinstance(given, str) and 1 <= len(given) <= 128 and "\0" not in given
    if name == "similarity_threshold":
        return "similarity_threshold", type(given) in (int, float) and 0 <= given <= 1
    if name == "tags":
        return "tags", isinstance(given, list) and 1 <= len(given) <= MAX_TAGS and all(
            map(is_valid_tag, given)
        )
    raise BadRequest(
        f"cache.{name} is not known. Accepted: {', '.join(ACCEPTED_CONTROLS)}.",
        param=f"cache.{name}",
    )


def is_valid_tag(given: Any) -> bool:
    """Return whether a value can be a tag: a text of 1 to 64 printable characters."""
    # `isprintable` excludes NUL and lone surrogates.
    return isinstance(given, str) and 1 <= len(given) <= MAX_TAG_LENGTH and given.isprintable()


def merge_cache_control(controls: CacheControls, header: str) -> CacheControls:
    """Merge the directives of a `Cache-Control` request header into `controls`.

    Unknown or malformed directives are ignored, as the RFC asks.
    """
    for directive in header.split(","):
        name, _, value = directive.strip().lower().partition("=")
        if name in _FLAG_FIELDS:
            switched: dict[str, Any] = {_FLAG_FIELDS[name]: True}
            controls = replace(controls, **switched)
        elif name in _HEADER_DIRECTIVES and _WHOLE_SECONDS.fullmatch(value.strip('"')):
            # RFC 9111 section 1.2.2: a number too large to represent is treated as the largest one.
            age = int(value.strip('"').lstrip("0")[:MAX_AGE_DIGITS] or "0")
            controls = replace(
                controls, max_age=age if controls.max_age is None else min(age, controls.max_age)
            )
    return controls
