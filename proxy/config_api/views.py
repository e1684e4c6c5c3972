"""Views of upstreams, routes, tenants and prices: list, read, PUT, PATCH, DELETE."""

from typing import Any, ClassVar

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.api.authentication import MayManageObjects, get_own_tenant
from plans.models import Tenant
from proxy.config_api import service
from proxy.config_api.kinds import PRICES, ROUTES, TENANTS, UPSTREAMS, ObjectKind
from proxy.config_api.openapi import describe_list, describe_object
from proxy.config_api.parameters import read_conditions, read_dry_run, read_flag, read_page
from proxy.config_api.serializers import (
    PricePatchSerializer,
    PricePutSerializer,
    PriceSerializer,
    RoutePatchSerializer,
    RoutePutSerializer,
    RouteSerializer,
    TenantPatchSerializer,
    TenantPutSerializer,
    TenantSerializer,
    UpstreamPatchSerializer,
    UpstreamPutSerializer,
    UpstreamSerializer,
)

EDITED_PARAMETER = OpenApiParameter(
    "edited", bool, OpenApiParameter.QUERY, description="Only prices that are set here, or not."
)


class ObjectsView(APIView):
    """List objects of a kind."""

    permission_classes = (MayManageObjects,)
    kind: ClassVar[ObjectKind]

    @property
    def kind_label(self) -> str:
        return self.kind.label

    def get_owner(self, request: Request) -> Tenant | None:
        """Return whose objects are listed; None for everybody's."""
        return get_own_tenant(request)

    def list_page(self, request: Request, **filters: Any) -> Response:
        limit, after = read_page(request)
        found = self.kind.list_rows(self.get_owner(request), after).filter(**filters)
        rows = list(found.prefetch_related("managed_marks")[: limit + 1])
        page, has_more = rows[:limit], len(rows) > limit
        return Response(
            {
                "object": "list",
                "data": self.kind.serialize(page),
                "has_more": has_more,
                "next": self.kind.build_cursor(page[-1]) if has_more else None,
            }
        )

    def get(self, request: Request) -> Response:
        return self.list_page(request)


class ObjectView(APIView):
    """Read, make, change and delete one object."""

    permission_classes = (MayManageObjects,)
    kind: ClassVar[ObjectKind]

    @property
    def kind_label(self) -> str:
        return self.kind.label

    def get_owner(self, request: Request) -> Tenant | None:
        """Return whose object it is; None for the platform."""
        return get_own_tenant(request)

    def read_request(self, request: Request, name: str) -> service.ObjectRequest:
        """Return which object the call is about, and how."""
        return service.ObjectRequest(
            self.kind,
            self.get_owner(request),
            name.rstrip("/"),
            read_conditions(request),
            read_dry_run(request),
        )

    def show(self, row: Any, extra: dict[str, Any] | None = None, code: int = 200) -> Response:
        """Answer with the object as it is, with its version."""
        prefetch_related_objects([row], "managed_marks")
        (shown,) = self.kind.serialize([row])
        headers = {"ETag": service.compute_etag(row)}
        if extra and "secret" in extra:
            headers["Cache-Control"] = "no-store"
        return Response(shown | (extra or {}), status=code, headers=headers)

    def show_change(
        self, wanted: service.ObjectRequest, changed: service.ChangedObject
    ) -> Response:
        """Answer a dry run with its changes, a change with the object."""
        if wanted.dry_run:
            return Response(changed.done.build_body(dry_run=True))
        if changed.row is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        extra = {"secret": changed.secret} if changed.secret else {}
        return self.show(changed.row, extra, 201 if changed.is_new else 200)

    def get(self, request: Request, name: str) -> Response:
        return self.show(service.find_object(self.read_request(request, name)))

    def put(self, request: Request, name: str) -> Response:
        wanted = self.read_request(request, name)
        return self.show_change(wanted, service.put_object(wanted, request.data))

    def patch(self, request: Request, name: str) -> Response:
        wanted = self.read_request(request, name)
        return self.show_change(wanted, service.patch_object(wanted, request.data))

    def delete(self, request: Request, name: str) -> Response:
        wanted = self.read_request(request, name)
        return self.show_change(wanted, service.delete_object(wanted))


@describe_list("upstreams", UpstreamSerializer)
class UpstreamsView(ObjectsView):
    kind = UPSTREAMS


@describe_object("upstream", (UpstreamSerializer, UpstreamPutSerializer, UpstreamPatchSerializer))
class UpstreamView(ObjectView):
    kind = UPSTREAMS


@describe_list("routes", RouteSerializer)
class RoutesView(ObjectsView):
    kind = ROUTES


@describe_object("route", (RouteSerializer, RoutePutSerializer, RoutePatchSerializer))
class RouteView(ObjectView):
    kind = ROUTES


@describe_list("tenants", TenantSerializer)
class TenantsView(ObjectsView):
    kind = TENANTS


@describe_object("tenant", (TenantSerializer, TenantPutSerializer, TenantPatchSerializer))
class TenantView(ObjectView):
    kind = TENANTS


@describe_list("prices", PriceSerializer, EDITED_PARAMETER)
class PricesView(ObjectsView):
    kind = PRICES

    def get(self, request: Request) -> Response:
        edited = read_flag(request, "edited")
        return self.list_page(request, **({} if edited is None else {"edited": edited}))


@describe_object(
    "price",
    (PriceSerializer, PricePutSerializer, PricePatchSerializer),
    deletion="It follows the published price again; a model that has none is unpriced then.",
)
class PriceView(ObjectView):
    kind = PRICES
