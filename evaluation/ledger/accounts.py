"""Tenants with keys, models with prices, and plans, in the gateway's database:
`python -m evaluation.ledger.accounts` prints the keys."""

import argparse
import json
import os
import secrets
from typing import Any

import django

from evaluation.ledger.provider import PRICES

LOGIN = "ledger"
TENANTS = ("acme", "rival", "third")
EXACT, BOTH, CUT = "ledger-exact", "ledger-both", "ledger-cut"
PLANS: dict[str, dict[str, Any]] = {
    EXACT: {"cache": {"backend": None}},
    BOTH: {"cache": {}, "compression": {"engine": "trim", "max_input_tokens": 64}},
    CUT: {"compression": {"engine": "trim", "max_input_tokens": 64}},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--provider", required=True, help="its address, without path")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()
    print(json.dumps(create(arguments.provider)))


def create(provider: str) -> dict[str, list[str]]:
    """Make them all; the virtual keys of the tenants, an admin key,
    and the password of the person `LOGIN`."""
    from django.contrib.auth.models import User

    from plans import services
    from plans.models import ModelPrice, Tenant
    from proxy.upstreams import services as gateway

    upstream = gateway.put_upstream(
        name="books", provider="books", base_url=f"{provider}/v1", allow_private=True
    )
    for model, (full, read, out) in PRICES.items():
        ModelPrice.objects.create(
            provider="books", model=model, input=full, cached_input=read, output=out
        )
        gateway.put_route(name=f"books/{model}", upstream=upstream, model=model)
    tenants = [Tenant.objects.create(slug=slug) for slug in TENANTS]
    keys = [services.issue_virtual_key(tenant=tenant, name="ledger")[1] for tenant in tenants]
    password = secrets.token_urlsafe(16)
    User.objects.create_superuser(LOGIN, password=password)
    return {
        "virtual": keys,
        "admin": [services.issue_admin_key(name="ledger")[1]],
        "password": [password],
    }


if __name__ == "__main__":
    main()
