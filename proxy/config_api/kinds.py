"""What the API knows of each kind of object: how one is found, shown, written and deleted."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Q, QuerySet

from plans import capabilities, selectors, services
from plans.api_errors import (
    ApiError,
    InvalidFields,
    KeyNotFound,
    ObjectInUse,
    ObjectNotFound,
    PlanNotFound,
    TenantNotFound,
)
from plans.deletion import delete_row, describe_users
from plans.managed_marks import refuse_locked
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from plans.untrusted_text.whole_numbers import parse_positive
from proxy.config_api.representation import (
    serialize_columns,
    serialize_key,
    serialize_plan,
    serialize_price,
    serialize_route,
    serialize_tenant,
    serialize_upstream,
)
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
)
from proxy.config_files.key_writer import write_key
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.target_writer import write_price, write_route, write_upstream
from proxy.config_files.tenant_writer import write_plan, write_tenant
from proxy.models import Route, Upstream

DELETE_REASON = "Deleted over the management API"


class ObjectKind:
    """A kind of object; `owner` is whose the request is about, None for the platform.

    `name`: as changes and messages say it; `label`: of its model, for permissions.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        """Return the owner's objects in the order of their names, after the one named."""
        raise NotImplementedError

    def find(self, owner: Tenant | None, name: str) -> Any:
        """Return the object of that name, None if there is none."""
        raise NotImplementedError

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        raise NotImplementedError

    def build_body(self, row: Any) -> dict[str, Any]:
        """Return what a PUT would say to leave the object as it is; secrets are left out."""
        raise NotImplementedError

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        """Make the object what the body says; problems are noted in the writer."""
        raise NotImplementedError

    def delete(self, row: Any) -> None:
        """Delete the object. Raises ObjectInUse or ManagedObjectLocked."""
        delete_row(row, reason=DELETE_REASON)

    def build_cursor(self, row: Any) -> str:
        """Return what `after` says to go on behind this object."""
        return str(row)

    def make_not_found(self, name: str) -> ApiError:
        return ObjectNotFound(f"There is no {self.name} of that name.", param=self.name)


class UpstreamKind(ObjectKind):
    name, label = "upstream", "proxy.upstream"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        return Upstream.objects.filter(name__gt=after).order_by("name")

    def find(self, owner: Tenant | None, name: str) -> Any:
        return Upstream.objects.filter(name=name).first()

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [serialize_upstream(row) for row in rows]

    def build_body(self, row: Any) -> dict[str, Any]:
        return serialize_columns(row, UPSTREAM_FIELDS)

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        write_upstream(writer, (), name, body)


class RouteKind(ObjectKind):
    name, label = "route", "proxy.route"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        rows = Route.objects.filter(name__gt=after).order_by("name")
        return rows.select_related("upstream", "default_plan")

    def find(self, owner: Tenant | None, name: str) -> Any:
        return Route.objects.filter(name=name).select_related("upstream", "default_plan").first()

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [serialize_route(row) for row in rows]

    def build_body(self, row: Any) -> dict[str, Any]:
        return {"upstream": row.upstream.name} | serialize_columns(row, ROUTE_FIELDS)

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        write_route(writer, (), name, body)

    def delete(self, row: Any) -> None:
        """Delete a route that no plan, tenant or key names."""
        holders: list[tuple[str, QuerySet[Any]]] = [
            ("plan", Plan.objects.filter(judge_model=row.name)),
            ("tenant", Tenant.objects.filter(routes__contains=[row.name])),
            ("key", VirtualKey.objects.filter(routes__contains=[row.name], revoked_at=None)),
        ]
        if names := [f"{kind} {each}" for kind, rows in holders for each in rows]:
            raise ObjectInUse(describe_users(names))
        super().delete(row)


class TenantKind(ObjectKind):
    name, label = "tenant", "plans.tenant"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        rows = Tenant.objects.filter(slug__gt=after).order_by("slug")
        return (rows.filter(pk=owner.pk) if owner else rows).select_related("default_plan")

    def find(self, owner: Tenant | None, name: str) -> Any:
        if owner is not None and owner.slug != name:
            return None
        return Tenant.objects.filter(slug=name).select_related("default_plan").first()

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [serialize_tenant(row) for row in rows]

    def build_body(self, row: Any) -> dict[str, Any]:
        return serialize_columns(row, TENANT_FIELDS)

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        write_tenant(writer, (), name, body)

    def delete(self, row: Any) -> None:
        """Delete a tenant without live keys and plans: these would go with it."""
        keys = VirtualKey.objects.filter(tenant=row, revoked_at=None)
        plans = Plan.objects.filter(tenant=row)
        names = [*(f"key {each}" for each in keys), *(f"plan {each}" for each in plans)]
        if names:
            raise ObjectInUse(describe_users(names))
        super().delete(row)

    def make_not_found(self, name: str) -> ApiError:
        return TenantNotFound("No such tenant.", param="tenant")


class PriceKind(ObjectKind):
    name, label = "price", "plans.modelprice"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        provider, _, model = after.partition("/")
        rows = ModelPrice.objects.order_by("provider", "model")
        return rows.filter(Q(provider__gt=provider) | Q(provider=provider, model__gt=model))

    def find(self, owner: Tenant | None, name: str) -> Any:
        provider, _, model = name.partition("/")
        return ModelPrice.objects.filter(provider=provider, model=model).first()

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [serialize_price(row) for row in rows]

    def build_body(self, row: Any) -> dict[str, Any]:
        return serialize_columns(row, PRICE_FIELDS)

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        write_price(writer, (), name, body)

    def delete(self, row: Any) -> None:
        """Let the price follow the published one; without one it goes."""
        services.unset_price(row)


class PlanKind(ObjectKind):
    name, label = "plan", "plans.plan"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        rows = Plan.objects.filter(tenant=owner, name__gt=after).order_by("name")
        return rows.select_related("tenant")

    def find(self, owner: Tenant | None, name: str) -> Any:
        return Plan.objects.filter(tenant=owner, name=name).select_related("tenant").first()

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [serialize_plan(row) for row in rows]

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        write_plan(writer, (), name, body, owner=owner)

    def delete(self, row: Any) -> None:
        """Delete a plan that is nobody's default."""
        services.delete_plan(owner=row.tenant, name=row.name)

    def make_not_found(self, name: str) -> ApiError:
        return PlanNotFound("No plan of that name.", param="plan")


class KeyKind(ObjectKind):
    """Virtual keys, by id or name. By name it is the one key in use; former secrets have ids."""

    name, label = "key", "plans.virtualkey"

    def list_rows(self, owner: Tenant | None, after: str) -> QuerySet[Any]:
        rows = VirtualKey.objects.filter(pk__gt=parse_positive(after) or 0).order_by("pk")
        rows = rows.select_related("tenant", "successor", "default_plan")
        return rows.filter(tenant=owner) if owner else rows

    def find(self, owner: Tenant | None, name: str) -> Any:
        return selectors.find_key(owner, name)

    def serialize(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        uses = capabilities.get_capabilities().count_key_uses([row.pk for row in rows])
        return [serialize_key(row, uses.get(row.pk)) for row in rows]

    def build_body(self, row: Any) -> dict[str, Any]:
        return serialize_columns(row, KEY_FIELDS)

    def write(
        self, writer: ObjectWriter, owner: Tenant | None, name: str, body: Any, present: Any
    ) -> None:
        if present is None and parse_positive(name) is not None:
            raise self.make_not_found(name)  # a number is an id
        tenant = present.tenant if present else owner
        if tenant is None:
            text = "Whose key is it? Give ?tenant= with the tenant's slug."
            raise InvalidFields({"tenant": text})
        if present is not None and present.successor_id is not None:
            text = f"{present} was replaced by {present.successor}: change that one."
            raise InvalidFields({"key": text})
        own_name = present.name if present else name
        write_key(writer, (), own_name, body, tenant=tenant, present=present)

    def delete(self, row: Any) -> None:
        """Revoke the key, and its former secrets."""
        refuse_locked(row)
        services.revoke_key(key=row)

    def build_cursor(self, row: Any) -> str:
        return str(row.pk)

    def make_not_found(self, name: str) -> ApiError:
        return KeyNotFound("No virtual key of that id or name.", param="key")


UPSTREAMS, ROUTES, TENANTS, PRICES, PLANS, KEYS = (
    UpstreamKind(),
    RouteKind(),
    TenantKind(),
    PriceKind(),
    PlanKind(),
    KeyKind(),
)
