"""Score texts by whether their date matches the dates in the question.

Logs and transcripts have a date at the head of a message; it applies until the next one.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.algorithms.bm25 import compute_idf
from proxy.core.compression.document import TextSource

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
# "What did we decide in May?" is answered by messages that do not contain "May" themselves.
#
# Only a date within the first characters of a message is taken as the date of that message.
MAX_DATE_OFFSET = 60
_MONTH_NAME = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_ORDINAL_SUFFIX = "(?:st|nd|rd|th)?"
_DATE = re.compile(
    (
        rf"\b(?P<y>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}})\b"
        r"|"
        rf"\b(?:(?P<d1>\d{{1,2}}){_ORDINAL_SUFFIX}(?: of)? )?(?P<m1>{_MONTH_NAME})\.?(?: (?P<d2>\d{{1,2}}){_ORDINAL_SUFFIX}\b)?(?:,? (?P<y1>\d{{4}})\b)?"  # noqa: E501 -- a regular expression stays whole
    ),
    re.IGNORECASE,
)
# What may precede the date of a message: digits, punctuation and a few words.
_DATE_PREFIX = re.compile(
    r"(?:[\W\d_]|\b(?:[ap]m|on|at|date|time|sent|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b)*",
    re.IGNORECASE,
)
DateParts = frozenset[str]


def find_dates(text: str) -> DateParts:
    """Return the months, days and years of the dates in a text, such as m5, d21 and y2023.

    A month counts only with a day or a year, or where its name is written in full, capitalised.
    """
    found: set[str] = set()
    for match in _DATE.finditer(text):
        month, day, year = (
            _parse_month(match),
            match["d"] or match["d1"] or match["d2"],
            match["y"] or match["y1"],
        )
        if month and (day or year or match["m1"] in (name.capitalize() for name in MONTHS)):
            found |= {
                f"m{month}",
                *([f"d{int(day)}"] if day else []),
                *([f"y{year}"] if year else []),
            }
    return frozenset(found)


def find_message_date(text: str) -> DateParts:
    """Return the full date a message begins with; empty if it has none or only part of one."""
    match = _DATE.search(text, 0, MAX_DATE_OFFSET)
    found = (
        find_dates(match[0])
        if match and _DATE_PREFIX.fullmatch(text, 0, match.start())
        else frozenset()
    )
    return found if len(found) == 3 else frozenset()


def score_date_matches(question: str, sources: Sequence[TextSource]) -> NDArray[np.float64] | None:
    """Score each text by how well its date matches those in the question; None if it names none.

    Rare matching parts score higher.
    """
    asked = find_dates(question)
    if not asked:
        return None
    holding: list[DateParts] = []
    for source in sources:
        holding.append(find_message_date(source.text) or (holding[-1] if holding else frozenset()))
    frequency = Counter(part for date in holding for part in date & asked)
    worth = {
        part: float(compute_idf(np.array(count), len(holding))) for part, count in frequency.items()
    }
    return np.array([sum(worth[part] for part in date & asked) for date in holding])


def _parse_month(match: re.Match[str]) -> int:
    """Return the month, 1..12, or 0 for something that only looks like a month."""
    if match["m"]:
        return int(match["m"]) if 1 <= int(match["m"]) <= 12 else 0
    name = match["m1"].lower()
    return next(
        (
            number
            for number, month in enumerate(MONTHS, 1)
            if month == name or month[:3] == name or name == "sept" == month[:4]
        ),
        0,
    )
