"""Questions whose answer lies in one person's own data: another person's answer would be wrong, or a leak.

Narrow on purpose: a bank's FAQ says "my" all the time. "Where can I find my account number?" has one answer for everybody, "what is my
account number?" has not. So the rules look for what is asked of the data: its value, its state, whether it is there.
"""

import re

# Things of which everybody has another value.
_VALUE = (
    r"(?:(?:current|available|remaining|account|outstanding|total) )*balance|account (?:number|manager|name|id)|"
    r"iban|sort code|credit score|"
    r"user ?name|log ?in name|(?:customer|policy|member|membership|reference|order|booking|tracking|loyalty) (?:number|id)|"
    r"(?:\w+ )?(?:appointment|flight|train|seat|gate|calendar|schedule|shopping cart|cart|basket|deductible)|"
    r"(?:next|last|latest|recent|upcoming) "
    r"(?:payment|bill|invoice|order|transaction|appointment|booking|statement|delivery|meeting|class)s?|"
    r"(?:remaining )?(?:data )?allowance|(?:electricity|energy|gas|water|data) usage|(?:blood )?test results?|grades?|order history|"
    r"subscription|contract|data plan|tariff|bookings?|reservations?|order|package|parcel|paycheck|salary|payslip|pension pot"
)
# Things that have a state: arrived, confirmed, approved.
_STATE = (
    r"(?:\w+ )?(?:order|package|parcel|appointment|booking|reservation|application|claim|paycheck|salary|wages|prescription|car|flight|"
    r"train|passport|visa application|subscription|membership|shift|test results?)"
)
_PERSONAL = re.compile(
    # Numbers and addresses that are somebody's.
    r"[\w.+-]+@[\w-]+\.[a-z]{2,}"
    r"|\b(?:order|ticket|case|booking|reservation|invoice|tracking|account|reference|policy|claim)\s*(?:number|no\.?|id|#)?\s*"
    r"(?:is)?\s*[:#]?\s*(?=[\w-]*\d)[\w-]{5,}\b"
    r"|\b(?:\d[ -]?){9,}\d\b|\b\d{3}-\d{2}-\d{4}\b|\bending (?:in |with )?\d{4}\b|\bunder (?:the )?name\b(?! of the)"
    # Asked for the value.
    rf"|\b(?:what|when|where|who)(?:'?s| is| are| was| were| does| did| will)?(?: the \w+ (?:of|for|on|in|to))? my (?:{_VALUE})\b(?! mean)"
    r"|\bwhat time (?:is|does) my\b|\bwhat(?:'s| is| was) (?:the total (?:of|in|for)|on|in) my\b|\bwhat(?:'s| is) the limit on my\b"
    r"|\bwhat (?:is|was|were|are) (?:the results? of )?my (?:blood|test|exam|lab)\b|\bfor my (?:flight|train|appointment)\b"
    r"|\bhow (?:much|many)\b[^.?!]*\b(?:do|did|have|am|was) i (?:still |already |currently |now )?"
    r"(?:owe|have(?! to)|spend|spent|earned?|met|paid|used?|saved?|left|got|made)\b"
    r"|\bwh(?:at|ich) (?:\w+ )?(?:am|was) i (?:on|in|at|using|paying|taking)\b|\bwhat (?:\w+ )?(?:am|was) i (?:on|taking|paying)\b"
    r"|\bw(?:hat|hen|here) (?:\w+ )?did i (?:last |just )?(?:spend|buy|order|get|pay|change|log|sign|book|park|open)\b"
    r"|\b(?:show|read|tell|list|give|send) me (?:all |what )?my\b(?! options)"
    r"|\b(?:show|read) my (?:last|latest|recent|unread|messages|orders?)\b"
    # Asked for its state.
    rf"|(?:^|[.,?!] )(?:has|have|did|is|was|are|were|will) my (?:{_STATE})\b(?! (?:not|insured|safe|protected))"
    rf"|\b(?:status|state) of my (?:{_STATE})\b|\bwhere(?:'s| is| are) my (?:order|package|parcel|refund)s?\b"
    r"|\bhave you (?:received|got|processed) my\b|\b(?:what|which|is)\b[^.?!]*\byou (?:have|hold|keep) (?:on file )?(?:for|about) me\b"
    r"|\bdo i (?:still |currently )?(?:have|owe) any\b|\bis there (?:a|any) \w+ on my account\b|\bwhose name\b|\blogged in to my account\b"
    r"|\bam i (?:still |already |currently )?(?:subscribed|enrolled|registered|booked|on the|in arrears|logged in)\b"
    r"|\bi (?:ordered|bought)\b[^?!]*\bwhere(?:'s| is) it\b|\bmy (?:last|latest|recent) \w+ (?:transactions|orders|payments|invoices)\b"
    r"|\bmy (?:last|latest|recent) (?:orders?|transactions?|invoices?)\b|\bmy \w+'s (?:birthday|number|address)\b"
    r"|\bwhen (?:does|do|will|is) my (?:subscription|contract|membership|policy|insurance|refund of|lease)\b",
    re.IGNORECASE,
)


def is_personal(question: str) -> bool:
    """Whether the answer is one person's. English; numbers and addresses in any language."""
    return _PERSONAL.search(question) is not None
