"""What other gateways set for a provider beside address and key, and the field that takes it."""

from typing import Any, Final

from proxy.config_import.config_draft import read_variable_name, translate_text
from proxy.config_import.report import EXACT, MANUAL
from proxy.config_import.rules import Ruling
from proxy.core.upstream_headers import check_extra_headers, check_forwarded_names

SECRET_HEADER_WORDS: Final = ("auth", "key", "token", "secret", "cookie", "password")
NO_API_VERSION: Final = Ruling(
    MANUAL,
    "The upstream uses Azure's v1 API, which takes no dated version: check the deployment.",
)
NO_CA_FILE: Final = Ruling(
    MANUAL, "Set ca_file of the upstream to the path of the authorities on this machine."
)
NO_UPSTREAM: Final = Ruling(MANUAL, "No upstream is made of this: set it by hand.")


def write_feature(fields: dict[str, Any], feature: str, value: Any) -> Ruling:
    """Write a value to the field of an upstream that takes it; return the verdict.

    A value that no field can take is left to do.
    """
    if feature == "api_version":
        return NO_API_VERSION
    if feature == "ca_file":  # a path of the other gateway's machine
        return NO_CA_FILE
    if feature == "client_headers":
        return _write_forwarded_names(fields, value)
    return _write_headers(fields, value)


def _write_headers(fields: dict[str, Any], value: Any) -> Ruling:
    """Join the headers to those that are there."""
    if not isinstance(value, dict) or not all(_is_plain_header(*each) for each in value.items()):
        return Ruling(MANUAL, "Not copied: a value is no text, or may be a secret.")
    joined = fields.get("headers", {}) | {
        name: translate_text(text) for name, text in value.items()
    }
    try:
        check_extra_headers(joined)
    except ValueError as error:
        return Ruling(MANUAL, f"Not copied: {error}")
    fields["headers"] = joined
    return Ruling(EXACT, "headers of the upstream.")


def _write_forwarded_names(fields: dict[str, Any], value: Any) -> Ruling:
    try:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError("It is no list of names.")
        check_forwarded_names(value)
    except ValueError as error:
        return Ruling(MANUAL, f"Not copied: {error}")
    fields["forward_headers"] = [translate_text(each) for each in value]
    return Ruling(EXACT, "forward_headers of the upstream.")


def _is_plain_header(name: str, value: Any) -> bool:
    """Whether a header may be copied: a reference, or text under a name that tells no secret."""
    if not isinstance(value, str):
        return False
    is_secret = any(word in name.lower() for word in SECRET_HEADER_WORDS)
    return bool(read_variable_name(value)) or not is_secret
