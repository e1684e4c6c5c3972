"""What somebody said was wrong: answers that nobody is served any more, and neighbourhoods in which a hit must be nearer than elsewhere.

An answer given to the wrong question comes back as soon as either question is asked anew: it is stored again and is as near as before. So
around the question that was answered, wide enough to hold the one that complained, the threshold rises to half-way between the wrong pair's
number and 1. The same words in another case or order of politeness still hit; the wrong pair does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.ports import Vector

NEAR = 0.95  # the cosine from which on a neighbour of a wrong entry goes with it
SLACK = 0.005  # vectors come back from stores rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Questions with a cosine of `radius` or more to `vector` take a hit only at `threshold` or above."""

    embedder: str
    vector: "Vector"
    radius: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Doubts:
    """`answers`: (scope, time of making) of those that were wrong, whatever they are stored under; `around`: doubts by bucket."""

    answers: frozenset[tuple[str, float]] = frozenset()
    around: Mapping[str, tuple[Doubt, ...]] = field(default_factory=dict)

    def raised(self, bucket: str, vector: "Vector", embedder: str) -> float:
        """The highest threshold asked for where this question lies; 0 where nobody doubts."""
        found = [doubt for doubt in self.around.get(bucket, ()) if doubt.embedder == embedder]
        return max((doubt.threshold for doubt in found if float(doubt.vector @ vector) >= doubt.radius), default=0.0)


def penalty(similarity: float, number: float) -> tuple[float, float]:
    """Radius and threshold of the doubt about a pair with that cosine, which passed by `number`: the cosine or the verifier's score."""
    return min(NEAR, similarity - SLACK), number + (1 - number) / 2
