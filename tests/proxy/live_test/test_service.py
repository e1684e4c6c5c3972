"""The test button: two real requests through a running gateway,
with a key that is revoked whatever becomes of them."""

import re

import httpx
import pytest

from plans.models import VirtualKey
from tests.proxy.entries.test_admin import post
from tests.support.gateways import Gateway
from tests.support.upstream import MockUpstream


@pytest.fixture(scope="module")
def staff(gateway: Gateway) -> httpx.Client:
    script = (
        "from django.contrib.auth.models import User; User.objects.create_superuser('root', "
        "password='correct horse'); from plans import services; services.create_plan(owner=None, "
        "body={'plan_name': 'faq', 'preset': 'safe'}); services.create_plan(owner=None, "
        "body={'plan_name': 'off', 'mode': 'off'})"
    )
    gateway.manage("shell", "-c", script)
    client = httpx.Client(base_url=gateway.url, timeout=40)
    client.get("/admin/login/")
    assert (
        post(
            client, "/admin/login/", username="root", password="correct horse", next="/admin/"
        ).status_code
        == 302
    )
    return client


def page_of(staff: httpx.Client, name: str) -> str:
    """The path of the plan's test."""
    found = re.search(
        rf'<a href="(/admin/plans/plan/\d+/)change/[^"]*">{name}</a>',
        staff.get("/admin/plans/plan/").text,
    )
    assert found
    return f"{found[1]}test/"


def tried(staff: httpx.Client, path: str, **fields: str) -> str:
    """The answer to the form as it stands, but for these fields."""
    page = staff.get(path).text
    assert "It costs one call of your provider" in page
    values = {
        name: re.findall(rf'<select name="{name}".*?<option value="([^"]*)"', page, re.DOTALL)[0]
        for name in ("route", "tenant")
    }
    reply = post(staff, path, **({"question": "Say hello."} | values | fields))
    return re.sub(r"\s+", " ", reply.text)


def live_keys(gateway: Gateway) -> str:
    return gateway.manage(
        "shell",
        "-c",
        (
            "from plans.models import VirtualKey as K; print(K.objects.filter(name='Test of a "
            "plan', revoked_at=None).count())"
        ),
    )


def test_the_second_identical_request_is_a_hit_and_the_key_is_revoked(
    gateway: Gateway, staff: httpx.Client, upstream: MockUpstream
) -> None:
    page = tried(staff, page_of(staff, "faq"))
    assert "It works: the second, identical request was answered from the cache" in page
    assert "<code>x-tokenthrift-cache</code></th><td><code>exact</code>" in page
    assert "<code>x-request-id</code>" in page
    assert not re.search(r"tt-[A-Za-z0-9_-]{43}", page)
    assert live_keys(gateway).splitlines()[-1] == "0"


def test_a_plan_that_is_off_says_that_both_went_to_the_provider(staff: httpx.Client) -> None:
    page = tried(staff, page_of(staff, "off"))
    assert "The second, identical request went to the provider too." in page
    assert "<code>plan-off</code>" in page


def test_a_route_that_is_not_there_is_refused_before_anything_is_sent(staff: httpx.Client) -> None:
    assert "Select a valid choice" in tried(staff, page_of(staff, "faq"), route="unheard-of")


def test_the_key_is_revoked_when_nobody_answers(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from plans import services
    from plans.models import Tenant
    from proxy.live_test.service import GatewayUnreachable, run_live_test

    plan = services.create_plan(owner=None, body={"plan_name": "faq"})
    with pytest.raises(GatewayUnreachable, match="cannot be reached"):
        run_live_test(
            plan=plan,
            tenant=Tenant.objects.create(slug="acme"),
            route="smart",
            question="Hi",
            base_url="http://127.0.0.1:9/v1",
        )
    assert VirtualKey.objects.get().revoked_at
