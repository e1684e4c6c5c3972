"""Wildcard routes in the database: made in the admin and in files, priced, granted, resolved."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from plans import capabilities, services
from plans.models import Tenant
from proxy.models import Route, Upstream
from proxy.runtime.config_loader import load_config_snapshot
from proxy.upstreams.connection import add_routes
from proxy.upstreams.selectors import find_model, select_routes
from proxy.upstreams.services import put_route, put_upstream
from tests.proxy.config_files.test_apply import apply, environment, refused
from tests.support.management import manager

pytestmark = pytest.mark.django_db
__all__ = ["environment"]  # for the file of the other tests


@pytest.fixture
def openai() -> Upstream:
    return put_upstream(name="openai", base_url="https://api.openai.com/v1", provider_key="sk-1")


@pytest.fixture
def wildcard(openai: Upstream) -> Route:
    return put_route(name="openai/*", upstream=openai, model="*")


@pytest.mark.parametrize(
    ("name", "model"),
    [("openai/*", "*"), ("fast/*", "accounts/me/models/*"), ("gpt-*", "gpt-*"), ("a*", "b*c")],
)
def test_a_name_that_ends_in_a_wildcard_has_one_in_its_model(
    openai: Upstream, name: str, model: str
) -> None:
    assert put_route(name=name, upstream=openai, model=model).name == name


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("*", "*"),
        ("a*b", "*"),
        ("a/**", "*"),
        ("*/a", "*"),
        ("a/*", "gpt"),
        ("a/*", "*/*"),
        ("a", "*"),
        ("a" * 128 + "*", "*"),
    ],
)
def test_other_wildcards_are_refused(openai: Upstream, name: str, model: str) -> None:
    with pytest.raises(ValidationError):
        put_route(name=name, upstream=openai, model=model)


def test_prices_are_those_of_the_model_and_of_what_it_is_an_alias_of(wildcard: Route) -> None:
    services.seed_prices()
    config = load_config_snapshot()
    prices: dict[str, Any] = {}
    for name in ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-of-nobody"):
        route = config.find_route(f"openai/{name}")
        assert route is not None
        prices[name] = route.price and route.price.input
    assert str(prices["gpt-4o-mini"]) == "0.150000"
    assert prices["gpt-4o-mini-2024-07-18"] == prices["gpt-4o-mini"]
    assert prices["gpt-of-nobody"] is None
    assert find_model("openai/gpt-4o-mini", None).price is not None
    assert find_model("openai/gpt-4o-mini", None).name == "gpt-4o-mini"


def test_a_disabled_route_keeps_its_name_from_a_wildcard(wildcard: Route, openai: Upstream) -> None:
    route = put_route(name="openai/secret", upstream=openai, model="secret")
    assert load_config_snapshot().find_route("openai/secret") is not None
    Route.objects.filter(pk=route.pk).update(enabled=False)
    assert load_config_snapshot().find_route("openai/secret") is None
    assert find_model("openai/secret", None).route is None


def test_a_tenant_and_its_keys_may_be_granted_a_wildcard_or_single_models(
    wildcard: Route, openai: Upstream
) -> None:
    put_route(name="openai/exact", upstream=openai, model="x")
    staff = Client()
    staff.force_login(User.objects.create_superuser("root"))
    add = "/admin/plans/tenant/add/"
    for slug, routes in (("wild", "openai/*"), ("one", "openai/gpt-4o")):
        assert staff.post(add, {"slug": slug, "routes": routes}).status_code == 302
    assert staff.post(add, {"slug": "none", "routes": "groq/x"}).status_code == 200
    wild, one = (Tenant.objects.get(slug=slug) for slug in ("wild", "one"))
    assert capabilities.get_tenant_capabilities(wild).list_routes() == ["openai/*"]
    assert capabilities.get_tenant_capabilities(one).list_routes() == ["openai/gpt-4o"]

    keys = "/admin/plans/virtualkey/add/"
    body = {"name": "k", "expires_at_0": "", "expires_at_1": ""}
    fine = body | {"tenant": wild.pk, "routes": "openai/gpt-4o"}
    assert "No such route" not in staff.post(keys, fine).content.decode()
    for routes in ("openai/exact", "groq/x"):
        reply = staff.post(keys, body | {"tenant": wild.pk, "routes": routes})
        assert "No such route" in reply.content.decode()

    config = load_config_snapshot()
    (key,) = config.keys.values()
    assert config.can_use(key, "openai/gpt-4o")
    assert not config.can_use(key, "openai/gpt-4")
    assert not config.can_use(key, "openai/exact")


def test_resolve_follows_the_default_plan_of_a_wildcard(wildcard: Route) -> None:
    acme = Tenant.objects.create(slug="acme", routes=["openai/*"])
    services.issue_virtual_key(tenant=acme, name="app")
    plan = services.create_plan(owner=None, body={"plan_name": "shared"})
    Route.objects.update(default_plan=plan)
    staff = manager()
    answer = staff.call("GET", "/token-saving/resolve?key=app&model=openai/gpt-4o").json()
    assert (answer["model"], answer["plan_name"]) == ("openai/gpt-4o", "shared")
    for name in ("openai/*", "groq/x", "openai/a%20b"):
        reply = staff.call("GET", f"/token-saving/resolve?key=app&model={name}")
        assert reply.status_code == 404


def test_a_wildcard_is_no_model_to_choose(wildcard: Route) -> None:
    assert list(select_routes(None)) == []
    assert find_model(None, None).route is None


def test_a_providers_list_makes_no_wildcards(openai: Upstream) -> None:
    made = add_routes(openai, ("gpt-a", "gpt-*", "*"), prefix="openai/")
    assert [route.name for route in made] == ["openai/gpt-a"]


def test_files_have_wildcards_too(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    text = """
upstreams: {openai: {key: "${PROVIDER_KEY}"}}
routes: {openai/*: {upstream: openai, model: "*"}}
tenants:
  acme:
    routes: [openai/*, openai/gpt-4o]
    keys: {web: {secret: "${WEB_KEY}", routes: [openai/o3]}}
"""
    file.write_text(text)
    assert "Changed 4 objects" in apply(file)
    assert apply(file) == "Changed 0 objects; 4 as the file says.\n"
    file.write_text(text.replace('model: "*"', "model: gpt"))
    assert "routes.openai/*.model: A route whose name ends in *" in refused(file)
    file.write_text(text.replace("[openai/o3]", "[groq/x]"))
    assert "acme may not use: groq/x" in refused(file)
