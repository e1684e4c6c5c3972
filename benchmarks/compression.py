"""What compression costs, without a gateway around it:
`measure()` takes about a minute on two cores.

The chats are real ones of fow-cache (CC BY 4.0, Mabon ap Gwyn), strung together: none in the data
exceeds 1,606 tokens. A message of a long chat holds several that were said one after the other by
user or assistant, a line each.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import fow_cache
import numpy as np
import uvloop
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.summarizers.text_rank import TextRankSummarizer

from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithms import text_rank
from proxy.core.compression.compress import compress
from proxy.core.compression.document import Document, read_whole_passage, split_by_sentence
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import split_units
from proxy.core.text.languages import terms
from proxy.core.tokens import count_message_tokens
from proxy.core.types import Message
from proxy.engines.compressors.pool import PoolCompressor

MESSAGES, TOKENS, BUDGET = 500, 60_000, 4096
CHATS, TURNS = 12, 2
# As many as a chat of 60,000 tokens of usual prose has. sumy takes four times as long for twice as
# many, we take twice as long.
SUMY_SENTENCES = 2400
SIZES = (100, 200, 500, 1000, 2000, 5000)
TENANT = 1  # results are remembered for a tenant, and for nobody else
MODEL, ENCODING, LANGUAGE = "gpt-4o-mini", "o200k_base", "english"
ROLES = ("user", "assistant")
QUESTION: Message = {"role": "user", "content": "What did we agree on?"}
Growth = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """`cold_ms`, `next_ms`: p50 of a chat of 500 messages and 60,000 tokens cut to 4,096 by
    TextRank, from the call in this process to the cut in this process, in a worker process that is
    warm: `cold` when it has seen none of the messages, `next` when it has seen all but the last
    turn. `versus_sumy`: how many times faster sentences are ranked than by sumy. `growth`:
    sentences, and milliseconds to compress them cold in this process; `growth_exponent`: the slope
    of that in a plot of logarithms."""

    cold_ms: float
    cold_p99_ms: float
    next_ms: float
    next_p99_ms: float
    versus_sumy: float
    growth: Growth
    growth_exponent: float


def measure() -> Compression:
    """Everything, once."""
    cold, following = uvloop.run(turns())
    curve = growth()
    return Compression(
        cold_ms=statistics.median(cold),
        cold_p99_ms=float(np.percentile(cold, 99)),
        next_ms=statistics.median(following),
        next_p99_ms=float(np.percentile(following, 99)),
        versus_sumy=versus_sumy(),
        growth=curve,
        growth_exponent=exponent(curve),
    )


def long_chats(count: int) -> list[list[Message]]:
    """Chats of MESSAGES and about TOKENS and a question, each put together in another order."""
    return [[*_long_chat(random.Random(seed)), QUESTION] for seed in range(count)]


def _long_chat(source: random.Random) -> list[Message]:
    chats = source.sample(rows := list(_chats()), len(rows))
    said = {
        role: itertools.cycle(
            [one["content"] for chat in chats for one in chat if one["role"] == role]
        )
        for role in ROLES
    }
    return [
        _message(role, said[role]) for role in itertools.islice(itertools.cycle(ROLES), MESSAGES)
    ]


def _message(role: str, said: Iterator[str]) -> Message:
    """What a role said, line by line, until it has its share of the tokens;
    half a line more or less."""
    message = {"role": role, "content": next(said)}
    while count_message_tokens(message, ENCODING) < TOKENS / MESSAGES - 8:
        message["content"] += "\n" + next(said)
    return message


def _chats() -> Iterator[list[Message]]:
    for side in "ab":
        for row in fow_cache.load_conversations():
            yield row[side]


def plan(budget: int) -> CompressionSettings:
    """Lexical ranks."""
    return CompressionSettings(engine="text_rank", max_input_tokens=budget, language=LANGUAGE)


async def turns() -> tuple[list[float], list[float]]:
    """Milliseconds of each cold chat and of each of its next turns, by the pool with one worker.

    The first chat is not counted: it brings the words of the language, which are remembered apart
    from messages.
    """
    pool = PoolCompressor(deadline=30)
    await pool.warm_workers()
    cold: list[float] = []
    following: list[float] = []
    for chat in long_chats(CHATS + 1):
        cold.append(await _once(pool, chat))
        for number in range(TURNS):
            chat += [
                {
                    "role": "assistant",
                    "content": (
                        f"We agreed that parcel {number} goes back. You will be paid within "
                        f"{number + 3} days."
                    ),
                },
                {
                    "role": "user",
                    "content": f"And what about parcel {number + 1}? I have not heard of it.",
                },
            ]
            following.append(await _once(pool, chat))
    await pool.close()
    return cold[1:], following[TURNS:]


async def _once(pool: PoolCompressor, chat: list[Message]) -> float:
    started = time.perf_counter()
    cut = await pool.compress(chat, plan(BUDGET), model=MODEL, tenant=TENANT)
    took = 1000 * (time.perf_counter() - started)
    if cut.note or cut.engine != "text_rank":
        raise RuntimeError(f"compressed by {cut.engine}: {cut.note}")
    return took


def versus_sumy() -> float:
    """sumy's time over ours, from the same SUMY_SENTENCES sentences as text to their ranks:
    words, stems, graph and power method."""
    messages = plain_chat(SUMY_SENTENCES)
    sentences = split_by_sentence(split_units(messages), messages, LANGUAGE, Memo()).pieces
    ours = _median(
        5,
        lambda: text_rank.rank(
            Document(
                sentences,
                LANGUAGE,
                "",
                tuple(read_whole_passage(one.text, LANGUAGE) for one in sentences),
            )
        ),
    )
    document = ObjectDocumentModel([Paragraph([Sentence(one.text, _Words()) for one in sentences])])
    return _median(1, lambda: TextRankSummarizer().rate_sentences(document)) / ours


class _Words:
    """Our words for sumy, whose own tokenizer wants data that must be downloaded."""

    def to_words(self, sentence: str) -> tuple[str, ...]:
        return tuple(terms(sentence, LANGUAGE))


def growth() -> Growth:
    """Sentences and milliseconds for chats of each of the SIZES, nothing remembered,
    cut to 400 tokens."""
    return tuple((size, _cold(plain_chat(size))) for size in SIZES)


def _cold(messages: list[Message]) -> float:
    return _median(9, lambda: compress(messages, plan(400), model=MODEL))


def exponent(curve: Growth) -> float:
    """The slope of a line through the logarithms."""
    sizes, times = np.log(np.array(curve, dtype=np.float64)).T
    return float(np.polyfit(sizes, times, 1)[0])


def plain_chat(sentences: int) -> list[Message]:
    """Whole chats one after the other, cut off at a message when they hold so many sentences,
    and a question."""
    chosen: list[Message] = []
    found = 0
    for message in itertools.chain.from_iterable(_chats()):
        found += len(
            split_by_sentence(
                split_units([message, QUESTION]), [message, QUESTION], LANGUAGE, Memo()
            ).pieces
        )
        chosen.append(message)
        if found >= sentences:
            break
    return [*chosen, QUESTION]


def _median(times: int, work: Callable[[], object]) -> float:
    """Milliseconds."""
    took: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took)


if __name__ == "__main__":
    print(measure())
