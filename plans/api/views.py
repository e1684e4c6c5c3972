"""Views of the management API: plans and the engines they can name."""

from dataclasses import asdict
from typing import NoReturn

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import capabilities, selectors, services
from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api.serializers import (
    CacheEngineListSerializer,
    CompressionEngineListSerializer,
    PlanChangeSerializer,
    PlanListSerializer,
    PlanSerializer,
)

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)


class PlansView(APIView):
    """List and create the plans of one owner."""

    @extend_schema(
        operation_id="plans_list",
        parameters=[TENANT_PARAMETER],
        responses={200: PlanListSerializer} | build_error_responses(401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """List the owner's plans, by name."""
        plans = selectors.list_owner_plans(get_plan_owner(request))
        return Response({"object": "list", "data": [PlanSerializer(plan).data for plan in plans]})

    @extend_schema(
        operation_id="plans_create",
        parameters=[TENANT_PARAMETER],
        request=PlanSerializer,
        responses={201: PlanSerializer} | build_error_responses(400, 401, 403, 404, 409, 413, 415),
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
        notes: list[str] = []
        plan = services.create_plan(owner=get_plan_owner(request), body=request.data, notes=notes)
        shown = dict(PlanSerializer(plan).data)
        notes += shown.get("notes", [])
        shown |= {"notes": notes} if notes else {}
        return Response(
            shown,
            status=status.HTTP_201_CREATED,
            headers={"Location": reverse("plan", args=[plan.name])},
        )


class PlanView(APIView):
    """Read, change and delete one plan."""

    @extend_schema(
        operation_id="plans_read",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        responses={200: PlanSerializer} | build_error_responses(401, 403, 404),
    )
    def get(self, request: Request, plan: str) -> Response:
        """Return the plan's present settings."""
        return Response(PlanSerializer(selectors.find_plan(get_plan_owner(request), plan)).data)

    @extend_schema(
        operation_id="plans_change",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        request=PlanChangeSerializer(partial=True),
        responses={200: PlanSerializer} | build_error_responses(400, 401, 403, 404, 409, 413, 415),
    )
    def patch(self, request: Request, plan: str) -> Response:
        """Change the given fields, inside a half too; the whole change is saved or nothing.

        Fields left out stay as they are. Every worker follows within two seconds. A request in
        flight finishes on the version it began with.
        """
        changed = services.change_plan(owner=get_plan_owner(request), name=plan, body=request.data)
        return Response(PlanSerializer(changed).data)

    @extend_schema(
        operation_id="plans_delete",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        responses={204: None} | build_error_responses(401, 403, 404, 409),
    )
    def delete(self, request: Request, plan: str) -> Response:
        """Delete the plan. Requests that still name it are served without it.

        The default plan of a key, tenant or route is not deleted: give those another one first.
        """
        services.delete_plan(owner=get_plan_owner(request), name=plan)
        return Response(status=status.HTTP_204_NO_CONTENT)


class CacheEnginesView(APIView):
    @extend_schema(
        operation_id="cache_engines",
        responses={200: CacheEngineListSerializer} | build_error_responses(401, 403),
    )
    def get(self, request: Request) -> Response:
        """List the engines that `cache.backend` can name, and whether each is available now."""
        return Response(
            {
                "object": "list",
                "data": [
                    asdict(engine)
                    for engine in capabilities.get_capabilities().list_cache_engines()
                ],
            }
        )


class CompressionEnginesView(APIView):
    @extend_schema(
        operation_id="compression_engines",
        responses={200: CompressionEngineListSerializer} | build_error_responses(401, 403),
    )
    def get(self, request: Request) -> Response:
        """List the values of `compression.engine` and `compression.language`."""
        system = capabilities.get_capabilities()
        engines = [asdict(engine) for engine in system.list_compression_engines()]
        return Response({"object": "list", "data": engines, "languages": system.list_languages()})


@extend_schema(exclude=True)
class UnknownPathView(APIView):
    """Answer 404 with the error object for all other paths under /token-saving.

    The caller must be authenticated.
    """

    def _raise_not_found(self, request: Request, path: str = "") -> NoReturn:
        raise NotFound("There is nothing at this path. See /api/docs.")

    get = post = put = patch = delete = _raise_not_found
