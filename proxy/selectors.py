"""The whole configuration as one frozen value, in eleven queries at most."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.db.models import QuerySet

from plans import selectors as plans
from plans.models import Tenant
from plans.price_list import PriceKey
from plans.pricing import Price
from plans.snapshot import ALL_ROUTES
from proxy import vault
from proxy.core import directory
from proxy.core.addresses import check_base_url
from proxy.core.directory import Directory, UpstreamTarget
from proxy.core.doubts import Doubt, Doubts
from proxy.models import EvictedAnswer, Route, Upstream, WrongAnswer

log = logging.getLogger(__name__)
DOUBTS_KEPT = 10_000  # 1.5 KB each


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """A model by the name it has at its provider, "" where none is known; the route that leads there, and its price where it has one."""

    name: str = ""
    provider: str = ""
    route: str | None = None
    price: Price | None = None


def routes_of(tenant: Tenant | None) -> QuerySet[Route]:
    """The enabled routes that this tenant may use, by name; None: the platform, all of them."""
    routes = Route.objects.filter(enabled=True).order_by("name")
    granted = None if tenant is None else plans.granted_routes().get(tenant.pk, frozenset())
    return routes if granted is None or ALL_ROUTES in granted else routes.filter(name__in=granted)


def find_model(name: str | None, tenant: Tenant | None) -> PricedModel:
    """The model behind the route of that name, or behind the first route, of those that the tenant may use; a name that is no such route's
    is taken for a model of OpenAI's."""
    routes = routes_of(tenant).select_related("upstream")
    row = routes.first() if name is None else routes.filter(name=name).first()
    if row is not None:
        provider = row.upstream.provider
        return PricedModel(name=row.model, provider=provider, route=row.name, price=plans.price_for(provider, row.model))
    return PricedModel(name=name, provider="openai", price=plans.price_for("openai", name)) if name else PricedModel()


def load_directory() -> Directory:
    """Keys, plans and routes as the database has them now. Raises what the database raises.

    The revision is read first: a change that comes in while the rest is read raises it again, and the next look reads it all anew.
    """
    revision = plans.revision()
    return Directory(
        revision=revision,
        keys=plans.live_keys(),
        plans=plans.plans(),
        routes=_routes(),
        granted=plans.granted_routes(),
        forgotten=plans.invalidations(),
        doubts=_doubts(),
    )


def _doubts() -> Doubts:
    """What was said to be wrong and is in force: the newest of it, where there is more than a worker should hold."""
    now = datetime.now(UTC)
    said = WrongAnswer.objects.filter(undone_at=None, until__gt=now).order_by("-at")
    around: dict[str, tuple[Doubt, ...]] = {}
    for row in said.filter(threshold__isnull=False)[:DOUBTS_KEPT]:
        assert row.radius is not None and row.threshold is not None  # noqa: S101, PT018 -- written together
        vector = np.frombuffer(row.embedding, np.float32)
        made = Doubt(embedder=row.embedder, vector=vector, radius=row.radius, threshold=row.threshold)
        around[row.bucket] = (*around.get(row.bucket, ()), made)
    evicted = EvictedAnswer.objects.filter(said__undone_at=None, expires_at__gt=now.timestamp())
    return Doubts(frozenset(evicted.values_list("scope", "created_at")), around)


def _routes() -> dict[str, directory.Route]:
    """Enabled routes by name. Those of an upstream with a forbidden address or a key that does not open are left out, with a log line."""
    rows = list(Route.objects.filter(enabled=True).select_related("upstream"))
    prices = plans.prices_for({(row.upstream.provider, row.model) for row in rows})
    targets = {upstream.pk: _target(upstream) for upstream in {row.upstream for row in rows}}
    return {row.name: _route(row, target, prices) for row in rows if (target := targets[row.upstream_id])}


def _target(upstream: Upstream) -> UpstreamTarget | None:
    try:
        base_url = check_base_url(upstream.base_url, allow_private=upstream.allow_private)
        api_key = vault.open_sealed(upstream.encrypted_key)
    except (ValueError, vault.SealBroken) as error:
        log.error("upstream %s is out of service with all its routes: %s", upstream.name, error)
        return None
    return UpstreamTarget(
        id=upstream.pk,
        name=upstream.name,
        base_url=base_url,
        provider=upstream.provider,
        api_key=api_key,
        connect_timeout=upstream.connect_timeout,
        read_timeout=upstream.read_timeout,
        allow_private=upstream.allow_private,
        stream_usage=upstream.stream_usage,
    )


def _route(row: Route, target: UpstreamTarget, prices: dict[PriceKey, Price]) -> directory.Route:
    price = prices.get((target.provider, row.model))
    return directory.Route(id=row.pk, name=row.name, version=row.version, upstream=target, model=row.model, price=price)
