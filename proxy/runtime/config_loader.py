"""Load the whole configuration as one frozen value, in at most twelve queries."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from plans import selectors as plans
from plans.pricing import Price
from plans.published_prices import PriceKey, ProviderPrices
from plans.snapshot import WILDCARD
from proxy.core import config
from proxy.core.config import ConfigSnapshot, FeedbackPenalties, FeedbackPenalty, ProviderEndpoint
from proxy.models import EvictedAnswer, Route, Upstream, WrongAnswer
from proxy.upstreams import encryption
from proxy.upstreams.endpoints import build_endpoint

log = logging.getLogger(__name__)
MAX_PENALTIES = 10_000  # 1.5 KB each


def load_config_snapshot() -> ConfigSnapshot:
    """Load keys, plans and routes from the database. Raises what the database raises."""
    # Read first: a change made meanwhile raises it again, so the next poll reloads everything.
    revision = plans.get_revision()
    routes, disabled = _load_routes()
    return ConfigSnapshot(
        revision=revision,
        keys=plans.load_live_keys(),
        plans=plans.load_plans(),
        routes=routes,
        disabled_routes=disabled,
        granted_routes=plans.load_granted_routes(),
        min_revisions=plans.load_invalidations(),
        penalties=_load_penalties(),
    )


def _load_penalties() -> FeedbackPenalties:
    """Load the feedback penalties in force, the newest MAX_PENALTIES of them."""
    now = datetime.now(UTC)
    said = WrongAnswer.objects.filter(undone_at=None, until__gt=now).order_by("-at")
    around: dict[str, tuple[FeedbackPenalty, ...]] = {}
    for row in said.filter(threshold__isnull=False)[:MAX_PENALTIES]:
        assert row.radius is not None and row.threshold is not None  # noqa: S101, PT018 -- written together
        vector = np.frombuffer(row.embedding, np.float32)
        made = FeedbackPenalty(
            embedder=row.embedder, vector=vector, radius=row.radius, threshold=row.threshold
        )
        around[row.bucket] = (*around.get(row.bucket, ()), made)
    evicted = EvictedAnswer.objects.filter(said__undone_at=None, expires_at__gt=now.timestamp())
    return FeedbackPenalties(frozenset(evicted.values_list("scope", "created_at")), around)


def _load_routes() -> tuple[dict[str, config.Route], frozenset[str]]:
    """Load enabled routes by name, and the names of those that are out of service.

    Those are disabled, or of an upstream with a forbidden address or a key that cannot be
    decrypted, with a log line.
    """
    every = list(Route.objects.select_related("upstream"))
    rows = [row for row in every if row.enabled]
    prices = plans.load_prices({(row.upstream.provider, row.model) for row in rows})
    open_prices = plans.load_provider_prices(
        {row.upstream.provider for row in rows if row.name.endswith(WILDCARD)}
    )
    targets = {
        upstream.pk: _build_endpoint(upstream) for upstream in {row.upstream for row in rows}
    }
    routes = {
        row.name: _build_route(row, target, prices, open_prices)
        for row in rows
        if (target := targets[row.upstream_id])
    }
    return routes, frozenset(row.name for row in every if row.name not in routes)


def _build_endpoint(upstream: Upstream) -> ProviderEndpoint | None:
    try:
        return build_endpoint(upstream)
    except (ValueError, encryption.DecryptionFailed) as error:
        log.error("upstream %s is out of service with all its routes: %s", upstream.name, error)
        return None


def _build_route(
    row: Route,
    target: ProviderEndpoint,
    prices: Mapping[PriceKey, Price],
    open_prices: Mapping[str, ProviderPrices],
) -> config.Route:
    is_wildcard = row.name.endswith(WILDCARD)
    return config.Route(
        id=row.pk,
        name=row.name,
        version=row.version,
        upstream=target,
        model=row.model,
        price=None if is_wildcard else prices.get((target.provider, row.model)),
        prices=open_prices.get(target.provider) if is_wildcard else None,
        default_plan_id=row.default_plan_id,
    )
