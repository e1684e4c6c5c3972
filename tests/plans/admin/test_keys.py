"""Keys in the admin: paused, resumed, rotated with an overlap, shown with their last use."""

import re

import pytest
from django.test import Client

from plans import selectors, services
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN
from plans.key_rotation import compute_digest
from plans.models import Tenant, VirtualKey
from plans.records import get_row_history
from tests.support.events import make_event
from tests.support.people import person, session
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
LIST = "/admin/plans/virtualkey/"


@pytest.fixture
def boss(db: None) -> Client:
    return session(person("boss", PLATFORM_ADMIN))


@pytest.fixture
def key(acme: Tenant) -> VirtualKey:
    return services.issue_virtual_key(tenant=acme, name="web")[0]


def act(client: Client, action: str, *keys: VirtualKey, **fields: object) -> str:
    chosen = {"action": action, "_selected_action": [key.pk for key in keys]}
    reply = client.post(LIST, chosen | fields, follow=True)
    assert reply.status_code == 200
    return reply.content.decode()


def test_keys_are_paused_and_resumed_and_the_history_says_who(
    boss: Client, key: VirtualKey
) -> None:
    assert "1 key was paused" in act(boss, "pause_keys", key)
    assert selectors.load_live_keys()[key.digest].paused
    assert "paused" in boss.get(LIST).content.decode()
    note = get_row_history(key).first()
    assert note is not None
    assert (note.actor, note.paused) == ("boss", True)
    assert "0 keys were paused" in act(boss, "pause_keys", key)
    assert "1 key was resumed" in act(boss, "resume_keys", key)
    assert not selectors.load_live_keys()[key.digest].paused


def test_a_key_is_rotated_and_both_secrets_are_listed(boss: Client, key: VirtualKey) -> None:
    asked = act(boss, "rotate_key", key)
    assert "The former secret works on for" in asked
    shown = act(boss, "rotate_key", key, sure="yes", overlap="3600")
    secret = re.search(r"tt-[\w-]{43}", shown)
    assert secret is not None
    assert "works until" in shown
    found = selectors.load_live_keys()
    assert {key.digest, compute_digest(secret[0])} == set(found)
    assert all(each.name == "web" for each in found.values())
    page = boss.get(LIST).content.decode()
    assert "replaced by" in page
    assert secret[0] not in page
    assert boss.get(f"{LIST}{key.pk}/change/").status_code == 200
    refused = act(boss, "rotate_key", key, sure="yes", overlap="3600")
    assert "only a key in use is rotated" in refused
    assert VirtualKey.objects.count() == 2


def test_a_key_and_its_former_secret_are_paused_by_one_click(boss: Client, key: VirtualKey) -> None:
    act(boss, "rotate_key", key, sure="yes", overlap="3600")
    assert "1 key was paused" in act(boss, "pause_keys", *VirtualKey.objects.all())
    assert [each.paused for each in selectors.load_live_keys().values()] == [True, True]
    assert "1 key was resumed" in act(boss, "resume_keys", key)
    assert [each.paused for each in selectors.load_live_keys().values()] == [False, False]


def test_a_leaked_key_is_rotated_without_an_overlap(boss: Client, key: VirtualKey) -> None:
    shown = act(boss, "rotate_key", key, sure="yes", overlap="0")
    assert "is refused within two seconds" in shown
    assert key.digest not in selectors.load_live_keys()


def test_a_former_secret_goes_with_its_key(boss: Client, key: VirtualKey) -> None:
    act(boss, "rotate_key", key, sure="yes", overlap="3600")
    current = VirtualKey.objects.get(successor=None)
    boss.post(f"{LIST}{current.pk}/delete/", {"post": "yes"})
    assert not VirtualKey.objects.exists()


def test_a_rotation_asks_again_for_what_it_does_not_offer(boss: Client, key: VirtualKey) -> None:
    assert "Select a valid choice" in act(boss, "rotate_key", key, sure="yes", overlap="5")
    other, _ = services.issue_virtual_key(tenant=key.tenant, name="other")
    assert "Select one key" in act(boss, "rotate_key", key, other)
    assert VirtualKey.objects.count() == 2


def test_the_list_says_when_a_key_was_used_last(boss: Client, key: VirtualKey) -> None:
    assert "not within 90 days" in boss.get(LIST).content.decode()
    store(make_event(tenant_id=key.tenant_id, tenant="acme", key_id=key.pk, key="web"))
    for path in (LIST, f"{LIST}{key.pk}/change/"):
        page = boss.get(path).content.decode()
        assert "not within 90 days" not in page
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", page)


def test_a_tenants_admin_pauses_its_own_keys_alone(key: VirtualKey, rival: Tenant) -> None:
    theirs, _ = services.issue_virtual_key(tenant=rival, name="theirs")
    client = session(person("ann", TENANT_ADMIN, key.tenant))
    act(client, "pause_keys", key, theirs)
    assert [VirtualKey.objects.get(pk=each.pk).paused for each in (key, theirs)] == [True, False]
    act(client, "rotate_key", theirs, sure="yes", overlap="0")
    assert VirtualKey.objects.get(pk=theirs.pk).revoked_at is None
