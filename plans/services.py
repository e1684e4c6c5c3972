"""Writes to the plans tables: plans, keys, tenants, prices.

Every change of a saved row, by whatever way (API, admin, revert, import), goes through `update_row`
with the version that was read, so that nobody overwrites what they have not seen.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from plans import (
    capabilities,
    key_secrets,
    managed_marks,
    presets,
    price_terms,
    published_prices,
    records,
    selectors,
    validation,
)
from plans.api_errors import (
    InvalidPlan,
    PlanInUse,
    PlanNameConflict,
    PlanNotFound,
    VersionConflict,
)
from plans.fields import PlanHalf, list_settings
from plans.models import AdminKey, ModelPrice, Plan, Revision, Tenant, VirtualKey
from plans.pricing import BASE_RATE_NAMES, Price

MAX_CHANGE_ATTEMPTS = 5
PUBLISHED_PRICES_REASON = "As genai-prices publishes it"


def create_plan(
    *, owner: Tenant | None, body: object, reason: str | None = None, notes: list[str] | None = None
) -> Plan:
    """Create a plan from the API's JSON, with its `preset` filled in.

    What had to be changed in the preset is added to `notes`; `reason` goes to the plan's history.
    Raises InvalidPlan or PlanNameConflict.
    """
    system = capabilities.get_tenant_capabilities(owner)
    draft = validation.validate_plan(
        presets.expand_preset(body, capabilities=system, notes=notes), capabilities=system
    )
    plan = Plan(tenant=owner, **build_plan_columns(draft))
    try:
        create_row(plan, reason=reason)
    except IntegrityError as error:
        raise _translate_integrity_error(draft, error) from error
    return plan


def change_plan(*, owner: Tenant | None, name: str, body: object) -> Plan:
    """Merge the body's fields into the plan, all or none, and return it.

    A `version` in the body must be the plan's present one. Without it, concurrent changes are
    applied one after the other. A `reason` goes to the plan's history. Raises PlanNotFound,
    InvalidPlan, PlanNameConflict or VersionConflict.
    """
    expected, body = split_version(body)
    reason, changes = split_reason(body)
    for _ in range(MAX_CHANGE_ATTEMPTS):
        plan = selectors.find_plan(owner, name)
        if expected is not None and expected != plan.version:
            raise VersionConflict(
                f"The plan is at version {plan.version} now: read it again.", param="version"
            )
        draft = validation.validate_plan(
            changes,
            capabilities=capabilities.get_tenant_capabilities(owner),
            base=build_draft(plan),
        )
        # Validated against what was read: if the plan changed meanwhile, read and merge again.
        if update_plan(plan, draft, reason=reason):
            return plan
    raise VersionConflict("Others keep changing this plan: try again.", param="version")


@transaction.atomic
def delete_plan(*, owner: Tenant | None, name: str) -> None:
    """Delete the plan.

    Raises PlanNotFound, PlanInUse while it is somebody's default, or ManagedObjectLocked.
    """
    lock_configuration()  # or it could become a default meanwhile
    plan = selectors.find_plan(owner, name)
    managed_marks.refuse_locked(plan)
    try:
        if not Plan.objects.filter(pk=plan.pk).delete()[0]:
            raise PlanNotFound("No plan of that name.", param="plan")
    except models.RestrictedError:
        holders = ", ".join(selectors.list_default_holders(plan))
        raise PlanInUse(
            f"It is the default plan of {holders}: requests that name no plan would save nothing. "
            "Give them another default first.",
            param="plan",
        ) from None


def build_draft(plan: Plan) -> validation.PlanDraft:
    """Convert a saved plan to the draft that validation works on."""
    snapshot = plan.build_snapshot()
    return validation.PlanDraft(
        name=snapshot.name,
        compression=snapshot.compression,
        cache=snapshot.cache,
        id=plan.pk,
        **_read_settings("", snapshot),
    )


def build_plan_columns(draft: validation.PlanDraft) -> dict[str, Any]:
    """Return the draft's settings by model field."""
    values: dict[str, Any] = {"name": draft.name} | _read_columns("", draft)
    # A half that is off keeps the settings it had in its columns.
    values |= {"compression_engine": None, "cache_enabled": draft.cache is not None}
    if draft.compression:
        values |= _read_columns("compression", draft.compression)
    if draft.cache:
        values |= _read_columns("cache", draft.cache)
    return values


def _read_settings(half: PlanHalf, settings: object) -> dict[str, Any]:
    return {each.name: getattr(settings, each.name) for each in list_settings(half)}


def _read_columns(half: PlanHalf, settings: object) -> dict[str, Any]:
    return {each.column: getattr(settings, each.name) for each in list_settings(half)}


def split_version(body: object) -> tuple[int | None, object]:
    if not isinstance(body, dict) or "version" not in body:
        return None, body
    version = body["version"]
    if isinstance(version, bool) or not isinstance(version, int):
        raise InvalidPlan(
            {
                "version": (
                    "Must be the whole number that GET shows; leave it out to change the plan "
                    "whatever its version."
                )
            }
        )
    return version, {name: value for name, value in body.items() if name != "version"}


def split_reason(body: object) -> tuple[str | None, object]:
    if not isinstance(body, dict) or "reason" not in body:
        return None, body
    reason = body["reason"]
    if (
        not isinstance(reason, str)
        or not (text := reason.strip())
        or len(text) > records.MAX_REASON_LENGTH
        or not text.isprintable()
    ):
        raise InvalidPlan(
            {
                "reason": (
                    f"Must be a line of text, {records.MAX_REASON_LENGTH} characters at most; "
                    "leave "
                    "it out to give none."
                )
            }
        )
    return text, {name: value for name, value in body.items() if name != "reason"}


def update_plan(plan: Plan, draft: validation.PlanDraft, *, reason: str | None = None) -> bool:
    """Save the draft's settings to a plan as it was read; False if it was changed meanwhile.

    Raises PlanNameConflict.
    """
    columns = build_plan_columns(draft)
    read_version = records.compute_row_version(plan)
    for name, value in columns.items():
        setattr(plan, name, value)
    try:
        update_row(plan, read_version=read_version, columns=columns, reason=reason)
    except VersionConflict:
        return False
    except IntegrityError as error:
        raise _translate_integrity_error(draft, error) from error
    return True


def _translate_integrity_error(draft: validation.PlanDraft, error: IntegrityError) -> Exception:
    """Return PlanNameConflict for a duplicate name, any other error unchanged."""
    if "plan_name_" not in str(error):
        return error
    return PlanNameConflict(f"There is a plan named {draft.name} already.", param="plan_name")


@transaction.atomic
def create_row(row: models.Model, *, reason: str | None = None) -> None:
    """Save a new row of the configuration. Raises IntegrityError for a duplicate."""
    _set_change_reason(row, reason)
    row.save(force_insert=True)


@transaction.atomic
def update_row(
    row: models.Model,
    *,
    read_version: str,
    columns: Collection[str],
    reason: str | None = None,
) -> None:
    """Save these columns of a row if its version is still the one that was read.

    `read_version`: `records.compute_row_version` of the row that the change was made from.
    Afterwards `row` has the values as stored. Raises VersionConflict, or IntegrityError for a
    duplicate, or ManagedObjectLocked.
    """
    managed_marks.refuse_locked(row)
    saved = lock_row(row)
    if saved is None:
        raise VersionConflict(f"{row} was deleted meanwhile.", param="version")
    if records.compute_row_version(saved) != read_version:
        raise VersionConflict(f"{row} was changed meanwhile: read it again.", param="version")
    _set_change_reason(row, reason)
    # `save(update_fields=...)` sets `auto_now` fields only if they are listed.
    clocks = {
        field.name for field in row._meta.concrete_fields if getattr(field, "auto_now", False)
    }
    row.save(update_fields={*columns, *clocks})
    row.refresh_from_db()  # triggers raise versions


def lock_row(row: models.Model) -> models.Model | None:
    """Lock and return the row as stored until the transaction ends; None if it was deleted."""
    # Writers that have not read first take the configuration's lock (by a trigger), then the row's.
    # In the other order two of them would deadlock.
    lock_configuration()
    return type(row)._base_manager.select_for_update().filter(pk=row.pk).first()


def lock_configuration() -> None:
    """Wait for other changes of the configuration and block new ones until the transaction ends."""
    Revision.objects.select_for_update().filter(pk=1).first()


def _set_change_reason(row: Any, reason: str | None) -> None:
    if reason is not None:
        row._change_reason = reason  # where django-simple-history looks for it


def create_tenant(*, slug: str) -> Tenant:
    """Create a tenant that can use every route. Raises ValidationError."""
    tenant = Tenant(slug=slug)
    tenant.full_clean()
    create_row(tenant)
    return tenant


def issue_key(row: VirtualKey | AdminKey) -> str:
    """Give an unsaved key row its secret and save it; the secret is returned only here."""
    new = key_secrets.generate_key(
        key_secrets.ADMIN_KEY_KIND if isinstance(row, AdminKey) else key_secrets.VIRTUAL_KEY_KIND,
        pepper=settings.KEY_PEPPER,
    )
    row.prefix, row.digest = new.prefix, new.digest
    row.save()
    return new.secret


def issue_virtual_key(
    *,
    tenant: Tenant,
    name: str,
    routes: list[str] | None = None,
    expires_at: datetime | None = None,
    default_plan: Plan | None = None,
) -> tuple[VirtualKey, str]:
    """Create a key for /v1 and return it with its secret; no `routes` means all.

    Raises ValidationError for another tenant's plan.
    """
    row = VirtualKey(
        tenant=tenant,
        name=name,
        routes=routes or [],
        expires_at=expires_at,
        default_plan=default_plan,
    )
    row.clean()
    return row, issue_key(row)


def issue_admin_key(*, name: str, tenant: Tenant | None = None) -> tuple[AdminKey, str]:
    """Create a key for /token-saving and return it with its secret; no `tenant`: the platform's."""
    row = AdminKey(tenant=tenant, name=name)
    return row, issue_key(row)


def revoke_key(*, key: VirtualKey | AdminKey) -> None:
    """Revoke the key: an admin key at once, a virtual key within two seconds.

    Former secrets of it go too. Revoking again changes nothing.
    """
    if key.revoked_at is None:
        for former in key.predecessors.all() if isinstance(key, VirtualKey) else ():
            revoke_key(key=former)
        key.revoked_at = timezone.now()
        columns = ["revoked_at"]
        if isinstance(key, VirtualKey):
            key.default_plan = None  # or a key that is never used again would keep the plan
            columns.append("default_plan")
        key.save(update_fields=columns)


@transaction.atomic
def seed_prices() -> int:
    """Update the price table to the published prices; return the number of rows written.

    Rows that a person edited are left alone.
    """
    published = published_prices.load_published_prices()
    lock_configuration()  # else a concurrent edit would be overwritten
    present = {(row.provider, row.model): row for row in ModelPrice.objects.all()}
    fresh = [
        ModelPrice(provider=provider, model=model, **_build_price_columns(price))
        for (provider, model), price in published.items()
        if (provider, model) not in present
    ]
    stale = []
    for name, row in present.items():
        price = published.get(name)
        if (
            price
            and not row.edited
            and any(
                getattr(row, field) != amount
                for field, amount in _build_price_columns(price).items()
            )
        ):
            for field, amount in _build_price_columns(price).items():
                setattr(row, field, amount)
            row.updated_at = timezone.now()
            stale.append(row)
    # Nothing is written if nothing changed, so that no worker reloads its configuration for it.
    if fresh:
        ModelPrice.objects.bulk_create(fresh, ignore_conflicts=True)
    if stale:
        # Rows without history were never edited: their updates need no record.
        noted = set(ModelPrice.history.values_list("id", flat=True))
        ModelPrice.objects.bulk_update(
            stale, [*BASE_RATE_NAMES, "terms", "updated_at"], batch_size=500
        )
        for row in stale:
            if row.pk in noted:
                records.record_change(row, reason=PUBLISHED_PRICES_REASON)
    return len(fresh) + len(stale)


@transaction.atomic
def follow_published_prices(prices: Iterable[ModelPrice]) -> int:
    """Reset edited prices to the published ones; return the number of rows.

    Rows that are not published keep their amounts.
    """
    lock_configuration()
    rows = list(ModelPrice.objects.filter(pk__in=[price.pk for price in prices]))
    for row in rows:
        records.record_initial_state(row)
    # `QuerySet.update` sends no signals, so the history is recorded by hand.
    ModelPrice.objects.filter(pk__in=[row.pk for row in rows]).update(edited=False)
    seed_prices()
    for row in rows:
        records.record_change(row, reason=PUBLISHED_PRICES_REASON)
    return len(rows)


@transaction.atomic
def unset_price(price: ModelPrice) -> None:
    """Let a price follow the published one again; delete it if none is published.

    Raises ManagedObjectLocked.
    """
    managed_marks.refuse_locked(price)
    if (price.provider, price.model) in published_prices.load_published_prices():
        follow_published_prices([price])
    else:
        price.delete()


def _build_price_columns(price: Price) -> dict[str, Any]:
    """Return the price's values by model field."""
    return {name: getattr(price, name) for name in BASE_RATE_NAMES} | {
        "terms": price_terms.format_terms(price.terms)
    }
