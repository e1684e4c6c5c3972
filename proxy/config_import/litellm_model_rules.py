"""What becomes of settings of LiteLLM's models and cache that no code translates, by path."""

from typing import Final

from proxy.config_import.litellm_reasons import (
    CLOUD_CREDENTIALS,
    CONCURRENCY,
    DEFAULT_PARAMETER,
    GUARDRAILS,
    MODEL_FACTS,
    NO_BALANCING,
    NO_FALLBACK,
    NO_RATE_LIMIT,
    NO_RETRY,
    OTHER_API,
    OWN_EMBEDDER,
    PASSED_ON,
    PROMPTS,
    REDIS,
)
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import Ruling, expand_rules

_ENTRY: Final = "model_list.*.litellm_params"
_PARAMS: Final = "litellm_settings.cache_params"

LITELLM_MODEL_RULES: Final = {
    # Of a deployment.
    **expand_rules(_ENTRY, "rpm tpm max_budget budget_duration", NO_RATE_LIMIT),
    **expand_rules(_ENTRY, "weight order cooldown_time tags", NO_BALANCING),
    **expand_rules(_ENTRY, "max_retries num_retries retry_policy", NO_RETRY),
    **expand_rules(_ENTRY, "fallbacks context_window_fallbacks", NO_FALLBACK),
    **expand_rules(
        _ENTRY,
        "temperature top_p top_k max_tokens max_completion_tokens seed stop n "
        "presence_penalty frequency_penalty logit_bias response_format reasoning_effort "
        "thinking extra_body user service_tier tools",
        DEFAULT_PARAMETER,
    ),
    **expand_rules(_ENTRY, "drop_params additional_drop_params allowed_openai_params", PASSED_ON),
    **expand_rules(
        _ENTRY,
        "azure_ad_token tenant_id client_id client_secret azure_scope aws_access_key_id "
        "aws_secret_access_key aws_region_name vertex_project vertex_location "
        "vertex_credentials",
        CLOUD_CREDENTIALS,
    ),
    **expand_rules(
        _ENTRY,
        "prompt_id prompt_variables initial_prompt_value roles final_prompt_value bos_token "
        "eos_token",
        PROMPTS,
    ),
    f"{_ENTRY}.guardrails": GUARDRAILS,
    f"{_ENTRY}.max_parallel_requests": CONCURRENCY,
    f"{_ENTRY}.mock_response": Ruling(UNSUPPORTED, "Every answer is the provider's or cached."),
    f"{_ENTRY}.custom_llm_provider": Ruling(EXACT, "The provider of the model."),
    f"{_ENTRY}.use_in_pass_through": OTHER_API,
    f"{_ENTRY}.cache_control_injection_points": Ruling(
        UNSUPPORTED, "Breakpoints are set where a plan compresses (docs/compression.md)."
    ),
    "model_list.*.model_info": MODEL_FACTS,
    "model_list.*.model_info.mode": Ruling(EXACT, "Chat completions."),
    "model_list.*.model_info.id": Ruling(
        UNSUPPORTED, "A request names a route, never one deployment by its id."
    ),
    "model_list.*.model_info.base_model": Ruling(
        MANUAL, "Prices go by the model's name at the upstream: give that one a price."
    ),
    "model_list.*.model_info.access_groups": Ruling(
        MANUAL, "Name the routes in a tenant's or a key's routes."
    ),
    "model_list.*.model_info.team_id": Ruling(MANUAL, "Name the route in the tenant's routes."),
    "model_list.*.model_info.supported_environments": Ruling(
        MANUAL, "Keep a file for each environment."
    ),
    "credential_list.*.credential_name": Ruling(EXACT, "Only model_list refers to it."),
    "credential_list.*.credential_info": Ruling(UNSUPPORTED, "A remark, which has no place here."),
    "credential_list.*.credential_values": Ruling(MANUAL, "No entry that became a route uses it."),
    # Of the cache.
    **expand_rules(
        _PARAMS,
        "host port password username db url ssl ssl_cert_reqs ssl_check_hostname "
        "max_connections redis_startup_nodes service_name sentinel_nodes sentinel_password "
        "gcp_service_account gcp_ssl_ca_certs redis_flush_size socket_timeout",
        REDIS,
    ),
    f"{_PARAMS}.namespace": Ruling(
        MANUAL, "TOKENTHRIFT_INSTANCE keeps gateways on one Redis apart: set it if there are two."
    ),
    f"{_PARAMS}.similarity_threshold": Ruling(
        MANUAL,
        "A cosine of another embedder means nothing here: the plan has the verifier's default "
        "(docs/verifier.md).",
    ),
    **expand_rules(
        _PARAMS,
        "redis_semantic_cache_embedding_model qdrant_semantic_cache_embedding_model "
        "valkey_semantic_cache_embedding_model qdrant_semantic_cache_vector_size "
        "qdrant_quantization_config",
        OWN_EMBEDDER,
    ),
    **expand_rules(
        _PARAMS,
        "qdrant_collection_name redis_semantic_cache_index_name",
        Ruling(EXACT, "A place of LiteLLM's own entries, which are not taken over."),
    ),
    **expand_rules(
        _PARAMS,
        "qdrant_api_base qdrant_api_key",
        Ruling(MANUAL, "For cache.backend qdrant_semantic set QDRANT_URL and its key."),
    ),
    **expand_rules(
        _PARAMS,
        "s3_bucket_name s3_region_name s3_api_version s3_use_ssl s3_verify s3_endpoint_url "
        "s3_aws_access_key_id s3_aws_secret_access_key s3_aws_session_token s3_path "
        "gcs_bucket_name gcs_path_service_account gcs_path disk_cache_dir azure_account_url "
        "azure_blob_container",
        Ruling(UNSUPPORTED, "Answers are stored in Redis and PostgreSQL."),
    ),
}
