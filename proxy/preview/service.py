"""Compute previews for Django's pages and API; nothing of the chat is stored or logged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plans import capabilities, services, validation
from plans.api_errors import InvalidPlan
from plans.models import Plan
from plans.snapshot import CompressionSettings
from proxy import bridge
from proxy.conf import conf
from proxy.core.compression.preview import Preview, PromptCost, build_preview, compute_prompt_cost
from proxy.core.errors import ToolUnavailable
from proxy.core.prompt_caching.terms import compression_terms
from proxy.core.types import Message
from proxy.upstreams.selectors import PricedModel

# Beside the compressor's own deadline, to serialize and parse a long conversation.
COPY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPreview:
    """A preview and the costs of the prompt; both None if the model has no price."""

    preview: Preview
    asked: PromptCost | None
    sent: PromptCost | None


def build_priced_preview(
    messages: list[Message], settings: CompressionSettings, model: PricedModel
) -> PricedPreview:
    """Preview the compression of a chat, assuming that the provider has its prefix cached.

    Blocks, so not for the loop's own thread. Raises ToolUnavailable.
    """
    terms = compression_terms(model.price, None) if settings.when == "saves" else None
    try:
        found = bridge.run_in_loop(
            lambda tools: tools.compressor.preview(
                messages, settings, model=model.name, terms=terms
            ),
            seconds=conf.compression_timeout_seconds + COPY_TIMEOUT_SECONDS,
        )
    except bridge.GatewayNotRunning:  # then it is computed in this thread
        found = build_preview(messages, settings, model=model.name, terms=terms)
    except TimeoutError:
        raise ToolUnavailable("compressor", "deadline") from None
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
