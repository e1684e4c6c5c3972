"""A preview as a page shows it: the chat as asked in cards with its stretches marked, and the messages that would be sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from proxy.core.compression.parts import BLOCK_HEAD, RECALL_HEAD
from proxy.core.compression.preview import Place, Preview, Shown
from proxy.core.compression.speech import speaker, spoken
from proxy.core.compression.turns import Keep, Unit, texts
from proxy.core.ports import Message

# place -> what people call it, and what it means
PLACES: dict[Place, tuple[str, str]] = {
    "protected": ("Protected", "sent as it is: system text, the final question, marked for the provider's cache"),
    "recent": ("Recent", "sent whole: the newest turns before the question"),
    "whole": ("Whole", "sent whole"),
    "shortened": ("Shortened", "kept of a message that was too large and was cut in its middle"),
    "block": ("Gist", "a summary of the old part that stays the same for many turns, so that the provider's cache stays warm"),
    "recalled": ("Recalled", "looked up in the old part for this question"),
    "left out": ("Left out", "not sent"),
}
# Rows of the table of scores.
ROWS = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of text. `kind` is the place as a CSS class, "" for the white space between pieces; `number` names its row."""

    text: str
    kind: str = ""
    tip: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A message, or several that share one fate. `number`: "7" or "7-9", "" for one that the gateway wrote."""

    number: str
    speaker: str
    label: str
    kind: str
    stretches: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """A judged piece in the table of scores."""

    number: int
    shown: Shown
    label: str
    kind: str


def asked_cards(messages: list[Message], preview: Preview) -> list[Card]:
    """The chat as asked."""
    cards = []
    for (first, last), some in groupby(enumerate(preview.shown), key=lambda item: (item[1].message, item[1].last_message)):
        pieces = list(some)
        stretches, places = list(_stretches(messages[first], pieces)), {shown.place for _, shown in pieces}
        who = speaker(messages[first]) if first == last else "Tools"
        cards.append(Card(_number(first, last), who, _label(places), _kind(places), stretches))
    return cards


def sent_cards(messages: list[Message], preview: Preview) -> list[Card]:
    """What would be sent."""
    index = {id(message): place for place, message in enumerate(messages)}
    places: dict[int, Place] = {i: shown.place for shown in preview.shown for i in range(shown.message, shown.last_message + 1)}
    cards = []
    for message in messages if preview.cut.messages is None else preview.cut.messages:
        at = index.get(id(message))
        place = _ours(message) if at is None else places.get(at, "protected")
        label = PLACES[place][0] if place else "Stand-in"
        number = "" if at is None else str(at + 1)
        text = _text(message) if at is None or isinstance(message.get("content"), str) else spoken(Unit((0,), Keep.WHOLE), [message])
        cards.append(Card(number, speaker(message), label, _class(place or "stand-in"), [Stretch(text)]))
    return cards


def rows(preview: Preview) -> list[Row]:
    """The judged pieces with the highest scores."""
    judged = [(number, shown) for number, shown in enumerate(preview.shown) if shown.rank is not None]
    judged.sort(key=lambda item: item[1].rank or 0)
    return [Row(number, shown, PLACES[shown.place][0], _class(shown.place)) for number, shown in judged[:ROWS]]


def _stretches(message: Message, pieces: Sequence[tuple[int, Shown]]) -> Iterator[Stretch]:
    """The pieces of a message with what stands between them."""
    said, part, at = texts(message), None, 0
    for number, shown in pieces:
        if shown.part is not None:
            if shown.part != part:
                part, at = shown.part, 0
            if between := said[shown.part][at : shown.start]:
                yield Stretch(between)
            at = shown.end
        yield Stretch(shown.text, _class(shown.place), _tip(shown), number if shown.rank is not None else None)


def _tip(shown: Shown) -> str:
    name = PLACES[shown.place][0]
    return name if shown.rank is None else f"{name} · rank {shown.rank} · score {shown.score:.4g}"


def _number(first: int, last: int) -> str:
    return str(first + 1) if first == last else f"{first + 1}\N{EN DASH}{last + 1}"


def _label(places: set[Place]) -> str:
    return ", ".join(name for place, (name, _) in PLACES.items() if place in places)


def _kind(places: set[Place]) -> str:
    return _class(next(iter(places))) if len(places) == 1 else "mixed"


def _class(place: str) -> str:
    return place.replace(" ", "-")


def _ours(message: Message) -> Place | None:
    """What a message of the gateway's own is; None for a stand-in that keeps the roles in turn."""
    text = _text(message)
    return "block" if text.startswith(BLOCK_HEAD) else "recalled" if text.startswith(RECALL_HEAD) else None


def _text(message: Message) -> str:
    return str(message.get("content"))
