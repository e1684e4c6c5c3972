"""Queries on the plans tables: parts of the configuration snapshot, single plans, prices."""

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Final

from django.db.models import RESTRICT, ManyToOneRel, Q, QuerySet

from plans import published_prices, validation
from plans.api_errors import AmbiguousKey, KeyNotFound, PlanNotFound, TenantNotFound
from plans.models import Invalidation, ModelPrice, Plan, Revision, Tenant, VirtualKey
from plans.pricing import Price
from plans.published_prices import PriceKey, ProviderPrices
from plans.snapshot import KeySnapshot, PlanSnapshot
from plans.untrusted_text.whole_numbers import parse_positive


def find_visible_plan(owner: Tenant | None, name: str) -> Plan:
    """Return the owner's plan of that name, else the platform's. Raises PlanNotFound."""
    try:
        return find_plan(owner, name)
    except PlanNotFound:
        if owner is None:
            raise
        return find_plan(None, name)


log = logging.getLogger(__name__)
MAX_NAMED_HOLDERS: Final = 3  # of each kind of row that has a plan as its default


def get_revision() -> int:
    """Return the revision of the configuration; a different number means it has changed."""
    return Revision.objects.filter(pk=1).values_list("value", flat=True).first() or 0


def load_live_keys() -> dict[str, KeySnapshot]:
    """Load the virtual keys that are neither revoked nor expired, by digest. One query."""
    return {key.digest: build_key_snapshot(key) for key in list_live_keys()}


def list_live_keys() -> QuerySet[VirtualKey]:
    """Return the virtual keys that are neither revoked nor expired, with their tenants.

    Paused ones and former secrets that still work are among them.
    """
    live = Q(expires_at=None) | Q(expires_at__gt=datetime.now(UTC))
    return VirtualKey.objects.filter(live, revoked_at=None).select_related("tenant", "successor")


def find_live_key(owner: Tenant | None, key: str) -> VirtualKey:
    """Return the live key of that id, else of that name; of any tenant if `owner` is None.

    Raises KeyNotFound, also for another tenant's key, or AmbiguousKey.
    """
    keys = list_live_keys() if owner is None else list_live_keys().filter(tenant=owner)
    if (number := parse_positive(key)) is not None and (row := keys.filter(pk=number).first()):
        return row
    # By its name a key is found, not its former secrets.
    found = list(keys.filter(name=key, successor=None)[:2]) if key.isprintable() else []
    if not found:
        raise KeyNotFound("No live virtual key of that id or name.", param="key")
    if len(found) > 1:
        raise AmbiguousKey("Several keys have that name: give the id.", param="key")
    return found[0]


def find_key(owner: Tenant | None, key: str) -> VirtualKey | None:
    """Return the key of that id, revoked or not, else the one in use of that name, else None.

    Of any tenant if `owner` is None. Raises AmbiguousKey.
    """
    keys = VirtualKey.objects.select_related("tenant", "successor__tenant", "default_plan")
    keys = keys if owner is None else keys.filter(tenant=owner)
    if (number := parse_positive(key)) is not None:
        return keys.filter(pk=number).first()
    found = list(keys.filter(name=key, revoked_at=None, successor=None)[:2])
    if len(found) > 1:
        raise AmbiguousKey("Several keys have that name: give the id.", param="key")
    return found[0] if found else None


def build_key_snapshot(key: VirtualKey) -> KeySnapshot:
    """Build the frozen copy of a key that the request path uses."""
    current = key.current
    moments = [each.timestamp() for each in (key.expires_at, current.expires_at) if each]
    return KeySnapshot(
        id=key.pk,
        name=key.name,
        digest=key.digest,
        tenant_id=key.tenant_id,
        tenant=key.tenant.slug,
        routes=frozenset(current.routes),
        default_plan_id=current.default_plan_id,
        tenant_plan_id=key.tenant.default_plan_id,
        expires_at=min(moments, default=None),
        paused=current.paused,
    )


def load_granted_routes() -> dict[int, frozenset[str]]:
    """Load the routes of each tenant, by its id. One query."""
    rows = Tenant.objects.values_list("pk", "routes")
    return {
        pk: frozenset(name for name in routes if isinstance(name, str))
        # A column that holds anything but a list of names grants nothing.
        if isinstance(routes, list)
        else frozenset()
        for pk, routes in rows
    }


def load_plans() -> dict[tuple[int | None, str], PlanSnapshot]:
    """Load all plans by (owner's id or None for the platform, name). One query."""
    return {(plan.tenant_id, plan.name): plan.build_snapshot() for plan in Plan.objects.all()}


def load_invalidations() -> dict[tuple[int, int | None, str], int]:
    """Load the revisions before which answers are invalid. One query.

    By (plan id, tenant id or None for all tenants, tag or "" for all answers).
    """
    rows = Invalidation.objects.values_list("plan_id", "tenant_id", "tag", "generation")
    return {(plan, tenant, tag): generation for plan, tenant, tag, generation in rows}


def list_price_providers() -> list[str]:
    """List the providers that have prices, by id."""
    rows = ModelPrice.objects.order_by("provider").values_list("provider", flat=True)
    return list(rows.distinct())


def load_price(provider: str, model: str) -> Price | None:
    """Return the price of a provider's model; None means unpriced, which is not zero."""
    return load_prices([(provider, model)]).get((provider, model))


def load_prices(wanted: Collection[PriceKey]) -> dict[PriceKey, Price]:
    """Load prices by (provider, model): the row of that name, else that of the model it aliases.

    At most two queries, however many are wanted. Models without a price are left out.
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


def load_provider_prices(providers: Collection[str]) -> dict[str, ProviderPrices]:
    """Load the prices of whatever models these providers have, by the provider's id. One query."""
    if not providers:
        return {}
    # Of all providers: those that sell another's models have its prices.
    prices = _read_prices(ModelPrice.objects.all())
    for provider in providers:
        # Loads the published names here, in place of a request that has a new one.
        list(published_prices.iter_aliases(provider, ""))
    return {provider: ProviderPrices(provider, prices) for provider in providers}


def _load_price_rows(keys: Collection[PriceKey]) -> dict[PriceKey, Price]:
    if not keys:
        return {}
    return _read_prices(
        ModelPrice.objects.filter(
            provider__in={provider for provider, _ in keys}, model__in={model for _, model in keys}
        )
    )


def _read_prices(rows: Iterable[ModelPrice]) -> dict[PriceKey, Price]:
    found = {}
    for row in rows:
        try:
            found[row.provider, row.model] = row.price
        except ValueError as error:
            # The row was written past the form: no price is better than a wrong one.
            log.error("the terms of the price of %s say nothing, it is left out: %s", row, error)
    return found


def find_tenant(slug: str) -> Tenant:
    """Return the tenant of that slug. Raises TenantNotFound."""
    tenant = Tenant.objects.filter(slug=slug).first() if _is_storable(slug) else None
    if tenant is None:
        raise TenantNotFound("No such tenant.", param="tenant")
    return tenant


def list_usable_plans(tenant: Tenant | None) -> QuerySet[Plan]:
    """Return the plans that the tenant's requests can name, by name; None: the platform's."""
    owned = Q(tenant=None) if tenant is None else Q(tenant=None) | Q(tenant=tenant)
    return Plan.objects.filter(owned).select_related("tenant")


def list_default_holders(plan: Plan) -> list[str]:
    """Name the keys, tenants and routes whose default the plan is, the first of each kind."""
    found = []
    for relation in Plan._meta.get_fields(include_hidden=True):
        # The columns of history records hide too; they have no constraint.
        if isinstance(relation, ManyToOneRel) and relation.on_delete is RESTRICT:
            rows = relation.related_model._base_manager.filter(**{relation.field.name: plan})
            found += [f"{row._meta.verbose_name} {row}" for row in rows[:MAX_NAMED_HOLDERS]]
    return found


def list_owner_plans(owner: Tenant | None) -> Iterable[Plan]:
    """Return the owner's plans by name; None is the platform."""
    return Plan.objects.filter(tenant=owner).select_related("tenant")


def find_plan(owner: Tenant | None, name: str) -> Plan:
    """Return the owner's own plan of that name. Raises PlanNotFound."""
    plan = (
        Plan.objects.filter(tenant=owner, name=name).select_related("tenant").first()
        if validation.PLAN_NAME_PATTERN.fullmatch(name)
        else None
    )
    if plan is None:
        raise PlanNotFound("No plan of that name.", param="plan")
    return plan


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL can store the text as a slug: no NUL, no lone surrogates."""
    return text.isprintable() and len(text) <= 64
