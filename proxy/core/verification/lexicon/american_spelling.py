"""British spellings as American ones, so that both are one word: traveller, theatre, anaemia."""

import re

_SPELLING_RULES = tuple(
    (re.compile(pattern), written)
    for pattern, written in (
        (r"(?<=[a-z]{3})our(?=$|s$|ed$|ing$|ful$|less$|able$|ite|ers?$|ly$)", "or"),
        (r"(?<=[a-z]{3})is(?=e$|es$|ed$|ing$|ers?$|ations?$)", "iz"),
        (r"(?<=[a-z]{3})ys(?=e$|es$|ed$|ing$|ers?$)", "yz"),
        (r"(?<=[a-z]{2}[acns])tre(?=$|s$)", "ter"),
        (r"(?<=[aeiou][a-z])ell(?=ed$|ing$|ers?$)", "el"),
        (r"(?<=[aeiou][a-z]{2})ell(?=ed$|ing$|ers?$)", "el"),
        (r"^(an|leuk)aem", r"\1em"),
        (r"^haem(?=[aop])", "hem"),
        (r"^(orthop|encyclop|p)aed", r"\1ed"),
        (r"^oe(?=str|soph|dem)", "e"),
        (r"^foet", "fet"),
        (r"^gynaec", "gynec"),
        (r"^mediaev", "mediev"),
        (r"^manoeuv", "maneuv"),
        (r"^archaeolog", "archeolog"),
        (r"^diarrhoe", "diarrhe"),
    )
)
_IRREGULAR_SPELLINGS = dict(
    pair.split()
    for pair in (
        "odour odor, odours odors, mollusc mollusk, molluscs mollusks, sceptic skeptic, sceptical "
        "skeptical, plough plow, mould mold, jewellery jewelry, aluminium aluminum, ageing aging, "
        "judgement judgment, fulfil fulfill, enrol enroll, skilful skillful, marvellous marvelous, "
        "woollen woolen, pyjamas pajamas, yoghurt yogurt, moustache mustache, cosy cozy, sulphur "
        "sulfur, artefact artifact, artefacts artifacts, doughnut donut, catalogue catalog, "
        "catalogues catalogs, dialogue dialog, dialogues dialogs, defence defense, offence "
        "offense, pretence pretense, amongst among, whilst while, towards toward, learnt learned, "
        "dreamt dreamed, burnt burned"
    ).split(",")
)


def to_american_spelling(word: str) -> str:
    """Return a lower-case word in American spelling."""
    if word in _IRREGULAR_SPELLINGS:
        return _IRREGULAR_SPELLINGS[word]
    # Of words that are not British spellings, the rules make no other word.
    for pattern, written in _SPELLING_RULES:
        word = pattern.sub(written, word, count=1)
    return word
