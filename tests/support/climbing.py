"""Every page and path that a logged-in person can ask for, out of the URL configuration,
and rows of all owners to try them on."""

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import ApiToken
from plans.models import AdminKey, Membership, ModelPrice, Plan, Tenant, VirtualKey
from proxy.models import Entry, EntryLook, Route, Upstream, WrongAnswer
from stats.models.cache_entries import Erasure
from stats.models.requests import DeadLetter, RequestEvent, UpstreamAttempt
from tests.support.events import make_event
from tests.support.recorded import store

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=9)


def _request(owner: Tenant, mark: str) -> Model:
    event = make_event(
        tenant_id=owner.pk,
        tenant=owner.slug,
        plan=mark,
        key=mark,
        model=mark,
        plan_id=Plan.objects.get(name=mark).pk,
    )
    store(event)
    return RequestEvent.objects.get(pk=event.event_id)


def _attempt(owner: Tenant, mark: str) -> Model:
    return UpstreamAttempt.objects.create(
        event_id=uuid.uuid4(), at=NOW, tenant_id=owner.pk, model=mark, worker="gone"
    )


def _entry(owner: Tenant, mark: str) -> Model:
    times = dict.fromkeys(("created_at", "used_at"), NOW) | {"expires_at": LATER}
    return Entry.objects.create(
        entry_id=uuid.uuid4().hex,
        tenant_id=owner.pk,
        tenant=owner.slug,
        plan_id=1,
        plan=mark,
        exact=True,
        bytes=1,
        route=mark,
        **times,
    )


def _wrong(owner: Tenant, mark: str) -> Model:
    return WrongAnswer.objects.create(
        event_id=uuid.uuid4(),
        tenant_id=owner.pk,
        tenant=owner.slug,
        plan=mark,
        entry_id=mark,
        until=LATER,
    )


def _token(owner: Tenant, mark: str) -> Model:
    user = User.objects.create(username=f"{mark} with a token", is_staff=True)
    Membership.objects.create(user=user, tenant=owner)
    return ApiToken.objects.create(
        user=user, name=mark, prefix=f"p{mark[:9]}", digest=f"p{mark}", expires_at=LATER
    )


# A row of each model whose pages are a tenant's too. One more page wants one more row.
OWNED: dict[type[Model], Callable[[Tenant, str], Model]] = {
    Tenant: lambda owner, mark: owner,
    Plan: lambda owner, mark: Plan.objects.create(tenant=owner, name=mark),
    VirtualKey: lambda owner, mark: VirtualKey.objects.create(
        tenant=owner, name=mark, prefix=f"v{mark[:9]}", digest=f"v{mark}"
    ),
    AdminKey: lambda owner, mark: AdminKey.objects.create(
        tenant=owner, name=mark, prefix=f"a{mark[:9]}", digest=f"a{mark}"
    ),
    RequestEvent: _request,
    UpstreamAttempt: _attempt,
    Entry: _entry,
    EntryLook: lambda owner, mark: EntryLook.objects.create(
        user_id=1, user=mark, entry_id=mark, tenant=owner.slug, plan=mark
    ),
    ApiToken: _token,
    Erasure: lambda owner, mark: Erasure.objects.create(
        at=NOW, by=mark, tenant_id=owner.pk, plan_id=1, namespace=mark
    ),
    WrongAnswer: _wrong,
}


def rows_of(owner: Tenant, mark: str) -> dict[type[Model], Model]:
    """One row of each, all with that mark on them."""
    return {model: make(owner, mark) for model, make in OWNED.items()}


def platform_rows(mark: str) -> dict[type[Model], Model]:
    """Rows that are no tenant's."""
    upstream = Upstream.objects.create(name=mark, base_url="https://api.openai.com/v1")
    made: list[Model] = [
        upstream,
        Route.objects.create(name=mark, upstream=upstream, model=mark),
        Plan.objects.create(name=mark),
        AdminKey.objects.create(name=mark, prefix="p", digest=f"p{mark}"),
        DeadLetter.objects.create(line=mark.encode(), reason=mark),
        User.objects.create(username=mark, is_staff=True),
    ]
    return {type(row): row for row in made}


def patterns(resolver: URLResolver | None = None, before: str = "") -> Iterator[tuple[str, str]]:
    """Every path there is as (template, name), such as "admin/plans/plan/{object_id}/change/"."""
    for each in (resolver or get_resolver()).url_patterns:
        path = before + _template(str(each.pattern))
        if isinstance(each, URLResolver):
            yield from patterns(each, path)
        elif isinstance(each, URLPattern):
            yield path, each.name or ""


def _template(pattern: str) -> str:
    """Of a route `<int:plan>`, of an expression its groups."""
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", re.sub(r"\(\?P(<\w+>)[^()]*\)", r"\1", pattern))
    return (
        re.sub(r"\([^()]*\)", "{object_id}", path)
        .removeprefix("^")
        .replace("\\Z", "")
        .removesuffix("$")
        .replace("\\", "")
    )


def filled(template: str, value: str) -> str:
    """The path with this value for whatever it names."""
    return "/" + re.sub(r"\{\w+\}", value, template)


def model_of(name: str) -> type[Model] | None:
    """The model whose admin page a URL's name is of."""
    found = (
        model
        for model in admin.site._registry
        if name.startswith(f"{model._meta.app_label}_{model._meta.model_name}_")
    )
    return next(found, None)


def everything(*, but: Tenant) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, but for sessions, the log of the admin and what is
    that tenant's own."""
    found = {}
    for model in apps.get_models():
        if model._meta.label_lower in {"sessions.session", "admin.logentry"} or model._meta.proxy:
            continue
        names = {field.attname for field in model._meta.concrete_fields}
        rows = list(model._default_manager.order_by("pk").values(*(names - {"last_login"})))
        own = {"tenant_id": but.pk} if "tenant_id" in names else {}
        found[model._meta.label_lower] = [
            row for row in rows if not own or row["tenant_id"] != but.pk
        ]
    return found


__all__ = [
    "OWNED",
    "Membership",
    "ModelPrice",
    "everything",
    "filled",
    "model_of",
    "patterns",
    "platform_rows",
    "rows_of",
]
