"""Detect questions answered from one person's own data: another's answer would be wrong, or a leak.

Narrow on purpose: a bank's FAQ says "my" all the time. "Where can I find my account number?" has
one answer for everybody, "what is my account number?" has not. So the rules match questions for
the data's value, its state, or whether it exists.
"""

import re

from proxy.core.caching.question_patterns.personal_phrases import asks_for_own_data
from proxy.core.text.plain_words import simplify_text

# Untrusted text is searched from every position, so every repetition has a bound.
_WORD = r"\w{1,30}"
_WITHIN_SENTENCE = r"[^.?!]{0,200}"
# Things whose value differs from person to person.
_OWN_VALUES = (
    r"(?:(?:current|available|remaining|account|outstanding|total) ){0,3}balance|"
    r"account (?:number|manager|name|id)|iban|sort code|credit score|user ?name|log ?in name|"
    r"(?:customer|policy|member|membership|reference|order|booking|tracking|loyalty) (?:number|"
    rf"id)|(?:{_WORD} )?(?:appointment|flight|train|seat|gate|calendar|schedule|shopping cart|"
    r"cart|basket|deductible)|(?:next|last|latest|recent|upcoming) (?:payment|bill|invoice|order|"
    r"transaction|appointment|booking|statement|delivery|meeting|class)s?|"
    r"(?:remaining )?(?:data )?allowance|(?:electricity|energy|gas|water|data) usage|"
    r"(?:blood )?test results?|grades?|order history|subscription|contract|data plan|tariff|"
    r"bookings?|reservations?|order|package|parcel|paycheck|salary|payslip|pension pot"
)
# Things that have a state: arrived, confirmed, approved.
_OWN_STATES = (
    rf"(?:{_WORD} )?(?:order|package|parcel|appointment|booking|reservation|application|claim|"
    r"paycheck|salary|wages|prescription|car|flight|train|passport|visa application|subscription|"
    r"membership|shift|test results?)"
)
_IDENTIFYING_NUMBERS = (
    r"[\w+-]@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}",
    r"\b(?:order|ticket|case|booking|reservation|invoice|tracking|account|reference|policy|claim) ?"
    r"(?:number|no\.?|id|#)? ?(?:is)? ?[:#]? ?(?=[\w-]{0,40}\d)[\w-]{5,40}\b",
    r"\b(?:\d[ -]?){9,30}\d\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\bending (?:in |with )?\d{4}\b",
    r"\bunder (?:the )?name\b(?! of the)",
)
_VALUE_QUESTIONS = (
    r"\b(?:what|when|where|who)(?:'?s| is| are| was| were| does| did| will)?"
    rf"(?: the {_WORD} (?:of|for|on|in|to))? my (?:{_OWN_VALUES})\b(?! mean)",
    r"\bwhat time (?:is|does) my\b",
    r"\bwhat(?:'s| is| was) (?:the total (?:of|in|for)|on|in) my\b",
    r"\bwhat(?:'s| is) the limit on my\b",
    r"\bwhat (?:is|was|were|are) (?:the results? of )?my (?:blood|test|exam|lab)\b",
    r"\bfor my (?:flight|train|appointment)\b",
    (
        rf"\bhow (?:much|many)\b{_WITHIN_SENTENCE}\b(?:do|did|have|am|was) i (?:still |"
        r"already |currently |now )?"
        r"(?:owe|have(?! to)|spend|spent|earned?|met|paid|used?|saved?|left|got|made)\b"
    ),
    rf"\bwh(?:at|ich) (?:{_WORD} )?(?:am|was) i (?:on|in|at|using|paying|taking)\b",
    rf"\bwhat (?:{_WORD} )?(?:am|was) i (?:on|taking|paying)\b",
    rf"\bw(?:hat|hen|here) (?:{_WORD} )?did i (?:last |just )?"
    r"(?:spend|buy|order|get|pay|change|log|sign|book|park|open)\b",
    r"\b(?:show|read|tell|list|give|send) me (?:all |what )?my\b(?! options)",
    r"\b(?:show|read) my (?:last|latest|recent|unread|messages|orders?)\b",
)
_STATE_QUESTIONS = (
    r"(?:^|[.,?!] )(?:has|have|did|is|was|are|were|will) "
    rf"my (?:{_OWN_STATES})\b(?! (?:not|insured|safe|protected))",
    rf"\b(?:status|state) of my (?:{_OWN_STATES})\b",
    r"\bwhere(?:'s| is| are) my (?:order|package|parcel|refund)s?\b",
    r"\bhave you (?:received|got|processed) my\b",
    (
        rf"\b(?:what|which|is)\b{_WITHIN_SENTENCE}\byou (?:have|hold|"
        r"keep) (?:on file )?(?:for|about) me\b"
    ),
    r"\bdo i (?:still |currently )?(?:have|owe) any\b",
    rf"\bis there (?:a|any) {_WORD} on my account\b",
    r"\bwhose name\b",
    r"\blogged in to my account\b",
    r"\bam i (?:still |already |currently )?"
    r"(?:subscribed|enrolled|registered|booked|on the|in arrears|logged in)\b",
    rf"\bi (?:ordered|bought)\b{_WITHIN_SENTENCE}\bwhere(?:'s| is) it\b",
    rf"\bmy (?:last|latest|recent) {_WORD} (?:transactions|orders|payments|invoices)\b",
    r"\bmy (?:last|latest|recent) (?:orders?|transactions?|invoices?)\b",
    rf"\bmy {_WORD}'s (?:birthday|number|address)\b",
    (
        r"\bwhen (?:does|do|will|is) my (?:subscription|contract|membership|policy|insurance|"
        r"refund of|lease)\b"
    ),
)
_PERSONAL_PATTERN = re.compile(
    "|".join((*_IDENTIFYING_NUMBERS, *_VALUE_QUESTIONS, *_STATE_QUESTIONS))
)


def is_personal(question: str) -> bool:
    """Return whether the answer depends on one person's own data.

    In English and the languages of `personal_phrases`; email addresses and numbers in any.
    """
    return _PERSONAL_PATTERN.search(simplify_text(question)) is not None or asks_for_own_data(
        question
    )
