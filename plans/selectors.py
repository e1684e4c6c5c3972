"""What is read from the plans tables: the parts of the configuration snapshot, one plan, prices."""

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from django.db.models import Q

from plans import published_prices, validation
from plans.api_errors import PlanNotFound, TenantNotFound
from plans.models import Invalidation, ModelPrice, Plan, Revision, Tenant, VirtualKey
from plans.pricing import Price
from plans.published_prices import PriceKey
from plans.snapshot import KeySnapshot, PlanSnapshot


def find_visible_plan(owner: Tenant | None, name: str) -> Plan:
    """The owner's own plan of that name, else the platform's. Raises PlanUnknown."""
    try:
        return find_plan(owner, name)
    except PlanNotFound:
        if owner is None:
            raise
        return find_plan(None, name)


log = logging.getLogger(__name__)


def get_revision() -> int:
    """The number of the configuration as it stands; any other number than the one you hold means:
    read again."""
    return Revision.objects.filter(pk=1).values_list("value", flat=True).first() or 0


def load_live_keys() -> dict[str, KeySnapshot]:
    """Every virtual key that is neither revoked nor expired, by digest. One query."""
    live = Q(expires_at=None) | Q(expires_at__gt=datetime.now(UTC))
    return {
        key.digest: KeySnapshot(
            id=key.pk,
            name=key.name,
            digest=key.digest,
            tenant_id=key.tenant_id,
            tenant=key.tenant.slug,
            routes=frozenset(key.routes),
            expires_at=key.expires_at.timestamp() if key.expires_at else None,
        )
        for key in VirtualKey.objects.filter(live, revoked_at=None).select_related("tenant")
    }


def load_granted_routes() -> dict[int, frozenset[str]]:
    """The routes of each tenant, by its id.

    A column that holds anything but a list of names opens nothing. One query.
    """
    rows = Tenant.objects.values_list("pk", "routes")
    return {
        pk: frozenset(name for name in routes if isinstance(name, str))
        if isinstance(routes, list)
        else frozenset()
        for pk, routes in rows
    }


def load_plans() -> dict[tuple[int | None, str], PlanSnapshot]:
    """Every plan by (owner's id or None for the platform, name). One query."""
    return {(plan.tenant_id, plan.name): plan.build_snapshot() for plan in Plan.objects.all()}


def load_invalidations() -> dict[tuple[int, int | None, str], int]:
    """The revision from which on answers count, by (plan, tenant or None for all, tag
    or "" for all answers). One query."""
    rows = Invalidation.objects.values_list("plan_id", "tenant_id", "tag", "generation")
    return {(plan, tenant, tag): generation for plan, tenant, tag, generation in rows}


def load_price(provider: str, model: str) -> Price | None:
    """The price of a provider's model; None means unpriced, which is not zero."""
    return load_prices([(provider, model)]).get((provider, model))


def load_prices(wanted: Collection[PriceKey]) -> dict[PriceKey, Price]:
    """Prices by (provider, model) as asked for: the row of that name,
    else the row of the listed model it is an alias of.

    Two queries at most, whatever the number asked for. What has no price is left out.
    """
    rows = _load_price_rows(wanted)
    alternatives = {
        key: list(published_prices.iter_aliases(*key)) for key in wanted if key not in rows
    }
    rows |= _load_price_rows({alias for found in alternatives.values() for alias in found})
    prices = {}
    for key in wanted:
        if found := next(
            (rows[name] for name in (key, *alternatives.get(key, ())) if name in rows), None
        ):
            prices[key] = found
    return prices


def _load_price_rows(keys: Collection[PriceKey]) -> dict[PriceKey, Price]:
    if not keys:
        return {}
    rows = ModelPrice.objects.filter(
        provider__in={provider for provider, _ in keys}, model__in={model for _, model in keys}
    )
    found = {}
    for row in rows:
        try:
            found[row.provider, row.model] = row.price
        except ValueError as error:
            # Written past the form: without a price rather than at a wrong one.
            log.error("the terms of the price of %s say nothing, it is left out: %s", row, error)
    return found


def find_tenant(slug: str) -> Tenant:
    """The tenant of that slug. Raises TenantUnknown."""
    tenant = Tenant.objects.filter(slug=slug).first() if _is_storable(slug) else None
    if tenant is None:
        raise TenantNotFound("No such tenant.", param="tenant")
    return tenant


def list_owner_plans(owner: Tenant | None) -> Iterable[Plan]:
    """The plans of one owner, None being the platform, by name."""
    return Plan.objects.filter(tenant=owner).select_related("tenant")


def find_plan(owner: Tenant | None, name: str) -> Plan:
    """The owner's plan of that name. Raises PlanUnknown, whoever else may have one."""
    plan = (
        Plan.objects.filter(tenant=owner, name=name).select_related("tenant").first()
        if validation.PLAN_NAME_PATTERN.fullmatch(name)
        else None
    )
    if plan is None:
        raise PlanNotFound("No plan of that name.", param="plan")
    return plan


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text at all: no NUL, no lone surrogates."""
    return text.isprintable() and len(text) <= 64
