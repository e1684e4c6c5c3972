"""Remove small talk: sentences without which a chat's last question has the same answer.

Hello, thanks, how are you. A sentence is small talk when every word of it is on the lists below and
one of them is small talk by itself. Yes and no are on none of them, and what follows a question
that is no small talk may be its answer: "great" to "shall I book it?" stays.
"""

import re
from collections.abc import Iterator

from proxy.core.text.normalize import fold_text
from proxy.core.verification.notation import parse_notation

_SMALL_TALK_WORDS = frozenset(
    "hi hello hey hiya howdy greetings dear welcome thanks thank thx cheers appreciate "
    "appreciated grateful glad hope hoping great nice cool awesome wonderful excellent "
    "amazing fantastic brilliant perfect lovely super ok okay alright gotcha pleasure bye "
    "goodbye haha hah lol wow luck happy fine helpful enjoy kind sorry".split()
)
# No two of them exclude each other: both would be dropped, and "great, the first" must not equal
# "great, the last".
_ACCOMPANYING_WORDS = frozenset(
    "a an the i im i'm me my we us our you your youre you're it its it's that thats "
    "that's this those there all is are am was were be been being do doing does did have "
    "has had for of to in at so very really quite much lot lots and but too also as well "
    "good day today far always still again how what can could will would i'll ill i've "
    "ive let's may help helping helped helps assist assistance assisting know hear "
    "hearing see seeing meet meeting chat chatting talk talking worked works work useful "
    "clear sense makes made sure thing problem worries anytime course anything "
    "everything else more weather question questions quick here oh ah hmm um with from "
    "by if ever bit just been busy excited sounds sound looks answer answers explanation "
    "explaining info information patience patient friend friends team everyone folks "
    "certainly doing one asking".split()
)
_IDIOMS = re.compile(
    r"\b(good (morning|afternoon|evening|day)|^morning|last time|how are you|how('s|"
    r" is) (it going|everything|your day)|what's up|how do you do|how have you been|"
    r"are you an? (real person|real human|human|bot|robot)|sorry for the (delay|wait)|(had to|"
    r"let me) (take|answer) a call|be right back|one sec(ond)?|got distracted|no rush|"
    r"take your time|(how|what) (can|may|could) i (help|do|assist)|anything else|it certainly is|"
    r"(i'm|i am) (doing|an? (virtual )?assistant))\b"
)
_SENTENCE = re.compile(r"[^.!?\n]*+[.!?]*+\s*+")
_WORD = re.compile(r"\w+(?:'\w+)*")


def strip_small_talk(text: str) -> str:
    """Return the sentences that are no small talk, unchanged; "" if all of them are."""
    return strip_reply_small_talk(text)[0]


def strip_reply_small_talk(text: str) -> tuple[str, bool]:
    """Return the text without small talk, and whether what is left ends with a question."""
    kept = [sentence for sentence in _split_sentences(text) if not is_small_talk(sentence)]
    return "".join(kept).strip(), bool(kept) and "?" in kept[-1]


def is_small_talk(sentence: str) -> bool:
    """Return whether no answer could depend on the sentence."""
    folded, idioms = _IDIOMS.subn(" ", fold_text(sentence).lower())
    words = _WORD.findall(folded)
    if not all(word in _SMALL_TALK_WORDS or word in _ACCOMPANYING_WORDS for word in words):
        return False
    if words and not idioms and not any(word in _SMALL_TALK_WORDS for word in words):
        return False
    # An emoji or a sign says something.
    return not parse_notation(sentence).is_formal


def _split_sentences(text: str) -> Iterator[str]:
    return (match[0] for match in _SENTENCE.finditer(text) if match[0])
