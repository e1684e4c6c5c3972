"""When a chat is cut down: said over the API, kept, and refused where it is no word we know."""

import json

import pytest

from tests.web.management import ONE, Manager, refused


@pytest.mark.django_db
def test_a_plan_cuts_always_unless_told_otherwise(platform: Manager) -> None:
    assert platform.create()["compression"]["when"] == "always"
    changed = json.loads(platform.call("PATCH", ONE, {"compression": {"when": "saves"}}).content)
    assert changed["compression"]["when"] == "saves"
    assert json.loads(platform.call("GET", ONE).content)["compression"]["when"] == "saves"


@pytest.mark.django_db
def test_another_word_is_refused_with_what_is_accepted(platform: Manager) -> None:
    platform.create()
    assert "always, saves" in refused(platform.call("PATCH", ONE, {"compression": {"when": "never"}}), 400, param="compression.when")
