"""What the admin says of default plans: which one applies to requests that name none."""

from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from plans import capabilities
from plans.models import VirtualKey
from plans.snapshot import find_serving_route

MAX_LINKED_ROUTES: Final = 5  # on a key's page


def describe_default_plan(key: VirtualKey) -> str:
    """Say which plan applies to the key's requests that name none, and why."""
    if key.successor is not None:
        return f"As {key.successor}, which replaced this key, says."
    if key.default_plan is not None:
        return f"{key.default_plan}, the default of this key."
    if key.tenant.default_plan is not None:
        return f"{key.tenant.default_plan}, the default of {key.tenant}."
    plans = capabilities.get_capabilities().list_route_plans()
    found = [f"{plans[route]} ({route})" for route in list_key_routes(key) if route in plans]
    if not found:
        return "No plan: such requests save nothing."
    shown, more = found[:MAX_LINKED_ROUTES], len(found) - MAX_LINKED_ROUTES
    return f"The route's default: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}."


def list_key_routes(key: VirtualKey) -> list[str]:
    """Return the names of the routes, and of models of wildcards, that the key may use."""
    routes = capabilities.get_tenant_capabilities(key.tenant).list_routes()
    if not key.routes:
        return routes
    return [name for name in key.routes if name in routes or find_serving_route(routes, name)]


def build_resolve_url(key_id: int, route: str) -> str:
    """Return the address that says which plan applies to the key's requests for the route."""
    return f"{reverse('plan-resolve')}?{urlencode({'key': key_id, 'model': route})}"
