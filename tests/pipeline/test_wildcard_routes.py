"""A route with a wildcard serves what begins like it: each model with its own price, answers and
memory."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.pricing import Price
from plans.snapshot import ALL_ROUTES, MAX_MODEL_NAME_LENGTH, find_serving_route
from proxy.core.config import MAX_LISTED_MODELS, ConfigSnapshot, Route
from tests.support.fakes import World, ask, body

CHEAP, DEAR = (Price(input=Decimal(amount), output=Decimal(amount)) for amount in (1, 50))


@dataclass
class Prices:
    """Of these models."""

    by_model: dict[str, Price] = field(default_factory=lambda: {"cheap": CHEAP, "dear": DEAR})

    @property
    def models(self) -> list[str]:
        return sorted(self.by_model)

    @property
    def find_price(self) -> Any:
        return self.by_model.get


def make_world(*routes: tuple[str, str], granted: set[str] | None = None, **fields: Any) -> World:
    """A world with these routes (name, model), and what the tenant may use."""
    world = World()
    sample = next(iter(world.source.config.routes.values()))
    found = {
        name: replace(
            sample,
            id=number,
            name=name,
            model=model,
            price=None if name.endswith("*") else CHEAP,
            prices=Prices() if name.endswith("*") else None,
        )
        for number, (name, model) in enumerate(routes, start=10)
    }
    grants = {1: frozenset(granted or {ALL_ROUTES})}
    world.source.config = replace(
        world.source.config, routes=found, granted_routes=grants, **fields
    )
    return world


ROUTES = (
    ("openai/*", "*"),
    ("openai/ft-*", "tuned/*/v1"),
    ("openai/exact", "gpt-of-ours"),
    ("o*", "other-*"),
)


@pytest.mark.parametrize(
    ("asked", "route", "model"),
    [
        ("openai/gpt-4o", "openai/*", "gpt-4o"),
        ("openai/meta/llama-3:free", "openai/*", "meta/llama-3:free"),
        ("openai/ft-x", "openai/ft-*", "tuned/x/v1"),
        ("openai/ft-", "openai/*", "ft-"),
        ("openai/exact", "openai/exact", "gpt-of-ours"),
        ("openai/exactly", "openai/*", "exactly"),
        ("o1", "o*", "other-1"),
        ("openai/", "o*", "other-penai/"),
        ("openai/*", None, ""),
        ("o*", None, ""),
        ("x", None, ""),
        ("", None, ""),
        ("openai/a b", None, ""),
        ("openai/a\nb", None, ""),
        ("openai/ü", None, ""),
        ("openai/" + "a" * MAX_MODEL_NAME_LENGTH, None, ""),
    ],
)
def test_the_route_of_the_name_wins_then_the_longest_beginning(
    asked: str, route: str | None, model: str
) -> None:
    config = make_world(*ROUTES).source.config
    found = config.find_route(asked)
    assert (found.name if found else None, found.model if found else "") == (route, model)
    assert find_serving_route([name for name, _ in ROUTES], asked) == route


def test_no_wildcard_serves_the_name_of_a_route_that_is_out_of_service() -> None:
    disabled = frozenset({"openai/secret", "openai/ft-*"})
    config = make_world(("openai/*", "*"), disabled_routes=disabled).source.config
    assert config.find_route("openai/secret") is None
    assert config.find_route("openai/ft-x") is None
    assert config.find_route("openai/secrets") is not None


def test_a_model_name_that_grows_too_long_at_the_provider_is_none() -> None:
    config = make_world(("o*", "a" * 100 + "*")).source.config
    assert config.find_route("o" + "b" * 150) is None


async def test_each_model_has_its_own_answers_and_price() -> None:
    world = make_world(("openai/*", "*"))
    for name in ("openai/cheap", "openai/dear", "openai/strange"):
        client = await ask(world, body(model=name))
        assert (client.status, client.headers["x-tokenthrift-cache"]) == (200, "miss")
        assert (await ask(world, body(model=name))).headers["x-tokenthrift-cache"] == "exact"
    sent = [asked["model"] for asked in world.upstream.bodies]
    assert sent == ["cheap", "dear", "strange"]
    cheap, _, dear, _, strange, _ = world.ledger.events
    assert {event.route for event in world.ledger.events} == {"openai/*"}
    assert (cheap.model, dear.model, strange.model) == ("cheap", "dear", "strange")
    assert cheap.billed_cost is not None
    assert cheap.billed_cost * 50 == dear.billed_cost
    assert strange.billed_cost is None


async def test_near_questions_to_two_models_are_not_mixed() -> None:
    world = make_world(("openai/*", "*"))
    await ask(world, body("How do I pay?", model="openai/cheap"))
    near = await ask(world, body("how do i pay", model="openai/dear"))
    assert near.headers["x-tokenthrift-cache"] == "miss"
    near = await ask(world, body("how do i pay", model="openai/cheap"))
    assert near.headers["x-tokenthrift-cache"] == "semantic"


def test_what_is_remembered_of_a_model_is_its_own() -> None:
    config = make_world(("openai/*", "*")).source.config
    routes = [config.find_route(f"openai/{name}") for name in ("cheap", "dear", "cheap")]
    ids = [route.memory_id for route in routes if route]
    assert ids[0] == ids[2] != ids[1]
    assert all(0 < number < 2**53 for number in ids)


@pytest.mark.parametrize(
    ("granted", "usable"),
    [
        ({ALL_ROUTES}, {"openai/cheap", "openai/dear", "openai/exact"}),
        ({"openai/*"}, {"openai/cheap", "openai/dear"}),
        ({"openai/dear"}, {"openai/dear"}),
        ({"openai/exact"}, {"openai/exact"}),
        ({"openai/ft-*"}, set()),
        ({"openai"}, set()),
    ],
)
async def test_a_grant_names_a_wildcard_or_single_models_and_no_route_of_its_own(
    granted: set[str], usable: set[str]
) -> None:
    names = {"openai/cheap", "openai/dear", "openai/exact"}
    world = make_world(("openai/*", "*"), ("openai/exact", "x"), granted=granted)
    (key,) = world.source.config.keys.values()
    for listed in (frozenset[str](), frozenset(granted - {ALL_ROUTES})):
        narrow = replace(key, routes=listed)
        world.source.config = replace(world.source.config, keys={narrow.digest: narrow})
        for name in names:
            status = (await ask(world, body(model=name))).status
            assert status == (200 if name in usable else 403)
        assert {name for name, _ in world.source.config.list_models(narrow)} & names == usable
    narrowed = replace(key, routes=frozenset({"openai/cheap"}))
    assert world.source.config.can_use(narrowed, "openai/cheap") is ("openai/cheap" in usable)
    assert not world.source.config.can_use(narrowed, "openai/dear")


def test_models_that_have_a_price_are_listed_and_not_without_end() -> None:
    priced = Prices({f"m{number:05}": CHEAP for number in range(MAX_LISTED_MODELS + 500)})
    route = Route(
        id=1,
        name="a/*",
        version=1,
        upstream=next(iter(World().source.config.routes.values())).upstream,
        model="*",
        prices=priced,
    )
    others = {f"own-{n}": replace(route, id=n, name=f"own-{n}", model="m") for n in range(5)}
    (key,) = World().source.config.keys.values()
    config = ConfigSnapshot(
        routes={route.name: route, **others}, granted_routes={1: frozenset({ALL_ROUTES})}
    )
    listed = [name for name, _ in config.list_models(key)]
    assert len(listed) == MAX_LISTED_MODELS + 5
    assert listed[0] == "a/m00000"
    assert "a/*" not in listed
    assert orjson.dumps(listed)
