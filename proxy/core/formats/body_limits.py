"""How much one request body may hold, beside its bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """`depth`: levels of nesting; `values`: of all JSON,
    `parts`: of contents and calls of tools in all messages together."""

    depth: int = 64
    values: int = 500_000
    messages: int = 10_000
    parts: int = 10_000


DEFAULT_LIMITS = BodyLimits()
