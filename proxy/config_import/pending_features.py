"""What an importer meets and this gateway has no field for yet, in one table.

Where the gateway learns it, the row names the field: the value is then written to it, and its path
is *exact*.
"""

from dataclasses import dataclass
from typing import Any, Final

from proxy.config_import.config_draft import read_variable_name, translate_text
from proxy.config_import.report import EXACT, MANUAL
from proxy.config_import.rules import Ruling


@dataclass(frozen=True, slots=True)
class PendingFeature:
    """A feature of other gateways.

    `field`: of an upstream, or for a wildcard the text that stands for any model; "": none yet.
    `reason`: what is left to do as long as there is none.
    """

    field: str
    reason: str

    @property
    def ruling(self) -> Ruling:
        """The verdict on a path that needs it."""
        return (
            Ruling(EXACT, f"{self.field} of the upstream.")
            if self.field
            else Ruling(MANUAL, self.reason)
        )


SECRET_HEADER_WORDS: Final = ("auth", "key", "token", "secret", "cookie", "password")
PENDING_FEATURES: Final = {
    "wildcard_routes": PendingFeature(
        "",
        "A route has one model: make a route for each that the upstream lists, by manage.py "
        "check_upstream {upstream} --add-routes {prefix}.",
    ),
    "extra_headers": PendingFeature(
        "", "An upstream sends no headers of its own: add them in a proxy before the provider."
    ),
    "organization": PendingFeature(
        "",
        "An upstream sends no OpenAI-Organization header: use a key of a project of that "
        "organization.",
    ),
    "client_headers": PendingFeature(
        "", "A client's headers are not passed on to the provider: see whether it needs them."
    ),
    "api_version": PendingFeature(
        "", "The upstream uses Azure's v1 API, which takes no dated version: check the deployment."
    ),
    "ca_file": PendingFeature(
        "", "Certificates are those of the system: add your authority there."
    ),
}


def write_pending(fields: dict[str, Any], feature: str, value: Any) -> Ruling:
    """Write a value to the field of an upstream, if there is one; return the verdict.

    A mapping joins the one that is there; a value that no field can take is left to do.
    """
    found = PENDING_FEATURES[feature]
    if not found.field:
        return found.ruling
    if isinstance(value, dict):
        if not all(_is_plain_header(*each) for each in value.items()):
            return Ruling(MANUAL, "Not copied: a value is no text, or may be a secret.")
        joined = {name: translate_text(text) for name, text in value.items()}
        fields[found.field] = {**fields.get(found.field, {}), **joined}
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        fields[found.field] = [translate_text(each) for each in value]
    elif isinstance(value, str):
        fields[found.field] = translate_text(value)
    else:
        return Ruling(MANUAL, f"Must be text: set {found.field} of the upstream.")
    return found.ruling


def _is_plain_header(name: str, value: Any) -> bool:
    """Whether a header may be copied: a reference, or text under a name that tells no secret."""
    if not isinstance(value, str):
        return False
    is_secret = any(word in name.lower() for word in SECRET_HEADER_WORDS)
    return bool(read_variable_name(value)) or not is_secret
