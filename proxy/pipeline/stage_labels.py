"""Labels of stages in metrics, traces and the log, which are public."""

from collections.abc import Mapping
from typing import Final

# By the name of the stage's function, which is the label of a stage not listed.
LABELS: Final[Mapping[str, str]] = {
    "limit_concurrency": "admit",
    "read_body": "read",
    "cache_scope": "scope",
    "assign_holdout": "hold",
    "join_flight": "join",
    "feedback_threshold": "doubt",
    "error_budget_threshold": "budget",
    "sample_candidate": "explore",
    "exact_lookup_compressed": "exact_lookup_sent",
    "undo_compression_in_shadow": "leave_whole",
    "acquire_lease": "lease",
    "build_request": "build_upstream",
    "withhold_hit_in_shadow": "withhold",
    "serve_stale": "stand_in",
    "broadcast": "share",
    "stream": "relay",
    "estimate_usage": "count",
    "complete_flight": "land",
    "evict_invalid": "forget",
    "remember_conversation": "note",
    "leave_flight": "part",
    "sample_hits": "pick",
    "read_answer": "hear",
    "compare_answers": "compare",
    "read_verdict": "understand",
    "count_sample": "tally",
    "evict_wrong_answer": "retire",
}


def get_stage_label(function: str) -> str:
    """Return the label of the stage with this function name."""
    return LABELS.get(function, function)
