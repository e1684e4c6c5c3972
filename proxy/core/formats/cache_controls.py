"""What a single request says about caching: the body's `cache` object,
and `Cache-Control` (RFC 9111 section 5.2.1) meaning the same."""

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
    """Opt-outs of one request.

    `ttl` and `max_age` in seconds; `similarity_threshold` may only raise the plan's; `tags`: what
    the answer depends on, to be forgotten by.
    """

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    ttl: int | None = None
    max_age: int | None = None
    namespace: str | None = None
    similarity_threshold: float | None = None
    tags: tuple[str, ...] = ()


def parse_cache_object(value: Any) -> CacheControls:
    """Read the body's `cache` object; None means no wishes. Raises BadRequest naming the field."""
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
    """The attribute a name stands for, and whether the value is acceptable."""
    if name in _FLAG_FIELDS:
        return _FLAG_FIELDS[name], isinstance(given, bool)
    if name in _SECONDS_FIELDS:
        low = 1 if name == "ttl" else 0
        return _SECONDS_FIELDS[name], type(given) is int and low <= given <= 31_536_000
    if name == "namespace":
        # PostgreSQL keeps none.
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
    """Whether this can be a tag: a text of 1 to 64 printable characters,
    which leaves out NUL and lone surrogates."""
    return isinstance(given, str) and 1 <= len(given) <= MAX_TAG_LENGTH and given.isprintable()


def merge_cache_control(controls: CacheControls, header: str) -> CacheControls:
    """Add what a `Cache-Control` request header says.

    Unknown or malformed directives are ignored, as the RFC asks.
    """
    for directive in header.split(","):
        name, _, value = directive.strip().lower().partition("=")
        if name in _FLAG_FIELDS:
            switched: dict[str, Any] = {_FLAG_FIELDS[name]: True}
            controls = replace(controls, **switched)
        elif name in _HEADER_DIRECTIVES and _WHOLE_SECONDS.fullmatch(value.strip('"')):
            # RFC 9111 section 1.2.2: what is larger than we can hold is as good as for ever.
            age = int(value.strip('"').lstrip("0")[:MAX_AGE_DIGITS] or "0")
            controls = replace(
                controls, max_age=age if controls.max_age is None else min(age, controls.max_age)
            )
    return controls
