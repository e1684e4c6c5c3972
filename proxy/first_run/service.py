"""Make what a new installation needs: an account, a provider, a route, a plan and a client key.

Each by the function that the admin, the commands and `apply` use too.
"""

import re
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction

from plans import selectors, services
from plans.access import is_tenant_bound
from plans.api_errors import PlanNotFound
from plans.models import Plan, Tenant, VirtualKey
from plans.records import compute_row_version
from proxy.models import Route, Upstream
from proxy.upstreams.services import UPSTREAM_COLUMNS, put_route, save_upstream
from stats.models.requests import RequestEvent

FIRST_TENANT: Final = "default"
FIRST_PLAN: Final = "exact-answers"
FIRST_KEY: Final = "first key"
MAX_ROUTE_NAME_LENGTH: Final = 128
MAX_REQUESTS_SHOWN: Final = 6
# Cheap models that chat, as their providers list them: the first one that is listed is proposed.
STARTER_MODELS: Final = (
    "gpt-4o-mini",
    "gpt-4.1-mini",
    "gpt-5-mini",
    "claude-haiku-4-5",
    "models/gemini-2.5-flash",
    "mistral-small-latest",
    "deepseek-chat",
    "llama-3.1-8b-instant",
    "openai/gpt-4o-mini",
    "grok-4-fast",
)


class AlreadySetUp(Exception):
    """Somebody else was faster: what was to be made is there already."""


def has_staff_account() -> bool:
    return get_user_model().objects.filter(is_staff=True).exists()


def has_route() -> bool:
    return Route.objects.exists()


def may_set_up(user: Any) -> bool:
    """Whether the user may make anything of the platform's."""
    return bool(
        user.is_authenticated and user.is_active and user.is_superuser and not is_tenant_bound(user)
    )


@transaction.atomic
def create_first_account(*, username: str, password: str) -> User:
    """Make the first staff account, a superuser. Raises AlreadySetUp if there is one."""
    services.lock_configuration()  # of two that come at once the second waits, and sees the first
    if has_staff_account():
        raise AlreadySetUp
    return User.objects.create_superuser(username, password=password)


def find_saved_upstream() -> Upstream | None:
    """Return the upstream that the next route will lead to."""
    return Upstream.objects.order_by("-pk").first()


@transaction.atomic
def save_provider(
    *, name: str, provider: str, base_url: str, provider_key: str | None, allow_private: bool
) -> Upstream:
    """Make or change the upstream; None keeps its key. Raises ValidationError or AlreadySetUp."""
    services.lock_configuration()
    if has_route():
        raise AlreadySetUp
    upstream = find_saved_upstream() or Upstream()
    read_version = "" if upstream._state.adding else compute_row_version(upstream)
    upstream.name, upstream.provider = name, provider
    upstream.base_url, upstream.allow_private = base_url, allow_private
    return save_upstream(
        upstream,
        provider_key=provider_key,
        read_version=read_version,
        columns=("name", *UPSTREAM_COLUMNS),
    )


@transaction.atomic
def create_first_key(*, upstream: Upstream, model: str) -> tuple[VirtualKey, str]:
    """Make a route to the model and a key whose default plan answers repeats; return its secret.

    Raises ValidationError for the model, or AlreadySetUp if there is a route.
    """
    services.lock_configuration()
    if has_route():
        raise AlreadySetUp
    put_route(name=name_route(model), upstream=upstream, model=model)
    tenant = Tenant.objects.order_by("pk").first() or services.create_tenant(slug=FIRST_TENANT)
    plan = _find_or_create_plan(tenant)
    return services.issue_virtual_key(tenant=tenant, name=FIRST_KEY, default_plan=plan)


def _find_or_create_plan(tenant: Tenant) -> Plan:
    try:
        return selectors.find_visible_plan(tenant, FIRST_PLAN)
    except PlanNotFound:
        body = {"plan_name": FIRST_PLAN, "preset": "safe"}
        return services.create_plan(owner=tenant, body=body)


def name_route(model: str) -> str:
    """Return the model's own name, so that clients change nothing but the address and the key."""
    named = re.sub(r"[^A-Za-z0-9._:/-]", "-", model)[:MAX_ROUTE_NAME_LENGTH]
    return named.lstrip("._:/-") or "model"


def choose_model(models: tuple[str, ...], *, provider: str) -> str:
    """Return the model to propose: a cheap one that chats, else one with a price, else any."""
    for starter in STARTER_MODELS:
        if starter in models:
            return starter
    priced = selectors.load_prices([(provider, model) for model in models])
    return next((model for model in models if (provider, model) in priced), next(iter(models), ""))


def list_requests(key: VirtualKey) -> list[RequestEvent]:
    """Return the key's first requests, oldest first."""
    return list(RequestEvent.objects.filter(key_id=key.pk).order_by("at")[:MAX_REQUESTS_SHOWN])
