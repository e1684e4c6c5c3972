"""When a chat is cut down, and how long that may take:
said over the API, kept, and refused where it makes no sense."""

import json

import pytest

from tests.support.management import ONE, Manager, refused


@pytest.mark.django_db
def test_a_plan_cuts_always_unless_told_otherwise(platform: Manager) -> None:
    assert platform.create()["compression"]["when"] == "always"
    changed = json.loads(platform.call("PATCH", ONE, {"compression": {"when": "saves"}}).content)
    assert changed["compression"]["when"] == "saves"
    assert json.loads(platform.call("GET", ONE).content)["compression"]["when"] == "saves"


@pytest.mark.django_db
def test_another_word_is_refused_with_what_is_accepted(platform: Manager) -> None:
    platform.create()
    assert "always, saves" in refused(
        platform.call("PATCH", ONE, {"compression": {"when": "never"}}),
        400,
        param="compression.when",
    )


@pytest.mark.django_db
def test_a_deadline_is_kept_and_taken_back(platform: Manager) -> None:
    assert platform.create()["compression"]["deadline_ms"] is None
    for said in (10, 60_000, None):
        changed = json.loads(
            platform.call("PATCH", ONE, {"compression": {"deadline_ms": said}}).content
        )
        assert changed["compression"]["deadline_ms"] == said
        assert json.loads(platform.call("GET", ONE).content) == changed


@pytest.mark.django_db
@pytest.mark.parametrize("said", [9, 60_001, "100", 10.5, True])
def test_another_deadline_is_refused_with_what_is_accepted(platform: Manager, said: object) -> None:
    platform.create()
    problem = refused(
        platform.call("PATCH", ONE, {"compression": {"deadline_ms": said}}),
        400,
        param="compression.deadline_ms",
    )
    assert "from 10 to 60000" in problem
    assert "null is accepted too" in problem
