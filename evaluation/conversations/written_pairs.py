"""Pairs of chats, made of the written conversations: may the answer at the end of one be served at
the end of the other?

A block is an exchange or a few about one matter, with two twins, one reworded and one mildly so; a
chat is one to six of them. What teaches, what sets the cut and what judges share no block,
question, offer or chatter.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.conversations.written_turns import (
    Row,
    Turns,
    build_messages,
    list_turns,
    names_as_much,
    swap_details,
    touch_up,
    touch_up_some,
)
from proxy.core.types import Message

Part = Literal["teach", "cut", "judge"]
# A twin that says the same as a block in few of its words, or in most of them.
Twin = Literal["reworded", "mild"]

# Of eight parts by digest; half teaches.
_PARTS: tuple[Part, ...] = ("teach", "teach", "teach", "teach", "cut", "cut", "judge", "judge")
# Blocks of a chat, drawn from these.
_BLOCKS = (1, 1, 1, 1, 2, 2, 3, 4, 6)


@dataclass(frozen=True, slots=True)
class ChatPair:
    """`same`: one answer is right for both. `answer`: of the stored chat, "" if nobody wrote it."""

    stored: list[Message]
    asked: list[Message]
    same: bool
    kind: str
    answer: str = ""


def get_part(row: Row) -> Part:
    """Return the part that a row belongs to, by a digest of its text."""
    key = row.get("question") or row.get("offer") or row["exchange"][0]
    return _PARTS[hashlib.sha256(key.encode()).digest()[0] % len(_PARTS)]


def build_chat_pairs(rows: Sequence[Row], count: int, *, seed: int) -> list[ChatPair]:
    """Make `count` pairs of each kind of `KINDS`, from rows of one part."""
    made: list[ChatPair] = []
    for kind, make in KINDS.items():
        maker = _Maker(rows, random.Random(f"{seed} {kind}"))
        of_kind: list[ChatPair] = []
        while len(of_kind) < count:
            drawn = make(maker)
            if drawn is not None:
                pair = maker.build_pair(drawn, kind)
                if pair.stored != pair.asked:
                    of_kind.append(pair)
        made += of_kind
    return made


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Two histories, the last questions, and whether they share an answer."""

    turns: tuple[Turns, Turns]
    questions: tuple[str, str]
    same: bool
    answer: str = ""


class _Maker:
    """Draws chats from the rows of one part."""

    def __init__(self, rows: Sequence[Row], rng: random.Random) -> None:
        self.rng = rng
        self.histories = [row for row in rows if row["kind"] == "history"]
        self.standalone = [row for row in rows if row["kind"] == "standalone"]
        self.offers = [row for row in rows if row["kind"] == "offer"]
        self.chatter = [row for row in rows if row["kind"] == "chatter"]

    def draw_blocks(self, *, without: Row | None = None) -> list[Row]:
        """Draw the blocks of a chat, the last of which its question is about."""
        some = [row for row in self.histories if row is not without]
        return self.rng.sample(some, self.rng.choice(_BLOCKS))

    def draw_question(self, row: Row, *, reworded: float = 0.2) -> str:
        """Draw the question; a share `reworded` is in other words, half of it mildly so."""
        if self.rng.random() >= reworded:
            return str(row["question"])
        mild = "question_mild" in row and self.rng.random() < 0.5
        return str(row["question_mild" if mild else "question_reworded"])

    def draw_twin(self) -> Twin:
        return self.rng.choice(("reworded", "mild"))

    def render_two(self, block: Row, share: float, twin: Twin) -> tuple[Turns, Turns]:
        """Write a block in two ways, which have about `share` of their turns in the same words."""
        plain, other = list_turns(block["history"]), list_turns(block[twin])
        if self.rng.random() < 0.5:
            plain, other = other, plain
        for _ in range(8):
            mixed = [
                one if self.rng.random() < share else two
                for one, two in zip(plain, other, strict=True)
            ]
            if names_as_much(mixed, plain, block):
                return plain, mixed
        return plain, (plain if share > 0.5 else other)

    def render_chats(
        self, blocks: Sequence[Row], share: float, twin: Twin | None = None
    ) -> tuple[Turns, Turns]:
        """Write blocks in two ways; `twin`: of all of them, or None for either of each."""
        one: Turns = []
        two: Turns = []
        for block in blocks:
            ours, theirs = self.render_two(block, share, twin or self.draw_twin())
            one += ours
            two += theirs
        return one, two

    def draw_aside(self, *, chatter: float) -> Turns:
        """Draw what was said besides: chatter, or another question with its answer."""
        if self.rng.random() < chatter:
            return list(self.rng.choice(self.chatter)["exchange"])
        row = self.rng.choice(self.standalone)
        return [row["question"], row["answer"]]

    def insert_asides(self, turns: Turns, *, chatter: float = 0.5) -> Turns:
        """Insert one to three of them anywhere, more in a long chat."""
        found = list(turns)
        for _ in range(self.rng.choice((1, 1, 2, 3)) * (1 + len(found) // 16)):
            at = 2 * self.rng.randrange(len(found) // 2 + 1)
            found[at:at] = self.draw_aside(chatter=chatter)
        return found

    def draw_other_matter(self, without: Row) -> Turns:
        """Draw a matter that was settled before, with its question and answer."""
        row = self.rng.choice([each for each in self.histories if each is not without])
        turns = list_turns(row["history"])
        return [*turns, row["question"], row["answer"]] if self.rng.random() < 0.5 else turns

    def swap(self, turns: Turns, block: Row) -> Turns | None:
        """Swap one detail of the block wherever it is named; at times all of them."""
        swaps = block["swaps"]
        chosen = swaps if self.rng.random() < 0.1 else [self.rng.choice(swaps)]
        found = [swap_details(turn, chosen) for turn in turns]
        return found if found != turns else None

    def build_pair(self, drawn: _Drawn, kind: str) -> ChatPair:
        """Build the pair, either chat first; at times with idle words put in or left out."""
        one, other = drawn.turns
        if self.rng.random() < 0.5:
            other = touch_up_some(other, self.rng, self.rng.choice((0.2, 0.5)))
        chats = [
            build_messages(turns, question)
            for turns, question in zip((one, other), drawn.questions, strict=True)
        ]
        if self.rng.random() < 0.5:
            chats.reverse()
        return ChatPair(chats[0], chats[1], drawn.same, kind, drawn.answer)


@dataclass(frozen=True, slots=True)
class _Told:
    """Two tellings of a chat, and the block that its question is about."""

    one: Turns
    other: Turns
    block: Row


Tell = Callable[[_Maker], _Told]
Make = Callable[[_Maker], _Drawn | None]


def tell_block_reworded(maker: _Maker) -> _Told:
    """Some blocks are reworded, all of their turns."""
    blocks = maker.draw_blocks()
    one: Turns = []
    other: Turns = []
    for block in blocks:
        plain, reworded = maker.render_two(block, 0.0, "reworded")
        one += plain
        other += reworded if maker.rng.random() < 0.7 else plain
    return _Told(one, other, blocks[-1])


def tell_turns_reworded(maker: _Maker) -> _Told:
    blocks = maker.draw_blocks()
    share = maker.rng.choice((0.3, 0.5, 0.7, 0.85))
    return _Told(*maker.render_chats(blocks, share, "reworded"), blocks[-1])


def tell_mildly_reworded(maker: _Maker) -> _Told:
    blocks = maker.draw_blocks()
    return _Told(*maker.render_chats(blocks, _draw_mild_share(maker), "mild"), blocks[-1])


def tell_mildly_reworded_with_asides(maker: _Maker) -> _Told:
    told = tell_mildly_reworded(maker)
    return _Told(told.one, maker.insert_asides(told.other), told.block)


def _draw_mild_share(maker: _Maker) -> float:
    return maker.rng.choice((0.0, 0.3, 0.5, 0.7, 0.85))


def tell_with_asides(chatter: float) -> Tell:
    """One chat has more, of which `chatter` is the share of small talk."""

    def tell(maker: _Maker) -> _Told:
        blocks = maker.draw_blocks()
        one, other = maker.render_chats(blocks, 1.0 if maker.rng.random() < 0.8 else 0.5)
        return _Told(one, maker.insert_asides(other, chatter=chatter), blocks[-1])

    return tell


def tell_with_asides_on_both_sides(maker: _Maker) -> _Told:
    blocks = maker.draw_blocks()
    one, other = maker.render_chats(blocks, maker.rng.choice((1.0, 0.85, 0.7, 0.5, 0.3)))
    return _Told(maker.insert_asides(one), maker.insert_asides(other), blocks[-1])


def tell_after_other_matters(maker: _Maker) -> _Told:
    block = maker.rng.choice(maker.histories)
    share = maker.rng.choice((1.0, 1.0, 0.85, 0.7, 0.5, 0.3))
    one, other = maker.render_two(block, share, maker.draw_twin())
    if maker.rng.random() < 0.5:
        one = maker.draw_other_matter(block) + one
    return _Told(one, maker.draw_other_matter(block) + other, block)


def ask_the_same(tell: Tell) -> Make:
    def make(maker: _Maker) -> _Drawn:
        told = tell(maker)
        questions = (told.block["question"], maker.draw_question(told.block))
        return _Drawn((told.one, told.other), questions, same=True, answer=told.block["answer"])

    return make


def swap_a_detail(tell: Tell) -> Make:
    def make(maker: _Maker) -> _Drawn | None:
        told = tell(maker)
        swapped = maker.swap(told.other, told.block)
        if swapped is None:
            return None
        questions = (told.block["question"], maker.draw_question(told.block, reworded=0.1))
        return _Drawn((told.one, swapped), questions, same=False)

    return make


def reword_question(maker: _Maker) -> _Drawn:
    """The same history; the question is reworded, or has other idle words."""
    blocks = maker.draw_blocks()
    row = blocks[-1]
    touched = touch_up(row["question"], maker.rng)
    reworded = row[maker.rng.choice(("question_reworded", "question_mild"))]
    question = touched if maker.rng.random() < 0.5 else reworded
    turns = list_block_turns(blocks)
    return _Drawn((turns, turns), (row["question"], question), same=True, answer=row["answer"])


def ask_another(maker: _Maker) -> _Drawn:
    """The same history, told in the same words or others; another last question."""
    told = maker.rng.choice((tell_turns_reworded, tell_with_asides(0.5)))(maker)
    other = told.one if maker.rng.random() < 0.4 else told.other
    return _draw_another_question(maker, _Told(told.one, other, told.block))


def ask_another_mildly_reworded(maker: _Maker) -> _Drawn:
    return _draw_another_question(maker, tell_mildly_reworded(maker))


def _draw_another_question(maker: _Maker, told: _Told) -> _Drawn:
    another = maker.rng.choice(told.block["other_questions"])
    questions = (maker.draw_question(told.block, reworded=0.1), another)
    return _Drawn((told.one, told.other), questions, same=False)


def change_history(maker: _Maker) -> _Drawn:
    """Another block before the same question, which needs its own."""
    blocks = maker.draw_blocks()
    last = blocks[-1]
    rivals = [row for row in maker.histories if row not in blocks]
    alike = [row for row in rivals if row["domain"] == last["domain"]]
    rival = maker.rng.choice(alike if alike and maker.rng.random() < 0.5 else rivals)
    lead, other_lead = maker.render_chats(blocks[:-1], maker.rng.choice((0.0, 0.5, 1.0)))
    asides = maker.insert_asides([]) if maker.rng.random() < 0.4 else []
    one = lead + list_turns(last["history"]) + asides
    other = other_lead + list_turns(rival["history"]) + asides
    return _Drawn((one, other), (last["question"],) * 2, same=False)


def drop_an_exchange(*, mild: bool) -> Make:
    """The exchange that alone names a detail is missing in one chat, at times `mild`ly reworded."""

    def make(maker: _Maker) -> _Drawn | None:
        block = maker.rng.choice(maker.histories)
        lead = maker.draw_other_matter(block) if maker.rng.random() < 0.4 else []
        share = _draw_mild_share(maker) if mild else 1.0
        one, other = maker.render_two(block, share, "mild")
        for place in maker.rng.sample(range(len(other) // 2), len(other) // 2):
            rest = other[: 2 * place] + other[2 * place + 2 :]
            if rest and not names_as_much(rest, one, block):
                shown = maker.insert_asides(rest) if maker.rng.random() < 0.6 else rest
                return _Drawn((lead + one, lead + shown), (block["question"],) * 2, same=False)
        return None

    return make


def list_block_turns(blocks: Sequence[Row]) -> Turns:
    return [text for block in blocks for text in list_turns(block["history"])]


def ask_standalone(maker: _Maker) -> _Drawn | None:
    """Histories that have nothing to do with the question."""
    row, turns = maker.rng.choice(maker.standalone), _draw_two_histories(maker)
    if row["question"] in (*turns[0], *turns[1]):
        return None
    questions = (row["question"], maker.draw_question(row, reworded=0.1))
    return _Drawn(turns, questions, same=True, answer=row["answer"])


def ask_another_standalone(maker: _Maker) -> _Drawn:
    row = maker.rng.choice(maker.standalone)
    questions = (row["question"], maker.rng.choice(row["other_questions"]))
    return _Drawn(_draw_two_histories(maker), questions, same=False)


def _draw_two_histories(maker: _Maker) -> tuple[Turns, Turns]:
    one, other = (list_block_turns(maker.draw_blocks()) for _ in range(2))
    if maker.rng.random() < 0.3:
        one = maker.insert_asides(one)
    return one, (maker.insert_asides([], chatter=1.0) if maker.rng.random() < 0.2 else other)


def accept_the_same_offer(maker: _Maker) -> _Drawn:
    row, lead = maker.rng.choice(maker.offers), _draw_lead(maker)
    other = maker.insert_asides(lead) if maker.rng.random() < 0.6 else lead
    drawn = maker.rng.random(), maker.rng.random()
    offer = row["offer" if drawn[0] < 0.8 else "offer_reworded" if drawn[0] < 0.9 else "offer_mild"]
    accept = row[
        "accept" if drawn[1] < 0.6 else "accept_reworded" if drawn[1] < 0.8 else "accept_mild"
    ]
    turns = ([*lead, row["user"], row["offer"]], [*other, row["user"], offer])
    return _Drawn(turns, (row["accept"], accept), same=True, answer=row["answer"])


def accept_a_rival_offer(maker: _Maker) -> _Drawn:
    row, lead = maker.rng.choice(maker.offers), _draw_lead(maker)
    other = maker.insert_asides(lead) if maker.rng.random() < 0.3 else lead
    turns = ([*lead, row["user"], row["offer"]], [*other, row["user"], row["rival"]])
    return _Drawn(turns, (row["accept"],) * 2, same=False)


def refuse_the_offer(maker: _Maker) -> _Drawn:
    row, lead = maker.rng.choice(maker.offers), _draw_lead(maker)
    turns = [*lead, row["user"], row["offer"]]
    return _Drawn((turns, turns), (row["accept"], row["refuse"]), same=False)


def accept_after_another_detail(maker: _Maker) -> _Drawn | None:
    """A detail differs before an offer that does not repeat it."""
    told = maker.rng.choice((tell_with_asides(0.5), tell_turns_reworded))(maker)
    swapped = maker.swap(told.other, told.block)
    if swapped is None:
        return None
    end = [maker.rng.choice(_LEADS_TO_OFFER), maker.rng.choice(_VAGUE_OFFERS)]
    accept = maker.rng.choice(maker.offers)["accept"]
    return _Drawn(([*told.one, *end], [*swapped, *end]), (accept, accept), same=False)


def _draw_lead(maker: _Maker) -> Turns:
    return list_block_turns(maker.draw_blocks()) if maker.rng.random() < 0.5 else []


_LEADS_TO_OFFER = ("right", "I see", "and now?", "what do you suggest?")
_VAGUE_OFFERS = (
    "Shall I go ahead?",
    "Would you like me to arrange that?",
    "Shall I do that for you?",
)
_TOLD: dict[str, Tell] = {
    "blocks reworded": tell_block_reworded,
    "turns reworded": tell_turns_reworded,
    "mildly reworded": tell_mildly_reworded,
    "mildly reworded, with asides": tell_mildly_reworded_with_asides,
    "chatter": tell_with_asides(1.0),
    "asides": tell_with_asides(0.0),
    "asides on both sides": tell_with_asides_on_both_sides,
    "other matters": tell_after_other_matters,
}
STANDALONE_QUESTION = "irrelevant history"
DROPPED_EXCHANGE, MILD_DROPPED_EXCHANGE = "exchange dropped", "mildly reworded, exchange dropped"
KINDS: dict[str, Make] = {
    **{name: ask_the_same(tell) for name, tell in _TOLD.items()},
    "question reworded": reword_question,
    STANDALONE_QUESTION: ask_standalone,
    "same offer": accept_the_same_offer,
    **{f"{name}, another detail": swap_a_detail(tell) for name, tell in _TOLD.items()},
    "another question": ask_another,
    "mildly reworded, another question": ask_another_mildly_reworded,
    "another standalone question": ask_another_standalone,
    "another history": change_history,
    DROPPED_EXCHANGE: drop_an_exchange(mild=False),
    MILD_DROPPED_EXCHANGE: drop_an_exchange(mild=True),
    "rival offer": accept_a_rival_offer,
    "offer refused": refuse_the_offer,
    "another detail before an offer": accept_after_another_detail,
}
