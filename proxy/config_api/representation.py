"""What the API answers of configuration objects; `serializers` describes the shapes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models

from plans.api.serializers import PlanSerializer
from plans.capabilities import KeyUsage
from plans.managed_marks import find_mark
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from proxy.config_files.columns import format_value
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)
from proxy.models import Route, Upstream
from proxy.upstreams.secrets import read_present_secrets


def serialize_mark(row: Any) -> dict[str, Any] | None:
    """Serialize which file names the object."""
    mark = find_mark(row)
    if mark is None:
        return None
    return {
        "file": mark.file,
        "applied_at": mark.applied_at.isoformat(),
        "applied_by": mark.applied_by,
        "locked": bool(settings.LOCK_MANAGED),
    }


def serialize_columns(row: models.Model, fields: Mapping[str, FileField]) -> dict[str, Any]:
    """Serialize the plain columns and the default plan of an object."""
    found = {
        name: format_value(getattr(row, field.column))
        for name, field in fields.items()
        if field.column and not field.is_never_shown
    }
    if "default_plan" in fields:
        plan = getattr(row, "default_plan", None)
        found["default_plan"] = plan.name if plan else None
    return found


def serialize_upstream(row: Upstream) -> dict[str, Any]:
    """Serialize an upstream without its secrets; of those that nobody can decrypt, no name."""
    secrets, _ = read_present_secrets(row)
    return {
        "name": row.name,
        **serialize_columns(row, UPSTREAM_FIELDS),
        "has_key": bool(row.encrypted_key),
        "has_proxy": bool(row.encrypted_proxy_url),
        "header_names": sorted(secrets.headers),
        "query_names": sorted(secrets.query),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
    }


def serialize_route(row: Route) -> dict[str, Any]:
    return {
        "name": row.name,
        "upstream": row.upstream.name,
        **serialize_columns(row, ROUTE_FIELDS),
        "version": row.version,
        "managed": serialize_mark(row),
    }


def serialize_tenant(row: Tenant) -> dict[str, Any]:
    return {
        "slug": row.slug,
        **serialize_columns(row, TENANT_FIELDS),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
    }


def serialize_price(row: ModelPrice) -> dict[str, Any]:
    return {
        "name": str(row),
        "provider": row.provider,
        "model": row.model,
        **serialize_columns(row, PRICE_FIELDS),
        "edited": row.edited,
        "managed": serialize_mark(row),
        "updated_at": row.updated_at.isoformat(),
    }


def serialize_plan(row: Plan) -> dict[str, Any]:
    """Serialize a plan; which file names it, only if one does."""
    mark = serialize_mark(row)
    return dict(PlanSerializer(row).data) | ({"managed": mark} if mark else {})


def serialize_key(row: VirtualKey, use: KeyUsage | None) -> dict[str, Any]:
    """Serialize a key without its secret; `use`: of late, None if there was none."""
    return {
        "id": row.pk,
        "name": row.name,
        "tenant": row.tenant.slug,
        "prefix": row.prefix,
        **serialize_columns(row, KEY_FIELDS),
        "state": row.state,
        "replaced_by": row.successor_id,
        "requests_24h": use.requests if use else 0,
        "last_used_at": _format_time(use.last_at if use else None),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
        "revoked_at": _format_time(row.revoked_at),
    }


def _format_time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
