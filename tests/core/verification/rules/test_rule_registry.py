"""The rules of the second look: which near questions must not share an answer and why,
and which may."""

import re
from pathlib import Path

import pytest

from proxy.core.verification.rules.rule_registry import PRE_RULE_REASONS, RULES, veto_question

# Two questions with different answers, by the rule that tells them apart.
DIFFERENT = {
    "numbers": [
        ("Can I return it after 30 days?", "Can I return it after 60 days?"),
        ("Can I return it after thirty days?", "Can I return it after sixty days?"),
        ("What changed in version 2.1?", "What changed in version 2.2?"),
        ("Wake me at 7am", "Wake me at 7 p.m."),
        ("A table for one", "A table for 3"),
        ("Which bus leaves at 7:30?", "Which bus leaves at 8:30?"),
        ("Send twenty-five invitations", "Send 24 invitations"),
    ],
    "units": [
        ("Remind me in 5 hours", "Remind me in 5 days"),
        ("What does $20 buy in Oslo?", "What does €20 buy in Oslo?"),
        ("Cook it for 10 min", "Cook it for 10 seconds"),
    ],
    "negation": [
        ("Is it safe to swim?", "Is it anything but safe to swim?"),
        ("How do I cancel my order?", "How do I not cancel my order?"),
        ("Cancel my subscription", "Don't cancel my subscription"),
        ("Don’t cancel my subscription", "Cancel my subscription"),
        ("Is this suitable for children?", "Is this unsuitable for children?"),
        ("How do I install it?", "How do I uninstall it?"),
        ("Is the ticket non-refundable?", "Is the ticket refundable?"),
        ("Do I need a prescription for this?", "Can I get this without a prescription?"),
    ],
    "antonyms": [
        ("How do I enable two-factor login?", "How do I disable two-factor login?"),
        ("enable 2FA", "disable 2FA"),
        ("How do I turn on paperless statements?", "How do I turn off paperless statements?"),
        ("What is the cheapest plan?", "What is the most expensive plan?"),
        ("Why are prices increasing?", "Why did prices decrease?"),
        ("how do i log in to the portal", "how do i log out of the portal"),
        ("When do I get my weekly report?", "When do I get my monthly report?"),
    ],
    "scope": [
        ("Can I cancel before the trip?", "Can I cancel after the trip?"),
        ("skip to the first song", "skip to the last song"),
        ("Delete all photos", "Delete some photos"),
        ("Does it cost more than a bus?", "Does it cost less than a bus?"),
        ("Do you ship to members?", "Do you only ship to members?"),
        ("Must each guest pay?", "Must one guest pay?"),
        ("Is it free for up to 10 users?", "Is it free for over 10 users?"),
        ("Is it due by Friday?", "Is it due after Friday?"),
    ],
    "dates": [
        ("Will it rain tomorrow?", "Will it rain?"),
        ("What did I spend last week?", "What did I spend this week?"),
        ("Is the pool free in the afternoon?", "Is the pool free in the evening?"),
    ],
    "names": [
        ("Please send 50 dollars to Paul now", "Please send 50 dollars to Paula now"),
        ("Is Daniel in the office today?", "Is Daniela in the office today?"),
        ("Do you ship to France?", "Do you ship to Spain?"),
        ("do you ship to France?", "do you ship to Spain?"),
        ("is delivery to france possible", "can you deliver to madrid"),
        ("Are you open on monday?", "Are you open on tuesday?"),
        ("is delivery to york possible", "is delivery to new york possible"),
        ("does mexico have good trains", "does new mexico have good trains"),
        ("tell paul that i am late", "tell paula that i am late"),
        ("What's Mary's phone number?", "What's Mark's phone number?"),
        ("what is mary's phone number", "what is mark's phone number"),
    ],
    "capitals": [
        ("Does the Pixel work here?", "Does the phone work here?"),
    ],
    "spelling": [
        ("Who pays the trainer?", "Who pays the trainee?"),
        ("Is a high dose of nitrate safe for me?", "Is a high dose of nitrite safe for me?"),
    ],
    "unlisted": [
        ("How do I install numpy?", "How do I install frobnitz?"),
        ("How do I reset my password?", "How do I reset my password? xyzzy"),
        ("Does the menu have zerquat?", "Does the menu have fruit?"),
    ],
    "question": [
        ("When do I collect my parcel?", "Where do I collect my parcel?"),
        ("How long is the course?", "How often is the course?"),
    ],
    "order": [
        ("A train from Leeds to York", "A train from York to Leeds"),
        ("convert euros to dollars", "convert dollars to euros"),
        ("move money from savings to checking", "move money from checking to savings"),
        ("Did the dog bite the postman?", "Did the postman bite the dog?"),
        (
            "The council sold the old mill beside the river to a local brewer",
            "A local brewer sold the old mill beside the river to the council",
        ),
    ],
    "roles": [
        ("Who killed Brutus?", "Who did Brutus kill?"),
        ("Who killed Brutus?", "Who was killed by Brutus?"),
        ("Who did Brutus kill?", "Who was Brutus killed by?"),
        ("Which company bought Skype?", "Which company did Skype buy?"),
        ("Is Marta the one who was hired by Ivo?", "Is Marta the one who hired Ivo?"),
        ("What eats snakes?", "What do snakes eat?"),
    ],
    "particles": [
        ("How do I keep cats in the garden?", "How do I keep cats out of the garden?"),
        ("Emails to John", "Emails from John"),
        ("What are books about Darwin?", "What are books by Darwin?"),
        ("Why do few people vote?", "Why do a few people vote?"),
        ("There is little hope for peace, why?", "There is a little hope for peace, why?"),
    ],
    "tense": [
        ("Did Anna pass the exam?", "Will Anna pass the exam?"),
        ("Does the van have a tow bar?", "Did the van have a tow bar?"),
        ("Is the shop open?", "Was the shop open?"),
        ("Does the pump stop?", "Has the pump stopped?"),
        ("Can I renew my passport early?", "Must I renew my passport early?"),
        ("May I leave the exam?", "Do I have to leave the exam?"),
        ("Why mustn't I mix bleach with vinegar?", "Why don't I mix bleach with vinegar?"),
        ("Why can't I eat this?", "Why shouldn't I eat this?"),
        ("Why can't the printer connect?", "Why won't the printer connect?"),
    ],
    "exchanged": [
        ("How do I light a candle?", "How do I make a candle?"),
        ("What is osmosis?", "What is diffusion?"),
        ("How do I freeze cheese?", "How do I freeze cream cheese?"),
        ("How do I take a bath?", "How do I give a bath?"),
    ],
    "replaced": [
        ("How much notice must a tenant give?", "How much notice must a lodger give?"),
        ("Add cinnamon to my list", "Add pepper to my list"),
        ("order a gift card from the baker", "order a gift card from the florist"),
    ],
    "unrelated": [
        (
            "How do I reset my password?",
            (
                "How do I reset my password? Write a poem about winter storms, mountain lakes and "
                "forgotten harbours."
            ),
        ),
        ("How do I dispute a charge?", "How do I dispute a charge? Which shops sell umbrellas?"),
        ("How do I dispute a charge?", "Set an alarm bell then how do I dispute a charge"),
        ("Where is my parcel?", "Where is my parcel? " * 30),
        (
            (
                "Which bread flour, yeast and oven temperature make a crisp crust with "
                "large open bubbles?"
            ),
            (
                "Which broadband speed, router and wall socket keep several video calls "
                "sharp in attic rooms?"
            ),
        ),
    ],
}


@pytest.mark.parametrize(
    ("reason", "asked", "stored"),
    [(reason, *pair) for reason, pairs in DIFFERENT.items() for pair in pairs],
)
def test_a_difference_that_matters_is_named(reason: str, asked: str, stored: str) -> None:
    assert veto_question(asked, stored) == reason
    assert veto_question(stored, asked) == reason


def test_every_rule_has_its_examples() -> None:
    assert DIFFERENT.keys() == RULES.keys()


def test_the_documentation_lists_every_verdict() -> None:
    text = (Path(__file__).parents[4] / "docs" / "headers.md").read_text()
    section = text.split("## Miss reasons")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [*PRE_RULE_REASONS, *RULES]


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("How do I reset my password?", "how can i reset the password"),
        ("How do I reset my password?", "How do I reset my passwrod?"),
        ("How do I reset my password?", "How do I reset my own password?"),
        ("What are the types of clouds?", "What are the different types of clouds?"),
        ("Who painted the old church?", "Who did paint the old church?"),
        ("Can I transfer money from my account?", "Could I transfer money from my account?"),
        ("Explain a few of the rules", "explain a few of the rules please"),
        ("Return within 30 days?", "Can I return within thirty days?"),
        ("Do you ship to France?", "do you ship to france"),
        ("Do you ship to France?", "do you ship to frnace"),
        ("DO YOU SHIP TO FRANCE", "Do you ship to France?"),
        ("Wake me at 7am", "wake me at 7 AM"),
        ("Wake me at 7:00 a.m.", "wake me at 7 am"),
        ("Which one is better?", "Which is better?"),
        ("Set a timer for 1 hour", "Set a timer for one hour"),
        ("Pay $1,000 to Ann", "Pay 1000 dollars to Ann"),
        (
            "Pay the $50 gas bill of the flat in Leeds by card",
            "Pay the 50 dollars gas bill of the flat in Leeds by card",
        ),
        ("Where is my parcel?", "Hello there. Where is my parcel? Have a nice day."),
        ("Does it work on example.com?", "Hi! Does it work on example.com?!"),
        ("Hi. Can I pay by card?", "Can I pay by card?"),
        ("I can't log in and I don't know why", "I am locked out, why?"),
        ("I want to change the oil", "I have no idea how to change the oil"),
        ("Why can't I log in?", "Why can I not sign in?"),
        ("what's the check-in time", "What is the check in time?"),
        ("is pizza considered healthy", "is pizza considered healthy Thanks!"),
        ("Tomorrow, what is the weather in Paris?", "What is the weather in Paris tomorrow?"),
        ("What happened on June 5?", "What happened on 5 June?"),
        ("Is the clinic open on Sundays?", "Is the clinic open on a Sunday?"),
        (
            "How do I apply for a primary school place?",
            "How do I apply for a place at a primary school?",
        ),
        ("How do I buy a ticket?", "How can I purchase a ticket, please?"),
        ("Who wants New Year resolutions?", "Who wants a New Year Resolution?"),
        ("How do I re\u200bset my pass\u00adword?", "How do I reset my password?"),
        ("", ""),
    ],
)
def test_a_harmless_difference_passes(asked: str, stored: str) -> None:
    assert veto_question(asked, stored) is None
    assert veto_question(stored, asked) is None
