"""Detect questions about the writing of a text they contain: "translate: let's eat, grandma".

A comma, a capital or a blank may be what is asked about, so nothing may be folded away.
"""

import re

from proxy.core.text.plain_words import fold_to_plain

_WRITING_WORDS = (
    # English
    "translat(?:e|ion)|proof ?read|correct|rewrite|reword|rephrase|paraphrase|summari[sz]e|"
    "shorten|reverse|capitali[sz]e|count|spell(?:ed|t|ing)?|punctuat(?:e|ion)|conjugate|"
    "transcribe|grammar|grammatical(?:ly)?|typos?|misspell(?:ed|ing|t)?|palindrome|anagram|"
    "rhymes?|syllables?|encode|decode|"
    # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Indonesian
    "übersetze?n?|korrigiere?n?|verbessere?|buchstabiere?|richtig geschrieben|fasse "
    "zusammen|traduis|traduire|traduisez|corrige[zr]?|résume[zr]?|traduce|traducir|traduzca|"
    "resume|traduz|traduza|traduzir|corrija|corrigir|traduci|tradurre|correggi|vertaal|corrigeer|"
    "verbeter|przetłumacz|popraw|tłumacz|çevir|düzelt|terjemahkan|perbaiki|"
    # Russian, Arabic, Hindi, Bengali, Urdu
    "переведи(?:те)?|исправь(?:те)?|проверь(?:те)?|ترجم|صحح|अनुवाद|सुधारो|सुधारें|অনুবাদ|ترجمہ|"
    # Signs and what is made of them.
    "commas?|apostrophes?|hyphens?|colons?|semicolons?|quotes?|quotation "
    "marks?|brackets?|dash(?:es)?|spaces?|blanks?|capitals|upper ?case|lower "
    "?case|characters?|vowels?|consonants?|words|lines|strings?|bytes?|substrings?|regex"
)
_UNSPACED_WORDS = (
    "翻译|翻譯|译成|改写|润色|校对|纠正|修改病句|翻訳|訳して|添削|校正|번역|교정|맞춤법"
)
_WRITING_PATTERN = re.compile(fold_to_plain(rf"\b(?:{_WRITING_WORDS})\b|{_UNSPACED_WORDS}"))
# Where an embedded text begins: after a colon or in quotes. An apostrophe in a word is no quote.
_EMBEDDED_TEXT = re.compile(r": ?\S|[\"“”„«»「」『』]|(?<!\w)'\S")
# Quotes around the whole question quote nothing.
_OUTER_QUOTES = "\"'“”„«»"
_COUNT_QUESTION = re.compile(
    r"\bhow many (?:bytes|characters|letters|vowels|syllables|[a-z]'?s) (?:is|are|has|does|in)\b|"
    r"\b(?:one|a single|two) (?:characters?|letters?)\b|\b(?:unicode name|code ?point) of\b"
)
_CORRECTNESS_QUESTION = re.compile(
    r"\bis (?:it|this|that) (?:correct|right|wrong|grammatical|spelled right)(?: english)?:|"
    r"[\"”'] (?:is )?(?:right|correct|wrong|proper|valid|spelled|the same)\b|\bthe same as [\"“']"
)


def is_about_wording(question: str) -> bool:
    """Return whether a question is about letters or signs of a text within it. Linear."""
    text = " ".join(fold_to_plain(question).split()).strip(_OUTER_QUOTES)
    if _COUNT_QUESTION.search(text) or _CORRECTNESS_QUESTION.search(text):
        return True
    return _WRITING_PATTERN.search(text) is not None and _EMBEDDED_TEXT.search(text) is not None
