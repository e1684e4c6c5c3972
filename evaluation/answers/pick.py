"""Which questions the model is asked: the same ones whenever the data are the same,
and none that was chosen by hand.

Each source gives the same number of questions, from a few chats, so that the questions of a chat
can be asked one after the other.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice, zip_longest

from evaluation.chats import Chat, Question
from proxy.core.tokens import count_message_tokens

# Of each source. The first full history of each is read cold, which takes a model on two cores a
# minute.
CHATS = 4
# Tokens of a history, by ENCODING: longer ones end there.
LONGEST = 10_000
ENCODING = "o200k_base"


def pick(chats: Iterable[Chat], count: int, *, longest: int = LONGEST) -> list[Chat]:
    """Chats, each with the questions to ask: `count` of them, if there are so many,
    and as many from each source. Only questions with a reference answer whose evidence lies within
    the first `longest` tokens. Chats of a source, and questions of a chat, come in the order of
    their digests, and the sources take turns. Raises ValueError where there is nothing to ask."""
    usable = [
        chat
        for chat in (
            _begun(chat, longest) for chat in sorted(chats, key=lambda chat: _digest(chat.id))
        )
        if chat.questions
    ]
    if not usable or count < 1:
        raise ValueError(
            "there is no question to ask: none of the chats has one with a reference answer, "
            "or none was wanted"
        )
    sources = sorted({chat.source for chat in usable})
    shares = [
        count // len(sources) + (number < count % len(sources)) for number in range(len(sources))
    ]
    found = [
        _share([chat for chat in usable if chat.source == source][:CHATS], share)
        for source, share in zip(sources, shares, strict=True)
    ]
    return [chat for row in zip_longest(*found) for chat in row if chat is not None]


def _begun(chat: Chat, longest: int) -> Chat:
    """The chat as it stood after so many tokens, with what can be asked by then, each text once."""
    sizes = accumulate(count_message_tokens(message, ENCODING) for message in chat.messages)
    length = sum(size <= longest for size in sizes)
    known = [
        one
        for one in chat.questions
        if one.answer.strip() and all(index < length for index in one.evidence)
    ]
    once = {one.text: one for one in known}
    return Chat(
        chat.id,
        chat.source,
        chat.messages[:length],
        tuple(sorted(once.values(), key=lambda one: _digest(one.text))),
    )


def _share(chats: Sequence[Chat], share: int) -> list[Chat]:
    """The chats with the first question of each, then the second ones,
    until there are as many as the share."""
    columns = [[(chat.id, question) for question in chat.questions] for chat in chats]
    turns = (one for row in zip_longest(*columns) for one in row if one is not None)
    chosen: dict[str, list[Question]] = {}
    for name, question in islice(turns, share):
        chosen.setdefault(name, []).append(question)
    return [
        Chat(chat.id, chat.source, chat.messages, tuple(chosen[chat.id]))
        for chat in chats
        if chat.id in chosen
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
