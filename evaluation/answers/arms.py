"""What is compared: the same question after the whole history,
and after what a plan makes of it."""

from typing import Any

BUDGET = 4096
FULL, COMPRESSED, TRIMMED = "full", "compressed", "trimmed"


def _plan(name: str, engine: str) -> dict[str, Any]:
    """A half that is left out, as the cache is, is off."""
    return {"plan_name": name, "compression": {"engine": engine, "max_input_tokens": BUDGET}}


# Body of the plan by name of the arm; None: no plan, all goes as it is.
ARMS: dict[str, dict[str, Any] | None] = {
    FULL: None,
    COMPRESSED: _plan(COMPRESSED, "text_rank"),
    TRIMMED: _plan(TRIMMED, "trim"),
}
# Of which the first is compared with the second, question by question.
PAIRS = ((COMPRESSED, FULL), (TRIMMED, FULL), (COMPRESSED, TRIMMED))
