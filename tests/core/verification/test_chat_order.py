"""Whether two sentences with words in another order tell something else."""

import pytest

from proxy.core.verification.chat_order import differ_in_order
from tests.core.verification.test_chat_reading import read


def differs(one: str, other: str) -> bool:
    """Whether the order differs; asserts that it does either way round."""
    ours, theirs = (read(text, "Noted.", "and now?").sentences[0] for text in (one, other))
    found = differ_in_order(ours, theirs)
    assert differ_in_order(theirs, ours) == found
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("On Monday I fly to Oslo.", "I fly to Oslo on Monday."),
        ("We go from Seattle to Oslo.", "We go to Oslo from Seattle."),
        ("Our van is laid up from June till March.", "From June till March our van is laid up."),
        ("Since I moved desks, my screen is black.", "My screen is black since I moved desks."),
        ("I'm already on the big plan.", "I'm on the big plan already."),
        ("The lamp came yesterday.", "Yesterday the lamp came."),
        (
            "I want a dropped kerb so I can park on my drive.",
            "I want a dropped kerb so I can park on my drive, parking on the street is hell.",
        ),
    ],
)
def test_a_phrase_may_move_with_the_word_that_ties_it(one: str, other: str) -> None:
    assert not differs(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("We go from Seattle to Oslo.", "We go from Oslo to Seattle."),
        ("My wife owes my brother money.", "My brother owes my wife money."),
        ("I prefer tea to coffee.", "I prefer coffee to tea."),
        ("I want tea, not coffee.", "I want coffee, not tea."),
        ("Fly on Monday, not Tuesday.", "Fly not on Monday, Tuesday."),
        ("Only my son drives on Sundays.", "My son drives only on Sundays."),
        ("The first is red, the second is blue.", "The first is blue, the second is red."),
        ("Make it red, make it blue.", "Make it blue, make it red."),
        ("Book it, then cancel it.", "Cancel it, then book it."),
        ("Pay before you fly.", "Fly before you pay."),
        ("Pay the rent today and the fee later.", "Pay the rent later and the fee today."),
        ("Pay today, fly tomorrow.", "Pay tomorrow, fly today."),
        ("I pay today fly tomorrow.", "I pay tomorrow fly today."),
        ("Check in Monday, check out Friday.", "Check in Friday, check out Monday."),
        ("Cancel the hotel on Monday and fly.", "Cancel the hotel and fly on Monday."),
        (
            "Cancel the hotel on Monday, keep the flight.",
            "Cancel the flight on Monday, keep the hotel.",
        ),
        ("Two seats for Leeds, three for York.", "Three seats for Leeds, two for York."),
        (
            "For Leeds on Monday and for York on Friday.",
            "For York on Monday and for Leeds on Friday.",
        ),
        (
            "Send the lamp to Leeds and the chair to Bath.",
            "Send the chair to Leeds and the lamp to Bath.",
        ),
        ("Tea with milk for Ann.", "Milk with tea for Ann."),
        ("200 for 29 or 500 for 39.", "500 for 29 or 200 for 39."),
        ("Swap the red one for the blue one.", "Swap the blue one for the red one."),
        ("If it rains I pay because I booked.", "Because it rains I pay if I booked."),
    ],
)
def test_any_other_order_is_another_matter(one: str, other: str) -> None:
    assert differs(one, other)


def test_sentences_that_share_few_words_have_no_order() -> None:
    one = "I drove from Seattle to see my sister and the new baby in Oslo."
    assert not differs(one, "Oslo hosts a fair about boats this week, and Seattle one on trains.")


@pytest.mark.parametrize(("count", "expected"), [(40, False), (100, True)])
def test_in_a_long_sentence_every_other_order_counts(count: int, expected: bool) -> None:
    """Nobody waits for the pairs of thousands of words."""
    words = [
        f"{first}{second}{third}x" for first in "bcdfg" for second in "aeiou" for third in "bcdf"
    ]
    tail = " ".join(words[:count])
    assert differs(f"On Monday I carry {tail}.", f"I carry {tail} on Monday.") == expected
