"""Views of virtual keys: list, read, PUT, PATCH, DELETE (revoke) and rotate."""

from datetime import timedelta
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from plans import services
from plans.api.authentication import get_plan_owner
from plans.api.openapi import build_error_responses
from plans.api_errors import InvalidFields
from plans.models import Tenant
from plans.records import MAX_REASON_LENGTH
from proxy.config_api import service
from proxy.config_api.kinds import KEYS
from proxy.config_api.openapi import describe_list, describe_object
from proxy.config_api.parameters import DRY_RUN_PARAMETER, IF_MATCH_PARAMETER, read_flag
from proxy.config_api.serializers import (
    SECRET_HELP,
    ChangesSerializer,
    KeyPatchSerializer,
    KeyPutSerializer,
    KeySerializer,
)
from proxy.config_api.views import ObjectsView, ObjectView
from proxy.config_files.fields import MAX_OVERLAP_SECONDS, read_key_secret, read_overlap

DEFAULT_OVERLAP_SECONDS: Final = 24 * 3600
TENANT_PARAMETER = OpenApiParameter(
    "tenant",
    str,
    OpenApiParameter.QUERY,
    description=(
        "Slug of the key's tenant, for the platform's administrators; a new key needs it. "
        "Default: keys of every tenant."
    ),
)
REVOKED_PARAMETER = OpenApiParameter(
    "revoked", bool, OpenApiParameter.QUERY, description="true: only revoked keys; else none."
)


class RotationSerializer(serializers.Serializer[Any]):
    """How a key is rotated."""

    overlap = serializers.IntegerField(
        default=DEFAULT_OVERLAP_SECONDS,
        min_value=0,
        max_value=MAX_OVERLAP_SECONDS,
        help_text="Seconds that the former secret works on; 0: it is refused at once.",
    )
    secret = serializers.CharField(
        required=False,
        write_only=True,
        help_text=SECRET_HELP["secret"].partition(" Left out")[0] + " Left out: one is made.",
    )
    reason = serializers.CharField(required=False, max_length=MAX_REASON_LENGTH)


class RotatedKeySerializer(KeySerializer):  # type: ignore[misc, valid-type]  # made from a table
    """The new key, with its secret if that was made here, and the former one."""

    former = KeySerializer()


@describe_list("keys", KeySerializer, TENANT_PARAMETER, REVOKED_PARAMETER)
class KeysView(ObjectsView):
    kind = KEYS

    def get_owner(self, request: Request) -> Tenant | None:
        return get_plan_owner(request)

    def get(self, request: Request) -> Response:
        return self.list_page(request, revoked_at__isnull=not read_flag(request, "revoked"))


@describe_object(
    "key",
    (KeySerializer, KeyPutSerializer, KeyPatchSerializer),
    TENANT_PARAMETER,
    deletion="Revoke the key and its former secrets: refused (401) within two seconds, for good.",
)
class KeyView(ObjectView):
    kind = KEYS

    def get_owner(self, request: Request) -> Tenant | None:
        return get_plan_owner(request)


class KeyRotationView(KeyView):
    needs = "change"
    http_method_names = ("post", "options")

    @extend_schema(
        operation_id="keys_rotate",
        parameters=[DRY_RUN_PARAMETER, IF_MATCH_PARAMETER, TENANT_PARAMETER],
        request=RotationSerializer,
        responses={
            200: ChangesSerializer,
            201: RotatedKeySerializer,
        }
        | build_error_responses(400, 401, 403, 404, 409, 412, 413, 415),
        examples=[
            OpenApiExample("rotate", value={"overlap": DEFAULT_OVERLAP_SECONDS}, request_only=True)
        ],
    )
    def post(self, request: Request, name: str) -> Response:
        """Give the key another secret, beside which the former one works on for a time.

        The new secret is a key of its own, of the same name, tenant, routes, default plan and
        expiry. Until the overlap ends both are listed, each with its last use.
        """
        wanted = self.read_request(request, name)
        reason, body = services.split_reason(request.data)
        given = _read_rotation(body)
        done = service.rotate_key(wanted, reason=reason, **given)
        if wanted.dry_run:
            return Response(done.done.build_body(dry_run=True))
        (former,) = self.kind.serialize([done.former])
        shown = {} if given["secret"] else {"secret": done.secret}
        return self.show(done.made, {"former": former, **shown}, status.HTTP_201_CREATED)


def _read_rotation(body: object) -> dict[str, Any]:
    """Return overlap and secret. Raises InvalidFields."""
    if not isinstance(body, dict):
        raise InvalidFields({"": "The body must be an object."})
    text = "Unknown field. Accepted: overlap, secret, reason."
    problems = dict.fromkeys(sorted(body.keys() - {"overlap", "secret"}), text)
    found: dict[str, Any] = {"secret": None}
    try:
        found["overlap"] = timedelta(
            seconds=read_overlap(body.get("overlap", DEFAULT_OVERLAP_SECONDS))
        )
    except ValueError as error:
        problems["overlap"] = str(error)
    try:
        if "secret" in body:
            found["secret"] = read_key_secret(body["secret"])
    except ValueError as error:
        problems["secret"] = str(error)
    if problems:
        raise InvalidFields(problems)
    return found
