"""The settings of an entry's life: the same by API and form, and in force for requests."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plans.models import Plan
from proxy.runtime.config_loader import load_config_snapshot
from tests.plans.admin.test_plans import PLAN
from tests.support.management import ONE, Manager

pytestmark = pytest.mark.django_db
LIFE = {"ttl_jitter": 0.25, "stale_while_revalidate": 30, "stale_if_error": 86400}


def in_force() -> dict[str, object]:
    """What a worker reads."""
    [plan] = load_config_snapshot().plans.values()
    assert plan.cache
    return {name: getattr(plan.cache, name) for name in LIFE}


def test_the_api_takes_gives_and_changes_them(platform: Manager) -> None:
    made = platform.create(cache=LIFE)
    assert {name: made["cache"][name] for name in LIFE} == LIFE == in_force()
    changed = json.loads(platform.call("PATCH", ONE, {"cache": {"stale_if_error": 0}}).content)
    assert (
        {name: changed["cache"][name] for name in LIFE}
        == LIFE | {"stale_if_error": 0}
        == in_force()
    )


def test_the_form_saves_them_and_shows_what_they_do() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert (
        client.post(
            "/admin/plans/plan/add/", PLAN | {name: str(value) for name, value in LIFE.items()}
        ).status_code
        == 302
    )
    assert in_force() == LIFE
    page = client.get(f"/admin/plans/plan/{Plan.objects.get().pk}/change/").content.decode()
    assert "never longer" in page
    assert "Serve expired when the provider fails" in page


def test_a_new_plan_has_jitter_and_serves_nothing_expired(platform: Manager) -> None:
    platform.create(cache={})
    assert in_force() == {"ttl_jitter": 0.1, "stale_while_revalidate": 0, "stale_if_error": 0}


def test_the_document_tells_of_them(client: Client) -> None:
    document = json.loads(client.get("/api/schema?format=json").content)
    assert set(LIFE) <= set(document["components"]["schemas"]["Cache"]["properties"])
    assert "post" in document["paths"]["/token-saving/plans/{plan}/invalidate"]
