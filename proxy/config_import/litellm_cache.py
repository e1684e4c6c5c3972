"""Make a plan of LiteLLM's cache settings (docs.litellm.ai/docs/proxy/caching)."""

from typing import Final

from proxy.config_import.cache_plans import SEMANTIC_REASON, build_cache_plan, read_ttl
from proxy.config_import.config_draft import ConfigDraft
from proxy.config_import.foreign_config import ForeignConfig, read_flag
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED

PLAN_NAME: Final = "litellm-cache"
CACHE: Final = ("litellm_settings", "cache")
PARAMS: Final = ("litellm_settings", "cache_params")
# LiteLLM's own, where the file has none: of Redis, and of its memory.
DEFAULT_TTL_SECONDS: Final = 60
DEFAULT_MEMORY_TTL_SECONDS: Final = 600
TTL_NAMES: Final = ("ttl", "default_in_redis_ttl", "default_in_memory_ttl")
SEMANTIC_TYPES: Final = frozenset({"redis-semantic", "qdrant-semantic", "valkey-semantic"})
STORED_ELSEWHERE: Final = frozenset({"s3", "gcs", "disk", "azure-blob"})
CHAT_CALLS: Final = ("completion", "acompletion")


def import_cache(config: ForeignConfig, draft: ConfigDraft) -> None:
    """Write a plan, the default of every route, if the file turns the cache on."""
    is_on = read_flag(config.get(CACHE))
    if is_on is None:
        return
    if not is_on:
        config.judge(CACHE, EXACT, "Nothing is cached without a plan.")
        _judge_unused(config, "The cache is off.")
        return
    if not _serves_chats(config):
        config.judge(CACHE, EXACT, "Chat completions are not cached there: no plan.")
        _judge_unused(config, "Chat completions are not cached there.")
        return
    _write_plan(config, draft)


def _write_plan(config: ForeignConfig, draft: ConfigDraft) -> None:
    kind = str(config.get((*PARAMS, "type")) or "")
    is_semantic = kind in SEMANTIC_TYPES
    _judge_type(config, kind)
    draft.plans[PLAN_NAME] = build_cache_plan(
        is_semantic=is_semantic, ttl_seconds=_choose_ttl(config, kind)
    )
    differs = (
        "Unlike there, tenants never share an answer, and calls of tools that the model chose are "
        "not stored (cache.tool_calls)."
    )
    if config.get((*PARAMS, "mode")) == "default_off":
        text = f"Clients name it as token_saving_plan_id: {PLAN_NAME}, in place of use-cache."
        config.judge((*PARAMS, "mode"), MANUAL, text)
        config.judge(CACHE, MANUAL, f"Plan {PLAN_NAME}. {differs}")
        return
    if config.get((*PARAMS, "mode")) is not None:
        config.judge((*PARAMS, "mode"), EXACT, "The plan is the default of every route.")
    draft.set_default_plan(PLAN_NAME)
    config.judge(CACHE, MANUAL, f"Plan {PLAN_NAME}, the default of every route. {differs}")


def _judge_type(config: ForeignConfig, kind: str) -> None:
    path = (*PARAMS, "type")
    if kind in SEMANTIC_TYPES:
        config.judge(path, MANUAL, SEMANTIC_REASON)
    elif kind in STORED_ELSEWHERE:
        text = "Identical requests are answered from Redis: see that its memory is large enough."
        config.judge(path, MANUAL, text)
    elif kind in {"", "redis", "local"}:
        config.judge(path, EXACT, "Identical requests are answered from Redis.")
    else:
        config.judge(path, MANUAL, "Not known to this importer: the plan caches in Redis.")


def _choose_ttl(config: ForeignConfig, kind: str) -> int:
    """Return the plan's TTL, and judge every TTL that the file has; the first one counts."""
    chosen: int | None = None
    for name in TTL_NAMES:
        path = (*PARAMS, name)
        if (given := config.get(path)) is None:
            continue
        seconds = read_ttl(given)
        if chosen is not None:
            text = "One TTL holds for the memory of workers and for Redis."
            config.judge(path, EXACT if seconds == chosen else UNSUPPORTED, text)
        elif seconds is None:
            config.judge(path, MANUAL, "A plan's ttl is a whole number of seconds, from 1 on.")
        else:
            chosen = seconds
            config.judge(path, EXACT, f"ttl of plan {PLAN_NAME}.")
    if chosen is not None:
        return chosen
    return DEFAULT_MEMORY_TTL_SECONDS if kind == "local" else DEFAULT_TTL_SECONDS


def _serves_chats(config: ForeignConfig) -> bool:
    path = (*PARAMS, "supported_call_types")
    calls = config.get(path)
    if not isinstance(calls, list):
        return True
    if not calls:
        config.judge(path, EXACT, "No call is cached.")
    serves = False
    for number, each in enumerate(calls):
        if each in CHAT_CALLS:
            serves = True
            config.judge((*path, str(number)), EXACT, "Chat completions are cached.")
        else:
            text = "Only chat completions are served and cached."
            config.judge((*path, str(number)), UNSUPPORTED, text)
    return serves


def _judge_unused(config: ForeignConfig, reason: str) -> None:
    for name, value in config.get_mapping(PARAMS).items():
        if not isinstance(value, dict | list):
            config.judge((*PARAMS, name), EXACT, f"Without effect there, too: {reason}")
