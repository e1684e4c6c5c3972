"""What an engine ranks: the earlier history in pieces, each kept or dropped as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from proxy.core.compression.bags import Bags
from proxy.core.compression.languages import terms
from proxy.core.compression.memory import Memory
from proxy.core.compression.passage import Passage, read, read_whole
from proxy.core.compression.turns import Keep, Unit, final_question, texts
from proxy.core.ports import Message


class TooLong(Exception):
    """This history is more than the engine can rank in its time and memory: `trim` takes over."""


class Piece(NamedTuple):
    """A sentence or block, or a whole unit (`part` -1). `unit` is an index into the units; `part` into the message's content parts;
    `start`, `end` in characters of that part."""

    unit: int
    text: str
    part: int = -1
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class History:
    """The pieces in the order of the chat, the language of the plan and the question the chat ends with. `passages`: the texts the
    pieces come from, already read in that language, where there are such."""

    pieces: tuple[Piece, ...]
    language: str
    question: str
    passages: tuple[Passage, ...] | None = None

    @cached_property
    def terms(self) -> list[list[str]]:
        """Each piece's stems without stop words. Raises ValueError for an unknown language."""
        return [terms(piece.text, self.language) for piece in self.pieces]

    @cached_property
    def bags(self) -> Bags:
        """The same as numbers, which takes no time where the texts were read before."""
        return Bags.of(self.terms) if self.passages is None else Bags.joined(self.passages)


# One score a piece, the highest is kept first. May raise TooLong; whatever else it raises, `trim` takes over too.
Rank = Callable[[History], Sequence[float]]


def by_message(chat: list[Unit], messages: list[Message], language: str) -> History:
    """Every unit that may go, whole."""
    pieces = tuple(Piece(index, _spoken(unit, messages)) for index, unit in enumerate(chat) if unit.keep is not Keep.PROTECTED)
    return History(pieces, language, final_question(messages))


def by_sentence(chat: list[Unit], messages: list[Message], language: str, memory: Memory) -> History:
    """Every sentence or block that may go; units that are kept or dropped whole are one piece, their text what was said in them."""
    pieces: list[Piece] = []
    passages: list[Passage] = []
    for index, unit in enumerate(chat):
        if unit.keep is Keep.WHOLE:
            text = _spoken(unit, messages)
            pieces.append(Piece(index, text))
            passages.append(memory.recall(read_whole, text, language))
        elif unit.keep is Keep.SENTENCES:
            for part, text in enumerate(texts(messages[unit.messages[0]])):
                passages.append(memory.recall(read, text, language))
                pieces += [Piece(index, text[start:end], part, start, end) for start, end in passages[-1].edges()]
    return History(tuple(pieces), language, final_question(messages), tuple(passages))


def _spoken(unit: Unit, messages: list[Message]) -> str:
    """The text of users and assistants; results of tools are data and would drown the sentences around them."""
    spoken = (messages[i] for i in unit.messages if messages[i].get("role") in ("user", "assistant"))
    return "\n".join(text for message in spoken for text in texts(message) if text.strip())
