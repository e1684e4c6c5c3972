"""Collect observations and add them to a histogram in bulk: each update costs 3 microseconds."""

from bisect import bisect_left
from dataclasses import dataclass, field

from prometheus_client import Histogram

# seconds
BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
    300,
    600,
)


@dataclass(slots=True)
class BufferedHistogram:
    """Observations by bucket, and their sum in seconds."""

    bucket_counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total_seconds: float = 0.0

    def add_observation(self, seconds: float) -> None:
        self.bucket_counts[bisect_left(BUCKETS, seconds)] += 1
        self.total_seconds += seconds

    def flush_into(self, histogram: Histogram) -> None:
        """Add all observations to a histogram at once."""
        # Its class has no public method for this, only for single observations.
        for bucket, count in zip(histogram._buckets, self.bucket_counts, strict=True):
            if count:
                bucket.inc(count)
        histogram._sum.inc(self.total_seconds)
