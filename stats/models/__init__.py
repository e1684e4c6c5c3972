"""The models; Django finds them by importing this package."""

from stats.models.cache_entries import CacheEntry, Erasure
from stats.models.fingerprints import StoredImprint
from stats.models.holdout_sums import Held
from stats.models.recalibration import Recalibration
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from stats.models.rollups import Pruned, Rollup, Tally, Unfolded

__all__ = [
    "CacheEntry",
    "DeadLetter",
    "Erasure",
    "Held",
    "Pruned",
    "Recalibration",
    "RequestEvent",
    "Rollup",
    "SpoolCursor",
    "StoredImprint",
    "Tally",
    "Unfolded",
    "UpstreamAttempt",
]
