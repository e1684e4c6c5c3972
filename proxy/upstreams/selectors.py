"""Models with their prices, for forms and the API."""

from dataclasses import dataclass

from django.db.models import QuerySet

from plans import selectors as plans
from plans.models import Tenant
from plans.pricing import Price
from plans.snapshot import ALL_ROUTES
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
    """Return the enabled routes a tenant may use, by name; None: all, for the platform."""
    routes = Route.objects.filter(enabled=True).order_by("name")
    granted = None if tenant is None else plans.load_granted_routes().get(tenant.pk, frozenset())
    return routes if granted is None or ALL_ROUTES in granted else routes.filter(name__in=granted)


def find_model(name: str | None, tenant: Tenant | None) -> PricedModel:
    """Return the model of the named route, or of the first route without a name.

    Only of routes the tenant may use; any other name is taken as a model of OpenAI.
    """
    routes = select_routes(tenant).select_related("upstream")
    row = routes.first() if name is None else routes.filter(name=name).first()
    if row is not None:
        provider = row.upstream.provider
        return PricedModel(
            name=row.model,
            provider=provider,
            route=row.name,
            price=plans.load_price(provider, row.model),
        )
    return (
        PricedModel(name=name, provider="openai", price=plans.load_price("openai", name))
        if name
        else PricedModel()
    )
