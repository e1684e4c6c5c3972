"""Models with their prices, for forms and the API."""

from dataclasses import dataclass

from django.db.models import QuerySet

from plans import selectors as plans
from plans.models import Tenant
from plans.pricing import Price
from plans.snapshot import ALL_ROUTES, WILDCARD, find_serving_route, is_route_granted
from proxy.models import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """A model, the route to it and its price, where known."""

    # At its provider.
    name: str = ""
    provider: str = ""
    route: str | None = None
    price: Price | None = None


def select_routes(tenant: Tenant | None) -> QuerySet[Route]:
    """Return the enabled routes a tenant may use, by name; None: all, for the platform.

    Without wildcards: they are names of no model.
    """
    routes = Route.objects.filter(enabled=True).order_by("name").exclude(name__endswith=WILDCARD)
    granted = None if tenant is None else plans.load_granted_routes().get(tenant.pk, frozenset())
    return routes if granted is None or ALL_ROUTES in granted else routes.filter(name__in=granted)


def find_served_model(tenant: Tenant | None, model: str) -> tuple[Route, str] | None:
    """Return the enabled route that serves a model's name, and the model it leads to.

    None if none does, or the tenant may not use it; the platform may use all.
    """
    name = find_serving_route(set(Route.objects.values_list("name", flat=True)), model)
    row = Route.objects.filter(name=name, enabled=True).select_related("upstream").first()
    if row is None:
        return None
    granted = None if tenant is None else plans.load_granted_routes().get(tenant.pk, frozenset())
    if granted is not None and not is_route_granted(granted, model, served_by=row.name):
        return None
    rest = model.removeprefix(row.name.removesuffix(WILDCARD))
    return row, row.model.replace(WILDCARD, rest) if row.name != model else row.model


def find_model(name: str | None, tenant: Tenant | None) -> PricedModel:
    """Return the model of the named route, or of the first route without a name.

    Only of routes the tenant may use; any other name is taken as a model of OpenAI.
    """
    if name is None:
        first = select_routes(tenant).select_related("upstream").first()
        found = (first, first.model) if first is not None else None
    else:
        found = find_served_model(tenant, name)
    if found is not None:
        row, model = found
        provider = row.upstream.provider
        return PricedModel(
            name=model,
            provider=provider,
            route=row.name,
            price=plans.load_price(provider, model),
        )
    return (
        PricedModel(name=name, provider="openai", price=plans.load_price("openai", name))
        if name
        else PricedModel()
    )
