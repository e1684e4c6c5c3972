"""The discount that an estimated call is priced with is the one its route had lately."""

import random

from proxy.core.prompt_caching.observed_discount import CachedShareEstimator


def test_a_route_that_told_nothing_has_no_discount() -> None:
    assert CachedShareEstimator().estimate(7, 1, cut=False, prompt=4096) == 0


def test_routes_and_cut_prompts_do_not_mix() -> None:
    discounts = CachedShareEstimator()
    discounts.observe(7, 1, cut=False, prompt=1000, cached=800)
    discounts.observe(7, 1, cut=True, prompt=1000, cached=0)
    discounts.observe(7, 2, cut=False, prompt=1000, cached=100)
    assert discounts.estimate(7, 1, cut=False, prompt=500) == 400
    assert discounts.estimate(7, 1, cut=True, prompt=500) == 0
    assert discounts.estimate(7, 2, cut=False, prompt=500) == 50


def test_tenants_do_not_mix() -> None:
    discounts = CachedShareEstimator()
    discounts.observe(7, 1, cut=False, prompt=1000, cached=800)
    discounts.observe(8, 1, cut=False, prompt=1000, cached=0)
    assert discounts.estimate(7, 1, cut=False, prompt=500) == 400
    assert discounts.estimate(8, 1, cut=False, prompt=500) == 0


def test_long_prompts_weigh_more_than_short_ones() -> None:
    discounts = CachedShareEstimator()
    discounts.observe(7, 1, cut=False, prompt=100, cached=0)
    discounts.observe(7, 1, cut=False, prompt=9900, cached=9900)
    assert 980 <= discounts.estimate(7, 1, cut=False, prompt=1000) <= 1000


def test_what_was_long_ago_fades() -> None:
    discounts = CachedShareEstimator()
    for _ in range(5_000):
        discounts.observe(7, 1, cut=False, prompt=2000, cached=2000)
    for _ in range(5_000):
        discounts.observe(7, 1, cut=False, prompt=2000, cached=0)
    assert discounts.estimate(7, 1, cut=False, prompt=2000) == 0


def test_over_many_calls_estimates_add_up_to_what_was_given() -> None:
    """Where one in two prompts is half warm, the sum over ten thousand calls is right within two
    in a hundred, though no single one is."""
    dice, discounts, given, guessed = random.Random(3), CachedShareEstimator(), 0, 0
    for _ in range(20_000):
        prompt = dice.randrange(20, 400)
        cached = prompt // 2 if dice.random() < 0.5 else 0
        if dice.random() < 0.5:
            discounts.observe(7, 1, cut=False, prompt=prompt, cached=cached)
        else:
            given, guessed = (
                given + cached,
                guessed + discounts.estimate(7, 1, cut=False, prompt=prompt),
            )
    assert abs(guessed / given - 1) < 0.02
