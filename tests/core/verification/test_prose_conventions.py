"""Prose with its punctuation set apart, and names without their accents,
are read as they are mostly written; signs are not."""

import time

import pytest

from proxy.core.text.spaced_prose import join_punctuation
from proxy.core.verification.accents import unify_name_accents
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.rules.rule_registry import SURE_RULES, veto_question


@pytest.mark.parametrize(
    ("apart", "written"),
    [
        ("Where is the children 's museum ?", "Where is the children's museum?"),
        ("Why do n't penguins fly ?", "Why don't penguins fly?"),
        ("Who wrote `` The Trial '' ?", 'Who wrote "The Trial"?'),
        ("The bridge -LRB- built by Romans -RRB- is old .", "The bridge (built by Romans) is old."),
        ("Who ca n't enter the church ?", "Who can't enter the church?"),
        ("They 've sold the farm ; who bought it ?", "They've sold the farm; who bought it?"),
        (
            "The river rises in Spain , flows west , and ends in Portugal .",
            "The river rises in Spain, flows west, and ends in Portugal.",
        ),
        ("Which actors / singers lived there ?", "Which actors/singers lived there?"),
        (
            "Is a state - owned bank ( founded in 1951 ) safe , and why ?",
            "Is a state-owned bank (founded in 1951) safe, and why?",
        ),
        (
            "The prince -- a friend of O ' Brien -- left the town , it is said .",
            "The prince - a friend of O'Brien - left the town, it is said.",
        ),
        (
            "The 58 @-@ year @-@ old man sold 10 @,@ 000 books .",
            "The 58-year-old man sold 10,000 books.",
        ),
        (
            "The train left at 9 : 55 , and it came back late at night .",
            "The train left at 9:55, and it came back late at night.",
        ),
        (
            "In the long list of letters , this is the one that the last sound is .",
            "In the long list of letters, this is the one that the last sound is.",
        ),
        ("The dogs &apos; owner ca n&apos;t come .", "The dogs' owner ca n&apos;t come."),
    ],
)
def test_prose_set_apart_reads_as_it_is_written(apart: str, written: str) -> None:
    assert veto_question(apart, written) is None
    assert equivalent(apart, written)
    assert equivalent(written, apart)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "What does , mean in this line of text , please ?",
            "What does ; mean in this line of text , please ?",
        ),
        (
            "My teacher wrote 4 / 2 on the board , and then left the room .",
            "My teacher wrote 4 - 2 on the board , and then left the room .",
        ),
        (
            "Is the result of 10 - 4 , as the teacher said , right or wrong ?",
            "Is the result of 10 4 , as the teacher said , right or wrong ?",
        ),
        (
            "In my file , should the line end with ; or with nothing ?",
            "In my file , should the line end with : or with nothing ?",
        ),
        (
            "The price rose by 5 % , and the sales fell at the same time .",
            "The price rose by 5 , and the sales fell at the same time .",
        ),
        (
            "In this face : ) which part is the mouth , and which the nose ?",
            "In this face ; ) which part is the mouth , and which the nose ?",
        ),
        (
            "What is the use of `` ; '' in C , and why is it there at all ?",
            "What is the use of `` : '' in C , and why is it there at all ?",
        ),
        ("He ca n't swim , can he ?", "He can swim , can he ?"),
        ("How do I use ( 3 + 4 ) * 2 ?", "How do I use 3 + ( 4 * 2 ) ?"),
    ],
)
def test_signs_set_apart_stay_signs(one: str, other: str) -> None:
    assert veto_question(one, other, SURE_RULES) is not None
    assert not equivalent(one, other)


@pytest.mark.parametrize(
    "text",
    [
        "What does git add . do ?",
        "Is it better to run git add . or git add -A , please ?",
        "a - b",
        "",
        " , ",
        "x ; y ; z ;",
    ],
)
def test_what_may_be_code_is_left_as_it_is(text: str) -> None:
    assert join_punctuation(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is the town of Córdoba?", "Where is the town of Cordoba?"),
        ("When was José Saramago born?", "When was Jose Saramago born?"),
        ("How do I get to Nîmes from Zürich?", "How do I get to Nimes from Zurich?"),
        ("Where is Łódź on the map?", "Where is Lodz on the map?"),
        ("Is the county of Vâlcea in the south?", "Is the county of Vălcea in the south?"),
    ],
)
def test_a_name_may_be_written_without_its_accents(one: str, other: str) -> None:
    assert veto_question(one, other) is veto_question(other, one) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I serve rosé?", "How do I serve rose?"),
        ("How do I serve Rosé in summer?", "How do I serve Rose in summer?"),
        ("Is a Pâté good?", "Is a Pate good?"),
        ("Is a résumé needed?", "Is a resume needed?"),
        ("Who is Mané?", "Who is mane?"),
        ("Wo ist der Bär im Wald?", "Wo ist der Bar im Wald?"),
        ("Wie esse ich einen Apfel?", "Wie esse ich einen Äpfel?"),
        ("¿Cuántos años tienes?", "¿Cuántos anos tienes?"),
    ],
)
def test_words_stay_apart_by_their_accents(one: str, other: str) -> None:
    assert veto_question(one, other, SURE_RULES) is not None
    assert veto_question(other, one, SURE_RULES) is not None
    assert unify_name_accents(one, other) == (one, other)


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("Where can a traveller rest?", "Where can a traveler rest?"),
        ("How old is the theatre?", "How old is the theater?"),
        ("What is anaemia?", "What is anemia?"),
        ("Is a mollusc an animal?", "Is a mollusk an animal?"),
        ("Who organised the tour?", "Who organized the tour?"),
        ("Which plants are colourless?", "Which plants are colorless?"),
    ],
)
def test_british_and_american_spellings_are_one_word(british: str, american: str) -> None:
    assert veto_question(british, american) is veto_question(american, british) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who scoured the pan?", "Who scored the pan?"),
        ("four", "for"),
        ("tour", "tor"),
        ("filled", "filed"),
    ],
)
def test_a_spelling_rule_makes_no_other_word(one: str, other: str) -> None:
    assert veto_question(one, other) is not None


def test_the_time_is_linear_in_the_length() -> None:
    def seconds(times: int) -> float:
        text = "The king 's brother , José of Łódź , did n't go ( 1950 - 1990 ) . " * times
        begun = time.process_time()
        join_punctuation(text)
        unify_name_accents(text, text + "é")
        return time.process_time() - begun

    seconds(10)
    assert seconds(800) < 12 * max(seconds(200), 0.01)
