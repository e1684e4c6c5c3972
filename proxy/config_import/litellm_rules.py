"""What becomes of LiteLLM's settings that no code translates, by path.

Names and meanings: docs.litellm.ai/docs/proxy/config_settings.
"""

from typing import Final

from proxy.config_import.litellm_model_rules import LITELLM_MODEL_RULES
from proxy.config_import.litellm_reasons import (
    ALERTING,
    CALLBACKS,
    CONCURRENCY,
    DEFAULT_PARAMETER,
    GUARDRAILS,
    LOGS,
    NO_BALANCING,
    NO_BUDGET,
    NO_FALLBACK,
    NO_RETRY,
    OTHER_API,
    OWN_STORE,
    PASSED_ON,
    PROMPTS,
    REDIS,
    ROUTER_REDIS,
)
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import RuleTable, Ruling, expand_rules

_LITELLM: Final = "litellm_settings"
_ROUTER: Final = "router_settings"
_GENERAL: Final = "general_settings"

RULES: Final = {
    **LITELLM_MODEL_RULES,
    # Of the library.
    **expand_rules(
        _LITELLM,
        "success_callback failure_callback callbacks service_callback service_callbacks "
        "langfuse_default_tags custom_prometheus_metadata_labels custom_prometheus_tags "
        "s3_callback_params datadog_params audit_log_callbacks input_callback post_call_rules "
        "pre_call_rules",
        CALLBACKS,
    ),
    **expand_rules(
        _LITELLM,
        "fallbacks default_fallbacks content_policy_fallbacks",
        NO_FALLBACK,
    ),
    f"{_LITELLM}.context_window_fallbacks": Ruling(
        MANUAL, "A plan with compression keeps prompts below its max_input_tokens: give it one."
    ),
    **expand_rules(_LITELLM, "num_retries num_retries_per_request allowed_fails", NO_RETRY),
    **expand_rules(
        _LITELLM,
        "max_budget budget_duration max_internal_user_budget internal_user_budget_duration "
        "max_end_user_budget max_ui_session_budget default_internal_user_params "
        "default_team_settings default_team_params upperbound_key_generate_params "
        "default_key_generate_params tag_budget_config",
        NO_BUDGET,
    ),
    **expand_rules(_LITELLM, "drop_params modify_params add_function_to_prompt", PASSED_ON),
    **expand_rules(_LITELLM, "set_verbose json_logs suppress_debug_info", LOGS),
    **expand_rules(
        _LITELLM,
        "turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions",
        Ruling(EXACT, "Texts of requests and answers are in no log, metric or trace."),
    ),
    **expand_rules(
        _LITELLM,
        "guardrails enable_json_schema_validation mcp_aliases banned_keywords_list "
        "blocked_user_list llamaguard_mode disable_add_transform_inline_image_block",
        GUARDRAILS,
    ),
    **expand_rules(
        _LITELLM,
        "global_prompt_directory global_bitbucket_config global_gitlab_config",
        PROMPTS,
    ),
    **expand_rules(
        _LITELLM,
        "request_timeout_seconds force_ipv4 ssl_verify ssl_certificate aiohttp_trust_env",
        Ruling(MANUAL, "How providers are reached is set on the host: certificates, routes."),
    ),
    **expand_rules(
        _LITELLM,
        "disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only "
        "enable_end_user_cost_tracking_prometheus_only",
        Ruling(EXACT, "No metric and no report names end users."),
    ),
    f"{_LITELLM}.key_generation_settings": Ruling(
        MANUAL, "Keys are made by staff, or by a tenant's admins (docs/people.md)."
    ),
    f"{_LITELLM}.model_alias_map": Ruling(
        MANUAL, "Make a route for each name, or use router_settings.model_group_alias."
    ),
    f"{_LITELLM}.default_in_memory_ttl": Ruling(MANUAL, "Set cache.ttl of the plan."),
    f"{_LITELLM}.default_redis_ttl": Ruling(MANUAL, "Set cache.ttl of the plan."),
    f"{_LITELLM}.disable_hf_tokenizer_download": Ruling(EXACT, "Nothing is downloaded."),
    f"{_LITELLM}.cache": Ruling(MANUAL, "Must be true or false."),
    "cache_params": Ruling(MANUAL, "It stands in litellm_settings."),
    # Of the router.
    **expand_rules(
        _ROUTER,
        "routing_strategy routing_strategy_args allowed_fails allowed_fails_policy "
        "cooldown_time disable_cooldowns enable_tag_filtering tag_filtering_match_any "
        "optional_pre_call_checks deployment_affinity_ttl_seconds polling_interval "
        "default_priority caching_groups ignore_invalid_deployments client_ttl debug_level "
        "set_verbose router_general_settings enable_weighted_failover",
        NO_BALANCING,
    ),
    **expand_rules(
        _ROUTER,
        "fallbacks default_fallbacks content_policy_fallbacks max_fallbacks",
        NO_FALLBACK,
    ),
    f"{_ROUTER}.context_window_fallbacks": Ruling(
        MANUAL, "A plan with compression keeps prompts below its max_input_tokens: give it one."
    ),
    **expand_rules(
        _ROUTER,
        "num_retries retry_policy retry_after model_group_retry_policy",
        NO_RETRY,
    ),
    **expand_rules(
        _ROUTER,
        "redis_host redis_port redis_password redis_url redis_db",
        ROUTER_REDIS,
    ),
    **expand_rules(_ROUTER, "provider_budget_config", NO_BUDGET),
    **expand_rules(
        _ROUTER,
        "enable_pre_call_checks enable_pre_call_check",
        Ruling(
            UNSUPPORTED,
            "A prompt that is too long is the provider's error, unless a plan compresses it.",
        ),
    ),
    f"{_ROUTER}.default_litellm_params": DEFAULT_PARAMETER,
    f"{_ROUTER}.default_max_parallel_requests": CONCURRENCY,
    f"{_ROUTER}.stream_timeout": Ruling(
        MANUAL, "An upstream has one read timeout, for streams too."
    ),
    f"{_ROUTER}.cache_responses": Ruling(MANUAL, "Give the routes a plan that caches."),
    f"{_ROUTER}.cache_kwargs": REDIS,
    f"{_ROUTER}.search_tools": OTHER_API,
    f"{_ROUTER}.guardrail_list": GUARDRAILS,
    f"{_ROUTER}.alerting_config": ALERTING,
    f"{_ROUTER}.assistants_config": OTHER_API,
    # Of the server.
    f"{_GENERAL}.master_key": Ruling(
        MANUAL,
        "Not taken over. For the management API make an admin key (manage.py create_admin_key); "
        "clients that send it need a key of their own (manage.py create_key).",
    ),
    f"{_GENERAL}.litellm_salt_key": Ruling(EXACT, "It opens LiteLLM's own database alone."),
    **expand_rules(
        _GENERAL,
        "database_connection_pool_limit database_connection_timeout database_type "
        "store_model_in_db disable_spend_logs disable_prisma_schema_update "
        "disable_spend_updates proxy_batch_write_at disable_master_key_return "
        "disable_adding_master_key_hash_to_db user_api_key_cache_ttl "
        "proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time "
        "disable_reset_budget use_redis_transaction_buffer",
        OWN_STORE,
    ),
    f"{_GENERAL}.database_url": Ruling(
        MANUAL, "Give it as --database to take over keys and teams; DATABASE_URL is our own."
    ),
    **expand_rules(
        _GENERAL,
        "alerting alerting_threshold alert_types alerting_args alert_to_webhook_url "
        "spend_report_frequency",
        ALERTING,
    ),
    **expand_rules(
        _GENERAL,
        "max_parallel_requests global_max_parallel_requests "
        "disable_retry_on_max_parallel_request_limit_error",
        CONCURRENCY,
    ),
    **expand_rules(
        _GENERAL,
        "custom_auth custom_sso custom_key_generate enable_jwt_auth litellm_jwtauth "
        "enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings allow_user_auth "
        "allow_client_side_credentials configurable_clientside_auth_params "
        "litellm_key_header_name use_client_credentials_pass_through_routes",
        Ruling(UNSUPPORTED, "A client of /v1 sends a virtual key as a bearer token."),
    ),
    **expand_rules(
        _GENERAL,
        "key_management_system key_management_settings use_azure_key_vault use_google_kms",
        Ruling(MANUAL, "Secrets come from the environment, *_FILE variables or file:<path>."),
    ),
    **expand_rules(
        _GENERAL,
        "store_prompts_in_spend_logs maximum_spend_logs_retention_period "
        "maximum_spend_logs_retention_interval",
        Ruling(
            UNSUPPORTED, "The ledger keeps no text; how long it keeps rows is a setting of its own."
        ),
    ),
    **expand_rules(
        _GENERAL,
        "background_health_checks health_check_interval health_check_details "
        "health_check_concurrency",
        Ruling(UNSUPPORTED, "Providers are not called to check them: that costs money."),
    ),
    **expand_rules(
        _GENERAL,
        "pass_through_endpoints completion_model image_generation_model embedding_model "
        "moderation_model infer_model_from_keys",
        OTHER_API,
    ),
    **expand_rules(
        _GENERAL,
        "allowed_routes admin_only_routes public_routes allowed_ips use_x_forwarded_for "
        "ui_access_mode enforced_params enforce_user_param reject_clientside_metadata_tags "
        "default_team_disabled litellm_license service_account_settings "
        "user_mcp_management_mode role_permissions supported_db_objects control_plane_url "
        "max_response_size_mb",
        Ruling(UNSUPPORTED, "Who may do what is told by tenants, keys and roles (docs/people.md)."),
    ),
    **expand_rules(
        _GENERAL,
        "forward_client_headers_to_llm_api forward_openai_org_id "
        "add_user_information_to_llm_headers",
        Ruling(MANUAL, "Name the headers in forward_headers of each upstream that is to get them."),
    ),
    f"{_GENERAL}.max_request_size_mb": Ruling(MANUAL, "Set TOKENTHRIFT_MAX_BODY_BYTES."),
    f"{_GENERAL}.disable_responses_id_security": OTHER_API,
    f"{_GENERAL}.allow_requests_on_db_unavailable": Ruling(
        EXACT, "Requests go on while PostgreSQL is away: workers know keys and routes."
    ),
    # Sections of their own.
    "environment_variables": Ruling(MANUAL, "Not copied: set it in the gateway's environment."),
    "include": Ruling(MANUAL, "Not followed: import that file, too."),
    "guardrails": GUARDRAILS,
    "policies": GUARDRAILS,
    "policy_attachments": GUARDRAILS,
    "prompts": PROMPTS,
    "callback_settings": CALLBACKS,
    **dict.fromkeys(
        (
            "mcp_servers",
            "mcp_tools",
            "vector_store_registry",
            "search_tools",
            "assistant_settings",
            "files_settings",
            "finetune_settings",
            "pass_through_endpoints",
            "agent_list",
            "realtime_settings",
        ),
        OTHER_API,
    ),
}
LITELLM_RULES: Final = RuleTable(RULES)
