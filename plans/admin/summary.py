"""A plan summarised in one sentence, for lists. No queries."""

from plans.models import Plan


def summarize_plan(plan: Plan) -> str:
    """Describe what the plan does to a request."""
    if plan.mode == "off":
        return "Passes everything through"
    found = plan.build_snapshot()
    parts = []
    if found.compression:
        when = " when it saves" if found.compression.when == "saves" else ""
        parts.append(f"shortens chats over {found.compression.max_input_tokens:,} tokens{when}")
    if found.cache and found.cache.exact:
        parts.append("answers identical requests again")
    if found.cache and found.cache.backend:
        name = f", {found.cache.strictness}" if found.cache.strictness else ""
        parts.append(f"also questions in other words from {found.cache.threshold:g} on{name}")
    if found.cache:
        parts.append(f"for {format_duration(found.cache.ttl)}")
    text = ", ".join(parts) or "does nothing"
    return f"Only watches: {text}" if plan.mode == "shadow" else text[:1].upper() + text[1:]


def format_duration(seconds: int) -> str:
    """Format seconds in their largest whole unit."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            number = seconds // size
            return f"{number:,} {name}{'' if number == 1 else 's'}"
    return f"{seconds:,} second{'' if seconds == 1 else 's'}"
