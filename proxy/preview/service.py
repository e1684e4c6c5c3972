"""Compute previews for Django's pages and API; nothing of the chat is stored or logged."""

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
    """The compression processes for previews, and the loop they belong to."""

    loop: asyncio.AbstractEventLoop
    pool: PoolCompressor


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPreview:
    """A preview and the costs of the prompt; both None if the model has no price."""

    preview: Preview
    asked: PromptCost | None
    sent: PromptCost | None


@dataclass(slots=True)
class _State:
    workers: PreviewWorkers | None = None


_state = _State()


def attach_workers(bench: PreviewWorkers | None) -> None:
    """Use these workers for previews; called when the request path starts and stops here."""
    _state.workers = bench


def build_priced_preview(
    messages: list[Message], settings: CompressionSettings, model: PricedModel
) -> PricedPreview:
    """Preview the compression of a chat, assuming that the provider has its prefix cached.

    Blocks, so not for the loop's own thread. Raises ToolUnavailable.
    """
    terms = compression_terms(model.price, None) if settings.when == "saves" else None
    # Without the request path in this process, the preview is computed in this thread.
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
    """Return the plan's compression settings, overridden by a draft (`{"compression": {...}}`).

    Raises InvalidPlan.
    """
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
