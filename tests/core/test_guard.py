"""The first guard: which near questions must not share an answer, and which may."""

import pytest

from proxy.core.guard import veto


@pytest.mark.parametrize(
    ("asked", "stored", "reason"),
    [
        ("Can I return it after 30 days?", "Can I return it after 60 days?", "numbers"),
        ("Can I return it after thirty days?", "Can I return it after sixty days?", "numbers"),
        ("What changed in version 2.1?", "What changed in version 2.2?", "numbers"),
        ("How do I cancel my order?", "How do I not cancel my order?", "negation"),
        ("Cancel my subscription", "Don't cancel my subscription", "negation"),
        ("Don’t cancel my subscription", "Cancel my subscription", "negation"),
        ("Wake me at 7am", "Wake me at 7 p.m.", "numbers"),
        ("Is this suitable for children?", "Is this unsuitable for children?", "negation"),
        ("How do I install it?", "How do I uninstall it?", "negation"),
        ("Is the ticket non-refundable?", "Is the ticket refundable?", "negation"),
        ("Do you ship to France?", "Do you ship to Spain?", "names"),
        ("do you ship to France?", "do you ship to Spain?", "names"),
        ("Are you open on monday?", "Are you open on tuesday?", "names"),
        ("Does the Pixel work here?", "Does the phone work here?", "names"),
    ],
)
def test_a_difference_that_matters_is_named(asked: str, stored: str, reason: str) -> None:
    assert veto(asked, stored) == reason
    assert veto(stored, asked) == reason


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("How do I reset my password?", "how can i reset my password"),
        ("Return within 30 days?", "Can I return within thirty days?"),
        ("Do you ship to France?", "do you ship to france"),
        ("DO YOU SHIP TO FRANCE", "Do you ship to France?"),
        ("Wake me at 7am", "wake me at 7 AM"),
        ("Which one is better?", "Which is better?"),
        ("Hi. Can I pay by card?", "Can I pay by card?"),
        ("I can't log in and I don't know why", "I am locked out, why?"),
        ("is pizza considered healthy", "is pizza considered healthy Thanks!"),
        ("", ""),
    ],
)
def test_a_harmless_difference_passes(asked: str, stored: str) -> None:
    assert veto(asked, stored) is None
