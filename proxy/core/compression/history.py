"""What an engine ranks: the earlier history in pieces, each kept or dropped as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from proxy.core.compression.bags import Bags
from proxy.core.compression.fragments import Share
from proxy.core.compression.languages import terms
from proxy.core.compression.memory import Memory
from proxy.core.compression.passage import Passage, read, read_whole
from proxy.core.compression.pieces import Pieces, Source
from proxy.core.compression.speech import labels, spoken, spoken_turns
from proxy.core.compression.structure import Structure
from proxy.core.compression.turns import Keep, Unit, final_question, texts
from proxy.core.ports import Message


class TooLong(Exception):
    """This history is more than the engine can rank in its time and memory: `trim` takes over."""


@dataclass(frozen=True)
class History:
    """The pieces in the order of the chat, the language of the plan and the question the chat ends with. `passages`: the texts the
    pieces come from, already read in that language, where there are such; `memory`: what else is known of texts."""

    pieces: Pieces
    language: str
    question: str
    passages: Sequence[Passage] | None = None
    memory: Memory = field(default_factory=Memory)

    @cached_property
    def terms(self) -> list[list[str]]:
        """Each piece's stems without stop words. Raises ValueError for an unknown language."""
        opaque = set(self.pieces.opaque.tolist())
        return [terms("" if index in opaque else piece.text, self.language) for index, piece in enumerate(self.pieces)]

    @cached_property
    def bags(self) -> Bags:
        """The same as numbers, which takes no time where the texts were read before."""
        return Bags.of(self.terms) if self.passages is None else Bags.joined(self.passages)


# One score a piece, the highest is kept first; where a question was asked, 0 and less is for what has nothing to do with it. May raise
# TooLong; whatever else it raises, `trim` takes over too.
Rank = Callable[[History], Sequence[float]]


def by_message(chat: Sequence[Unit], messages: list[Message], language: str) -> History:
    """Every unit that may go, whole."""
    sources = [Source(index, -1, spoken(unit, messages)) for index, unit in enumerate(chat) if unit.keep is not Keep.PROTECTED]
    return History(Pieces.whole(sources), language, final_question(messages))


def by_sentence(chat: Sequence[Unit], messages: list[Message], language: str, memory: Memory, share: Share | None = None) -> History:
    """Every sentence or block that may go, those of more than the share in fragments; units that are kept or dropped whole are one piece,
    their text what was said in them."""
    names = labels(messages[index] for unit in chat for index in unit.messages)
    sources: list[Source] = []
    passages: list[Passage] = []
    by = language if share is None else f"{language} {share.tokens} {share.encoding}"
    for index, unit in enumerate(chat):
        if unit.keep is Keep.WHOLE:
            if text := spoken(unit, messages, names):
                turns = spoken_turns(unit, messages, names) if share and len(text) * 4 > share.tokens else ()
                sources.append(Source(index, -1, text))
                passages.append(_remembered(memory, "read_whole", f"{by} {turns}", text, partial(read_whole, text, language, share, turns)))
        elif unit.keep is Keep.SENTENCES:
            for part, text in enumerate(texts(messages[unit.messages[0]])):
                sources.append(Source(index, part, text))
                passages.append(_remembered(memory, "read", by, text, partial(read, text, language, share)))
    structures = {
        place: Structure(passage.fragments, passage.wholes, passage.nodes) for place, passage in enumerate(passages) if passage.fragments
    }
    pieces = Pieces(sources, [passage.spans for passage in passages], structures)
    return History(pieces, language, final_question(messages), passages, memory)


def _remembered(memory: Memory, kind: str, by: str, text: str, work: Callable[[], Passage]) -> Passage:
    return memory.remember(kind, by, text.encode("utf-8", "surrogatepass"), work)
