"""Previews for Django's side of the house.

Where the request path runs in this process its workers make them, else it is done here.

Nothing of the chat is stored or logged.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plans import capabilities, services, validation
from plans.errors import InvalidPlan
from plans.models import Plan
from plans.snapshot import CompressionSettings
from proxy.core.compression.preview import Preview, PromptCost, build_preview, compute_prompt_cost
from proxy.core.prompt_caching.terms import compression_terms
from proxy.core.types import Message
from proxy.engines.compressors.pool import PoolCompressor
from proxy.engines.compressors.previews import request_preview
from proxy.upstreams.selectors import PricedModel


@dataclass(frozen=True, slots=True)
class PreviewWorkers:
    """Where previews are made: the workers, and the loop they belong to."""

    loop: asyncio.AbstractEventLoop
    pool: PoolCompressor


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPreview:
    """A preview and what the prompt costs, as asked and as sent;
    both None where the model has no price."""

    preview: Preview
    asked: PromptCost | None
    sent: PromptCost | None


@dataclass(slots=True)
class _State:
    workers: PreviewWorkers | None = None


_state = _State()


def attach_workers(bench: PreviewWorkers | None) -> None:
    """Called once by whoever starts the request path in this process."""
    _state.workers = bench


def build_priced_preview(
    messages: list[Message], settings: CompressionSettings, model: PricedModel
) -> PricedPreview:
    """What compression would do to the chat, which the provider is taken to hold.

    Waits, so not for the loop's own thread. Raises ToolUnavailable when nothing can be said.
    """
    terms = compression_terms(model.price, None) if settings.when == "saves" else None
    if bench := _state.workers:
        work = request_preview(bench.pool, messages, settings, model=model.name, terms=terms)
        found = asyncio.run_coroutine_threadsafe(work, bench.loop).result()
    else:
        found = build_preview(messages, settings, model=model.name, terms=terms)
    if model.price is None:
        return PricedPreview(preview=found, asked=None, sent=None)
    return PricedPreview(
        preview=found,
        asked=compute_prompt_cost(model.price, found.compression.before, found.next_asked),
        sent=compute_prompt_cost(model.price, found.compression.after, found.next_sent),
    )


def resolve_compression_settings(plan: Plan, draft: Mapping[str, Any]) -> CompressionSettings:
    """The plan's compression with a draft of it (`{"compression": {...}}`, or nothing)
    laid over it. Raises InvalidPlan."""
    half = validation.validate_plan(
        draft, capabilities=capabilities.get_capabilities(), base=services.build_draft(plan)
    ).compression
    if half is None:
        raise InvalidPlan(
            {
                "compression": (
                    "Must be an object here, as this plan sends every chat whole: {} "
                    "takes the defaults."
                )
            }
        )
    return half
