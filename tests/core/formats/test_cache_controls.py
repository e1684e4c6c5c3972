"""Cache-Control in a request header means what the body's `cache` object says."""

import pytest

from proxy.core.errors import BadRequest
from proxy.core.formats.cache_controls import (
    MAX_TAG_LENGTH,
    CacheControls,
    merge_cache_control,
    parse_cache_object,
)


@pytest.mark.parametrize(
    ("header", "same_as"),
    [
        ("no-store", {"no-store": True}),
        ("No-Cache", {"no-cache": True}),
        ("only-if-cached, max-age=60", {"only-if-cached": True, "s-maxage": 60}),
        ('s-maxage="5"', {"s-maxage": 5}),
        ("max-age=-1, private, =, max-age=x", {}),
        ("max-age=\u00b2, s-maxage=\u0663, max-age=1_0, max-age=+5", {}),
        ("max-age=00000000000005", {"s-maxage": 5}),
    ],
)
def test_a_header_means_the_same_as_the_body(header: str, same_as: dict[str, object]) -> None:
    assert merge_cache_control(CacheControls(), header) == parse_cache_object(same_as)


def test_the_stricter_age_wins() -> None:
    assert merge_cache_control(parse_cache_object({"s-maxage": 10}), "max-age=60").max_age == 10
    assert merge_cache_control(parse_cache_object({"s-maxage": 100}), "max-age=60").max_age == 60


def test_tags_are_kept_once_each() -> None:
    assert parse_cache_object({"tags": ["prices", "de", "prices"]}).tags == ("prices", "de")
    assert parse_cache_object({"tags": ["é" * MAX_TAG_LENGTH]}).tags == ("é" * MAX_TAG_LENGTH,)


@pytest.mark.parametrize(
    "tags",
    [
        [],
        "prices",
        [""],
        ["a" * (MAX_TAG_LENGTH + 1)],
        ["a\0"],
        ["a\n"],
        ["\ud800"],
        [1],
        [None],
        ["a"] * 9,
        None,
    ],
)
def test_what_can_be_no_tag_is_refused(tags: object) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_cache_object({"tags": tags})
    assert refused.value.param == "cache.tags"


@pytest.mark.parametrize("digits", ["9" * 10, "9" * 5000, "0" * 5000 + "9" * 20])
def test_an_age_of_many_digits_is_as_good_as_for_ever(digits: str) -> None:
    age = merge_cache_control(CacheControls(), f"max-age={digits}").max_age
    assert age is not None
    assert age > 31_536_000


def test_a_namespace_holds_no_nul() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_cache_object({"namespace": "a\0"})
    assert refused.value.param == "cache.namespace"
