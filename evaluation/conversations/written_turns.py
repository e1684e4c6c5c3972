"""The turns of written chats: listed, with other details, or touched up in what says nothing."""

import random
import re
from collections.abc import Sequence
from typing import Any

from proxy.core.types import Message

Row = dict[str, Any]
Turns = list[str]  # the user's and the assistant's, in turn


def list_turns(block: Sequence[Sequence[str]]) -> Turns:
    return [text for exchange in block for text in exchange]


def names_as_much(turns: Turns, model: Turns, block: Row) -> bool:
    """Return whether the turns name every detail of the block that the model names."""
    said, meant = " ".join(turns).lower(), " ".join(model).lower()
    return all(old.lower() in said for old, _ in block["swaps"] if old.lower() in meant)


def swap_details(text: str, swaps: Sequence[Sequence[str]]) -> str:
    """Swap details, each by whole words and in any case."""
    for old, new in swaps:
        swapped = new.replace("\\", r"\\")
        text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", swapped, text, flags=re.IGNORECASE)
    return text


def build_messages(turns: Turns, question: str) -> list[Message]:
    roles = ("user", "assistant")
    said = [{"role": roles[place % 2], "content": text} for place, text in enumerate(turns)]
    return [*said, {"role": "user", "content": question}]


def touch_up(text: str, rng: random.Random) -> str:
    """Change what says nothing: a greeting, thanks, an adverb, a contraction, the first capital."""
    begin = rng.choice(
        ("Hi, ", "ok, ", "Sure, ", "Thanks. ", "great, ", "so ", "well, ", "", "", "")
    )
    end = rng.choice((" thanks", " please", " btw", " lol", " then", "", "", "", ""))
    for old, new in _CONTRACTIONS:
        if rng.random() < 0.5:
            text = text.replace(old, new) if rng.random() < 0.5 else text.replace(new, old)
    if rng.random() < 0.4:
        words = text.split(" ")
        words.insert(
            rng.randrange(len(words) + 1), rng.choice(("just", "actually", "also", "really"))
        )
        text = " ".join(words)
    text = text if rng.random() < 0.5 else text[:1].lower() + text[1:]
    if end and text[-1:] in ".?!":
        return f"{begin}{text[:-1]}{end}{text[-1]}"
    return f"{begin}{text}{end}"


_CONTRACTIONS = (
    ("I'm", "I am"),
    ("it's", "it is"),
    ("It's", "It is"),
    ("don't", "do not"),
    ("can't", "cannot"),
    ("you're", "you are"),
    ("We've", "We have"),
    ("I've", "I have"),
    ("I'd", "I would"),
    ("there's", "there is"),
    ("that's", "that is"),
)


def touch_up_some(turns: Turns, rng: random.Random, share: float) -> Turns:
    return [touch_up(turn, rng) if rng.random() < share else turn for turn in turns]
