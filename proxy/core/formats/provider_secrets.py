"""Remove an upstream's secrets, or parts of them, and its address from what a provider says."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

from proxy.core.config import ProviderEndpoint
from proxy.core.upstream_headers import OPEN_NAMES

MIN_KEY_PART_LENGTH: Final = 8
MIN_KEY_LENGTH: Final = 4  # a shorter key is an ordinary word and protects nothing
REDACTED_KEY: Final = "[redacted]"
REDACTED_HOST: Final = "[upstream]"


class ProviderSecrets:
    """The API key of one upstream, secret values of its headers and parameters, its address."""

    def __init__(self, upstream: ProviderEndpoint) -> None:
        self._key_spellings = tuple(
            spelling for secret in _list_secrets(upstream) for spelling in _list_spellings(secret)
        )
        self._key_parts = {
            key[at : at + MIN_KEY_PART_LENGTH]
            for key in self._key_spellings
            for at in range(len(key) - MIN_KEY_PART_LENGTH + 1)
        }
        self._host_regex = _compile_host_pattern(upstream.base_url)

    def redact_text(self, text: str) -> str:
        """Return the text without the secrets."""
        if self._host_regex is not None:
            text = self._host_regex.sub(REDACTED_HOST, text)
        if any(part in text for part in self._key_parts):
            text = self._redact_key_parts(text)
        for key in self._key_spellings:
            if MIN_KEY_LENGTH <= len(key) < MIN_KEY_PART_LENGTH and key in text:
                text = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", REDACTED_KEY, text)
        return text

    def redact_json(self, value: Any) -> Any:
        """Return the JSON value without the secrets; the same object if it has none."""
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, list):
            items = [self.redact_json(item) for item in value]
            return value if items == value else items
        if isinstance(value, dict):
            fields = {
                self.redact_text(name): self.redact_json(item) for name, item in value.items()
            }
            return value if fields == value else fields
        return value

    def occur_in(self, value: Any) -> bool:
        """Return whether the JSON value holds any of the secrets."""
        return self.redact_json(value) is not value

    def _redact_key_parts(self, text: str) -> str:
        """Replace each run of characters that parts of the key cover."""
        spans: list[tuple[int, int]] = []
        for at in range(len(text) - MIN_KEY_PART_LENGTH + 1):
            end = at + MIN_KEY_PART_LENGTH
            if text[at:end] in self._key_parts:
                begin = spans.pop()[0] if spans and at <= spans[-1][1] else at
                spans.append((begin, end))
        kept, shown_to = [], 0
        for begin, end in spans:
            kept += [text[shown_to:begin], REDACTED_KEY]
            shown_to = end
        return "".join([*kept, text[shown_to:]])


@lru_cache(maxsize=256)
def get_provider_secrets(upstream: ProviderEndpoint) -> ProviderSecrets:
    """Return the secrets of an upstream, cached."""
    return ProviderSecrets(upstream)


def _list_secrets(upstream: ProviderEndpoint) -> list[str]:
    extras = (*upstream.headers, *upstream.query)
    return [upstream.api_key, *(value for name, value in extras if name not in OPEN_NAMES)]


def _list_spellings(key: str) -> tuple[str, ...]:
    """Return the key as it is, percent-encoded, and in base64."""
    if not key:
        return ()
    return tuple(
        dict.fromkeys((key, quote(key, safe=""), b64encode(key.encode()).decode().rstrip("=")))
    )


def _compile_host_pattern(base_url: str) -> "re.Pattern[str] | None":
    """Compile a case-insensitive pattern for the host, with its port, as a separate word."""
    try:
        host = urlsplit(base_url).hostname
    except ValueError:
        host = None
    if not host:
        return None
    return re.compile(
        rf"(?<![\w.-])\[?{re.escape(host)}\]?(?![\w-]|\.\w)(?::\d{{1,5}})?", re.IGNORECASE
    )
