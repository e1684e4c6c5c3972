"""The providers that a form offers: well-known ones, servers of one's own, other price lists."""

import json
from typing import Any, Final

from plans import selectors
from proxy.core.providers import PROVIDERS, get_provider

OTHER_PROVIDER: Final = "other"

Choices = list[tuple[str, list[tuple[str, str]]]]


def list_provider_choices(*, present: str = "") -> Choices:
    """Return groups of (id, title). `present`: an id that is offered whatever it is."""
    known = [each for each in PROVIDERS if each.title]
    titled = {each.id for each in known}
    others = {*selectors.list_price_providers(), present} - titled - {"", OTHER_PROVIDER}
    return [
        ("Providers", [(each.id, each.title) for each in known if not each.is_self_hosted]),
        ("Servers of your own", [(each.id, each.title) for each in known if each.is_self_hosted]),
        (
            "Others",
            [
                (OTHER_PROVIDER, "Other, without prices"),
                *((name, f"Other, at the prices of {name}") for name in sorted(others)),
            ],
        ),
    ]


def describe_addresses() -> str:
    """Return what a form's script fills in by the provider's id, as JSON."""
    facts: dict[str, Any] = {
        each.id: {
            "base_url": each.base_url,
            "example": each.base_url or each.address_example,
            "own": each.is_self_hosted,
        }
        for each in PROVIDERS
        if each.title
    }
    return json.dumps(facts)


def describe_key_headers() -> str:
    """Say which providers read the key from another header than most."""
    odd = [
        f"{each.title} reads {each.key_header}"
        for each in PROVIDERS
        if each.key_header != get_provider("").key_header
    ]
    return f"{', '.join(odd)}, all others Authorization: Bearer."
