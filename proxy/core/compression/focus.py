"""Ranks for one question: BM25 of each piece against it."""

import numpy as np

from proxy.core.compression.history import History
from proxy.core.compression.languages import numbers


def rank(history: History) -> list[float]:
    bags = history.bags
    asked = np.unique(np.frombuffer(b"".join(numbers(history.question, [(0, len(history.question))], history.language)), dtype=np.int64))
    of = np.repeat(np.arange(len(bags.sizes)), bags.sizes)
    place = np.searchsorted(asked, bags.terms)
    hit = (place < len(asked)) & (asked[np.minimum(place, max(len(asked) - 1, 0))] == bags.terms) if len(asked) else np.zeros(len(of), bool)
    counts = np.zeros((len(bags.sizes), len(asked)))
    np.add.at(counts, (of[hit], place[hit]), 1)
    df = (counts > 0).sum(0)
    idf = np.log(1 + (len(bags.sizes) - df + 0.5) / (df + 0.5))
    norm = 1.2 * (0.25 + 0.75 * bags.sizes / max(bags.sizes.mean(), 1)) if len(bags.sizes) else 1
    unit = np.unique(history.pieces.unit, return_inverse=True)[1]
    by_piece = (counts * 2.2 / (counts + np.asarray(norm)[:, None])) @ idf
    best = np.zeros(unit.max(initial=-1) + 1)
    np.maximum.at(best, unit, by_piece)
    near = best.copy()
    if len(best) > 1:
        near[1:] += 0.3 * best[:-1]
        near[:-1] += 0.3 * best[1:]
    found: list[float] = near[unit].tolist()
    return found
