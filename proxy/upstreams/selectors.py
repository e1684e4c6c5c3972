"""Models with their prices, as forms and the API offer them."""

from dataclasses import dataclass

from django.db.models import QuerySet

from plans import selectors as plans
from plans.models import Tenant
from plans.pricing import Price
from plans.snapshot import ALL_ROUTES
from proxy.models import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """A model by the name it has at its provider, "" where none is known;
    the route that leads there, and its price where it has one."""

    name: str = ""
    provider: str = ""
    route: str | None = None
    price: Price | None = None


def select_routes(tenant: Tenant | None) -> QuerySet[Route]:
    """The enabled routes that this tenant may use, by name; None: the platform, all of them."""
    routes = Route.objects.filter(enabled=True).order_by("name")
    granted = None if tenant is None else plans.load_granted_routes().get(tenant.pk, frozenset())
    return routes if granted is None or ALL_ROUTES in granted else routes.filter(name__in=granted)


def find_model(name: str | None, tenant: Tenant | None) -> PricedModel:
    """The model behind the route of that name, or behind the first route,
    of those that the tenant may use; a name that is no such route's is taken for a model of
    OpenAI's."""
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
