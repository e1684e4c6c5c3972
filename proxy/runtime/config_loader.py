"""Load the whole configuration as one frozen value, in at most eleven queries."""

import logging
from datetime import UTC, datetime

import numpy as np

from plans import selectors as plans
from plans.pricing import Price
from plans.published_prices import PriceKey
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
    return ConfigSnapshot(
        revision=revision,
        keys=plans.load_live_keys(),
        plans=plans.load_plans(),
        routes=_load_routes(),
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


def _load_routes() -> dict[str, config.Route]:
    """Load enabled routes by name.

    Skips those of an upstream with a forbidden address or a key that cannot be decrypted, with a
    log line.
    """
    rows = list(Route.objects.filter(enabled=True).select_related("upstream"))
    prices = plans.load_prices({(row.upstream.provider, row.model) for row in rows})
    targets = {
        upstream.pk: _build_endpoint(upstream) for upstream in {row.upstream for row in rows}
    }
    return {
        row.name: _build_route(row, target, prices)
        for row in rows
        if (target := targets[row.upstream_id])
    }


def _build_endpoint(upstream: Upstream) -> ProviderEndpoint | None:
    try:
        return build_endpoint(upstream)
    except (ValueError, encryption.DecryptionFailed) as error:
        log.error("upstream %s is out of service with all its routes: %s", upstream.name, error)
        return None


def _build_route(
    row: Route, target: ProviderEndpoint, prices: dict[PriceKey, Price]
) -> config.Route:
    price = prices.get((target.provider, row.model))
    return config.Route(
        id=row.pk,
        name=row.name,
        version=row.version,
        upstream=target,
        model=row.model,
        price=price,
        default_plan_id=row.default_plan_id,
    )
