"""Views of plans: list, create, read, PUT, PATCH, DELETE."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api.serializers import PlanChangeSerializer, PlanSerializer
from plans.models import Tenant
from proxy.config_api import service
from proxy.config_api.kinds import PLANS
from proxy.config_api.openapi import build_example, build_list_serializer, or_changes
from proxy.config_api.parameters import (
    DRY_RUN_PARAMETER,
    IF_MATCH_PARAMETER,
    IF_NONE_MATCH_PARAMETER,
    PAGE_PARAMETERS,
    read_dry_run,
)
from proxy.config_api.serializers import ChangesSerializer
from proxy.config_api.views import ObjectsView, ObjectView

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
CHANGE_PARAMETERS = [PLAN_PARAMETER, TENANT_PARAMETER, DRY_RUN_PARAMETER, IF_MATCH_PARAMETER]
CHANGE_ERRORS = build_error_responses(400, 401, 403, 404, 409, 412, 413, 415)


class PlansView(ObjectsView):
    """List and create the plans of one owner."""

    kind = PLANS

    def get_owner(self, request: Request) -> Tenant | None:
        return get_plan_owner(request)

    @extend_schema(
        operation_id="plans_list",
        parameters=[TENANT_PARAMETER, *PAGE_PARAMETERS],
        responses={200: build_list_serializer(PlanSerializer)}
        | build_error_responses(400, 401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """List the owner's plans, by name."""
        return self.list_page(request)

    @extend_schema(
        operation_id="plans_create",
        parameters=[TENANT_PARAMETER, DRY_RUN_PARAMETER],
        request=PlanSerializer,
        responses={200: ChangesSerializer, 201: PlanSerializer}
        | build_error_responses(400, 401, 403, 404, 409, 413, 415),
    )
    def post(self, request: Request) -> Response:
        """Create a plan.

        Fields left out inside a half (`compression`, `cache`) take their defaults. A half left out
        is off when the other one is given; a plan that gives neither takes both with their
        defaults. null turns a half off. `preset` fills in what the body leaves open; settings of it
        that cannot run here are left out and listed in `notes`, where settings that may be a
        mistake are too. A field that the gateway does not know, or cannot honour as it runs now, is
        refused with its name.
        """
        dry_run = read_dry_run(request)
        made = service.create_plan(get_plan_owner(request), request.data, notes=[], dry_run=dry_run)
        if dry_run:
            return Response(made.done.build_body(dry_run=True))
        (shown,) = self.kind.serialize([made.row])
        headers = {
            "Location": reverse("plan", args=[made.row.name]),
            "ETag": service.compute_etag(made.row),
        }
        return Response(
            add_notes(shown, made.notes), status=status.HTTP_201_CREATED, headers=headers
        )


def add_notes(shown: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """Add to a plan's JSON what could not be as its preset says."""
    found = [*notes, *shown.get("notes", [])]
    return shown | ({"notes": found} if found else {})


class PlanView(ObjectView):
    """Read, make, change and delete one plan."""

    kind = PLANS

    def get_owner(self, request: Request) -> Tenant | None:
        return get_plan_owner(request)

    @extend_schema(
        operation_id="plans_read",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        responses={200: PlanSerializer} | build_error_responses(401, 403, 404),
    )
    def get(self, request: Request, plan: str) -> Response:
        """Return the plan's present settings. Its ETag is its version."""
        return super().get(request, plan)

    @extend_schema(
        operation_id="plans_put",
        parameters=[*CHANGE_PARAMETERS, IF_NONE_MATCH_PARAMETER],
        request=PlanSerializer(partial=True),
        responses={200: or_changes(PlanSerializer), 201: PlanSerializer} | CHANGE_ERRORS,
        examples=build_example("plan", "put"),
    )
    def put(self, request: Request, plan: str) -> Response:
        """Make the plan what the body says, whether or not there was one.

        Fields that are left out take their defaults, as in a new plan. The second time nothing
        changes. Every worker follows within two seconds.
        """
        wanted = self.read_request(request, plan)
        changed = service.put_object(wanted, request.data)
        reply = self.show_change(wanted, changed)
        if not wanted.dry_run:
            reply.data = add_notes(reply.data, changed.notes)
        return reply

    @extend_schema(
        operation_id="plans_change",
        parameters=CHANGE_PARAMETERS,
        request=PlanChangeSerializer(partial=True),
        responses={200: or_changes(PlanSerializer)} | CHANGE_ERRORS,
        examples=build_example("plan", "patch"),
    )
    def patch(self, request: Request, plan: str) -> Response:
        """Change the given fields, inside a half too; the whole change is saved or nothing.

        Fields left out stay as they are. Every worker follows within two seconds. A request in
        flight finishes on the version it began with.
        """
        wanted = self.read_request(request, plan)
        return self.show_change(wanted, service.patch_plan(wanted, request.data))

    @extend_schema(
        operation_id="plans_delete",
        parameters=CHANGE_PARAMETERS,
        responses={200: ChangesSerializer, 204: None}
        | build_error_responses(400, 401, 403, 404, 409, 412),
    )
    def delete(self, request: Request, plan: str) -> Response:
        """Delete the plan. Requests that still name it are served without it.

        The default plan of a key, tenant or route is not deleted: give those another one first.
        """
        return super().delete(request, plan)
