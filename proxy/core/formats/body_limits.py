"""Limits of what one request body may hold, besides its size in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """Limits of one JSON request body."""

    # Levels of nesting.
    depth: int = 64
    # JSON values in all.
    values: int = 500_000
    messages: int = 10_000
    # Content parts and tool calls of all messages together.
    parts: int = 10_000


DEFAULT_LIMITS = BodyLimits()
