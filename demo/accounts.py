"""Everything a gateway needs before its first request, written to its database:
`python -m demo.accounts` prints the secrets as JSON.

Runs in its own process, beside the gateway, because the demo itself knows nothing of Django.
"""

import argparse
import json
import os
import secrets

import django

ADMIN = "admin"
TENANT = "demo"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url", required=True)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()
    # the provider's key comes by the environment: the command line of a process can be read by
    # everybody on the machine
    print(
        json.dumps(
            create(
                route=arguments.route,
                model=arguments.model,
                base_url=arguments.base_url,
                api_key=os.environ.get("OPENAI_API_KEY", ""),
            )
        )
    )


def create(*, route: str, model: str, base_url: str, api_key: str) -> dict[str, str]:
    """Make a tenant with a virtual key, an admin key, a staff login and the route to the upstream;
    the secrets by name."""
    from django.contrib.auth import get_user_model

    from plans import services
    from plans.models import Tenant
    from proxy.upstreams import services as gateway

    tenant = Tenant.objects.create(slug=TENANT, name="Demo support desk")
    upstream = gateway.put_upstream(
        name="demo", base_url=base_url, provider_key=api_key, allow_private=True
    )
    gateway.put_route(name=route, upstream=upstream, model=model)
    password = secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser(ADMIN, password=password)
    return {
        "virtual_key": services.issue_virtual_key(tenant=tenant, name="demo")[1],
        "admin_key": services.issue_admin_key(name="demo")[1],
        "password": password,
    }


if __name__ == "__main__":
    main()
