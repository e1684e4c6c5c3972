"""Has a semantic tier gone mad? Seen at once, where sampled hits tell only after some time: suddenly most questions hit, or most hits get
one answer (an embedder that fails alike for all, a key that forgot the question).

Only questions that were not asked before count, so a popular question counts once, however often it is repeated. They are looked at in
blocks of 100. Both tests leave room for what is ordinary, and of a stationary stream each gives less than one false alarm in a hundred
million blocks:

- *one answer*: the hits of a block that one entry got are more than a binomial count allows whose share is a quarter, or twice the
  largest share of the blocks before.
- *hit rate*: it is over the median of the blocks before by six standard deviations, those of sampling and those between blocks (by
  the median absolute deviation, which single odd blocks do not move), and by 0.3 at least.
"""

import hashlib
import math
from collections import Counter, OrderedDict, deque
from statistics import median

BLOCK = 100
BLOCKS = 20
# So many blocks say what is usual; before, a cache that fills up would look like a jump.
USUAL = 8
ASKED = BLOCK * BLOCKS  # questions remembered, as many as the blocks hold
HITS, SHARE, LEAST_SHARE = 30, 0.25, 0.5
CHANCE = 1e-9
SIGMAS, JUMP = 6.0, 0.3
ONE_ANSWER, HIT_RATE = "one-answer", "hit-rate"

Alarm = tuple[str, str]  # a word, a sentence


class Jumps:
    """The look-ups of one plan by one tenant in this worker."""

    def __init__(self) -> None:
        self._asked: OrderedDict[bytes, None] = OrderedDict()
        self._block: list[str] = []
        self._rates: deque[float] = deque(maxlen=BLOCKS)
        self._shares: deque[float] = deque(maxlen=BLOCKS)

    def note(self, question: str, served: str) -> Alarm | None:
        """One look-up; `served`: the entry that answers it, "" on a miss. The alarm that it completes, if it does."""
        digest = hashlib.blake2b(" ".join(question.casefold().split()).encode("utf-8", "replace"), digest_size=8).digest()
        if digest in self._asked:
            return None
        self._asked[digest] = None
        if len(self._asked) > ASKED:
            self._asked.popitem(last=False)
        self._block.append(served)
        if len(self._block) < BLOCK:
            return None
        block, self._block = self._block, []
        return self._judge([entry for entry in block if entry])

    def _judge(self, hits: list[str]) -> Alarm | None:
        """The block's hits against the blocks before. A block that alarms is not usual, and not remembered as such."""
        rate, most = len(hits) / BLOCK, max(Counter(hits).values(), default=0)
        alarm = self._one_answer(most, len(hits)) or self._hit_rate(rate)
        if alarm is None:
            self._rates.append(rate)
            if len(hits) >= HITS:
                self._shares.append(most / len(hits))
        return alarm

    def _one_answer(self, most: int, hits: int) -> Alarm | None:
        share = max(SHARE, 2 * max(self._shares, default=0.0))
        if hits < HITS or most < LEAST_SHARE * hits or share >= 1 or at_least(most, hits, share) >= CHANCE:
            return None
        return ONE_ANSWER, f"{most} of {hits} hits on different new questions got the same answer"

    def _hit_rate(self, rate: float) -> Alarm | None:
        if len(self._rates) < USUAL:
            return None
        usual = median(self._rates)
        spread = 1.4826 * median(abs(each - usual) for each in self._rates)
        sigma = math.sqrt(max(usual * (1 - usual), 0.01) / BLOCK + spread * spread)
        if rate <= usual + max(JUMP, SIGMAS * sigma):
            return None
        return HIT_RATE, f"{rate:.0%} of {BLOCK} new questions hit, where {usual:.0%} are usual"


def at_least(count: int, trials: int, share: float) -> float:
    """The probability that a binomial count is `count` or more."""
    return math.fsum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(count, trials + 1))
