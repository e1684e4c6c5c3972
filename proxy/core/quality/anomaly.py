"""Detect a semantic tier whose hits jump, long before sampled hits would show it.

Either most questions suddenly hit, or most hits get one answer: an embedder that fails alike for
all, a key that lost the question.

Only questions not asked before count, so a popular one counts once. They are tested in blocks of
100. Both tests allow for ordinary variation: on a stationary stream each raises less than one false
alarm in a hundred million blocks.

- *one answer*: one entry got more hits of a block than a binomial count allows whose share is a
  quarter, or twice the largest share of the blocks before.
- *hit rate*: it exceeds the median of the blocks before by six standard deviations, of sampling and
  between blocks (by the median absolute deviation, which single odd blocks do not move), and by 0.3
  at least.
"""

import hashlib
import math
from collections import Counter, OrderedDict, deque
from statistics import median

BLOCK_QUESTIONS = 100
MAX_BLOCKS = 20
# Blocks that tell the usual hit rate; with fewer, a cache that fills up would look like a jump.
MIN_USUAL_BLOCKS = 8
# Questions remembered: as many as the blocks hold.
MAX_REMEMBERED_QUESTIONS = BLOCK_QUESTIONS * MAX_BLOCKS
MIN_BLOCK_HITS, ORDINARY_ANSWER_SHARE, MIN_ALARM_SHARE = 30, 0.25, 0.5
MAX_FALSE_ALARM_PROBABILITY = 1e-9
MIN_JUMP_SIGMAS, MIN_HIT_RATE_JUMP = 6.0, 0.3
ONE_ANSWER, HIT_RATE = "one-answer", "hit-rate"

Alarm = tuple[str, str]  # the reason in a word, the detail in a sentence


class HitRateMonitor:
    """The lookups of one plan by one tenant in this worker."""

    def __init__(self) -> None:
        self._seen_questions: OrderedDict[bytes, None] = OrderedDict()
        self._current_block: list[str] = []
        self._hit_rates: deque[float] = deque(maxlen=MAX_BLOCKS)
        self._top_answer_shares: deque[float] = deque(maxlen=MAX_BLOCKS)

    def observe_lookup(self, question: str, served: str) -> Alarm | None:
        """Count one lookup; return the alarm if it completes a block that raises one.

        `served`: the entry that answers it, "" on a miss.
        """
        digest = hashlib.blake2b(
            " ".join(question.casefold().split()).encode("utf-8", "replace"), digest_size=8
        ).digest()
        if digest in self._seen_questions:
            return None
        self._seen_questions[digest] = None
        if len(self._seen_questions) > MAX_REMEMBERED_QUESTIONS:
            self._seen_questions.popitem(last=False)
        self._current_block.append(served)
        if len(self._current_block) < BLOCK_QUESTIONS:
            return None
        block, self._current_block = self._current_block, []
        return self._check_block([entry for entry in block if entry])

    def _check_block(self, hits: list[str]) -> Alarm | None:
        """Test a block's hits against the blocks before, and remember it if it raises no alarm."""
        rate, most = len(hits) / BLOCK_QUESTIONS, max(Counter(hits).values(), default=0)
        alarm = self._check_one_answer(most, len(hits)) or self._check_hit_rate(rate)
        # A block that raises an alarm is not usual, and not remembered as such.
        if alarm is None:
            self._hit_rates.append(rate)
            if len(hits) >= MIN_BLOCK_HITS:
                self._top_answer_shares.append(most / len(hits))
        return alarm

    def _check_one_answer(self, most: int, hits: int) -> Alarm | None:
        share = max(ORDINARY_ANSWER_SHARE, 2 * max(self._top_answer_shares, default=0.0))
        if (
            hits < MIN_BLOCK_HITS
            or most < MIN_ALARM_SHARE * hits
            or share >= 1
            or binomial_tail(most, hits, share) >= MAX_FALSE_ALARM_PROBABILITY
        ):
            return None
        return ONE_ANSWER, f"{most} of {hits} hits on different new questions got the same answer"

    def _check_hit_rate(self, rate: float) -> Alarm | None:
        if len(self._hit_rates) < MIN_USUAL_BLOCKS:
            return None
        usual = median(self._hit_rates)
        spread = 1.4826 * median(abs(each - usual) for each in self._hit_rates)
        sigma = math.sqrt(max(usual * (1 - usual), 0.01) / BLOCK_QUESTIONS + spread * spread)
        if rate <= usual + max(MIN_HIT_RATE_JUMP, MIN_JUMP_SIGMAS * sigma):
            return None
        return (
            HIT_RATE,
            f"{rate:.0%} of {BLOCK_QUESTIONS} new questions hit, where {usual:.0%} are usual",
        )


def binomial_tail(count: int, trials: int, share: float) -> float:
    """Return the probability that a binomial count is `count` or more."""
    return math.fsum(
        math.comb(trials, k) * share**k * (1 - share) ** (trials - k)
        for k in range(count, trials + 1)
    )
