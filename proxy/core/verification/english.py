"""Detect English: the rules, and what the verifier was trained on, are for no other language.

Conservative: one small word of another language rules English out; else most words must be English.
"""

from proxy.core.tenant_memory import remember_by_tenant
from proxy.core.verification.lexicon.word_ranks import is_common
from proxy.core.verification.parsed_text import (
    FILLERS,
    JOINED_TOKENS,
    LINKS,
    SENTENCE_BREAK,
    parse_text_memoized,
)

# Small words of other languages in Latin letters, hardly ever met in English.
_FOREIGN_WORDS = frozenset(
    """
ich ist und der das nicht ein eine einen einem einer mein meine meinen meiner meinem dein wie
warum wann kann auf wird werden sind habe zu oder aber auch wenn noch nur sich wir ihr sie zum
zur beim vom bitte gibt est les une dans avec quel quelle quels quelles pourquoi quand notre
votre vous nous je elle que qui aux cette ces puis peut faire sont suis ses leur chez una unos
unas para por como cuando donde quien cual tus estoy esta este estos puedo hacer muy porque
cuanto tengo quiero gli delle dello degli nel nella nei sul cosa quando quale mio miei perche
sono posso anche piu questa questo uma pelo pela meu minha meus minhas quem qual onde fazer nao
voce seu sua isso het een ik mijn jouw uw waar wanneer waarom niet naar voor zijn heeft deze dit
welke worden ook maar geen gdzie kiedy dlaczego nie moje moja moj czy dla moge przez jaki jaka
jakie mozna jak och ett jag hur varfor inte og jeg ikke hvordan hva hvor hvorfor hvad nasil
nerede neden nicin bir icin benim nedir apa bagaimana saya untuk dari dengan tidak adalah bisa
hogyan hol mikor miert nem egy hogy vagy kde preco jako proc kdy muj neni jsem
""".split()
)
# Tokens of joined phrases: oneway, topup.
_PHRASE_TOKENS = frozenset(JOINED_TOKENS.values())
# Share of the words, beside names, that may be in no list.
MAX_UNKNOWN_SHARE = 0.34
_MAX_SHORT_TEXT_WORDS = 3


@remember_by_tenant(512)
def is_english(text: str) -> bool:
    """Return whether the rules may be applied to this text."""
    reading = parse_text_memoized(text)
    words = [token for token in reading.tokens if token[0].isalpha() and token != SENTENCE_BREAK]
    if not words:
        return True  # numbers and signs say the same everywhere
    if 4 * sum(not word.isascii() for word in words) > len(words) or not _FOREIGN_WORDS.isdisjoint(
        words
    ):
        return False
    small = sum(word in FILLERS or word in LINKS for word in words)
    unknown = sum(
        not (word in reading.names or word in FILLERS or word in _PHRASE_TOKENS or is_common(word))
        for word in words
    )
    if len(words) <= _MAX_SHORT_TEXT_WORDS:
        return unknown == 0 or (unknown == 1 < len(words))
    return unknown <= max(1, MAX_UNKNOWN_SHARE * len(words)) and (small > 0 or unknown <= 1)
