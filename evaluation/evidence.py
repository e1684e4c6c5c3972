"""Whether a message survived in what was sent:
it stands there word for word, or nearly all of its words do in runs of four."""

import re
from collections.abc import Iterable

from proxy.core.compression.units import list_part_texts
from proxy.core.types import Message

WORD = re.compile(r"\w+")
RUN = 4
SHARE = 0.8


class Sent:
    """The texts of a prompt, ready to be searched."""

    def __init__(self, messages: Iterable[Message]) -> None:
        spoken = [_words(text) for message in messages for text in list_part_texts(message)]
        self._flat = f" {' '.join(' '.join(words) for words in spoken)} "
        self._runs = {run for words in spoken for run in _runs(words)}

    def has(self, text: str) -> bool:
        """Word for word, or 80 % of the words lie in runs of four words that were sent.

        A text of fewer than four words has no runs.
        """
        words = _words(text)
        if f" {' '.join(words)} " in self._flat or not words:
            return True
        covered = {
            at + step
            for at, run in enumerate(_runs(words))
            if run in self._runs
            for step in range(RUN)
        }
        return len(covered) >= SHARE * len(words)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _runs(words: list[str]) -> Iterable[tuple[str, ...]]:
    return [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]
