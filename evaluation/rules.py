"""The published rules of providers with prefix caching:
what a later prompt can read of an earlier one, and at what price.

- *steps*: any prefix of an earlier prompt, rounded down to a step. OpenAI up to GPT-5.5
  (developers.openai.com/api/docs/guides/prompt-caching: automatic from 1,024 tokens on, in steps of
  128, no fee for writing, evicted after 5 to 10 minutes of inactivity); Gemini's implicit caching
  (ai.google.dev/gemini-api/docs/caching: from 1,024 or 4,096 tokens on, no fee for writing, neither
  steps nor expiry published); DeepSeek in its first form (api-docs.deepseek.com/news/news0802:
  units of 64 tokens, kept for hours).
- *breakpoints*: only prefixes that ended at a breakpoint of an earlier prompt. Anthropic
  (platform.claude.com/docs/en/build-with-claude/prompt-caching: from 512, 1,024, 2,048 or 4,096
  tokens on, by model; writing costs 1.25 for 5 minutes or 2.0 for an hour, reading 0.1, which also
  refreshes it; up to 20 blocks before a breakpoint are looked at); OpenAI from GPT-5.6 on (the page
  above: writing 1.25, kept for at least 30 minutes, a breakpoint at the newest message unless the
  request marks its own). DeepSeek's present rule (api-docs.deepseek.com/guides/kv_cache) is close
  to it: prefixes that ended where an earlier prompt did.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`minimum`, `step`, `lookback`: tokens, tokens, messages.

    `read`, `write`: prices in units of one input token; `read` None: nothing is cached. `expiry`:
    seconds without use after which a prefix is gone.
    """

    read: float | None
    write: float = 1.0
    minimum: int = 1024
    step: int = 128
    expiry: float = 300.0
    ends: Literal["steps", "breakpoints"] = "steps"
    lookback: int = 20


PUBLISHED = {
    "openai": Rules(read=0.1),
    "openai-5.6": Rules(
        read=0.1, write=1.25, step=1, expiry=1800.0, ends="breakpoints", lookback=80
    ),
    "anthropic": Rules(read=0.1, write=1.25, step=1, ends="breakpoints"),
    "anthropic-hour": Rules(read=0.1, write=2.0, step=1, expiry=3600.0, ends="breakpoints"),
    "gemini": Rules(read=0.1, step=1),
    "deepseek": Rules(read=0.1, minimum=64, step=64, expiry=3600.0),
}
