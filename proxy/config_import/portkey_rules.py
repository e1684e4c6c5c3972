"""What becomes of settings of Portkey's configs that no code translates, by their own name.

Names and meanings: portkey.ai/docs/api-reference/inference-api/config-object, and the schema of
Portkey's gateway 1.15.
"""

from typing import Final

from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import Ruling
from proxy.config_import.upstream_features import NO_API_VERSION, NO_UPSTREAM

_CLOUD_CREDENTIALS: Final = Ruling(UNSUPPORTED, "An upstream has a key, and no other credentials.")
_HOOKS: Final = Ruling(UNSUPPORTED, "Requests and answers are not inspected or changed.")
_NO_CHOICE: Final = Ruling(
    UNSUPPORTED, "A route has one upstream: there is nothing to choose from."
)
_IN_VAULT: Final = Ruling(
    MANUAL,
    "Provider and key are in Portkey's vault: add an upstream with that key, and a route.",
)
# A target of these needs something that only Portkey has.
VAULT_NAMES: Final = ("virtual_key", "config")
VAULT_RULING: Final = _IN_VAULT
# The feature that each needs of an upstream, and the header that it is sent in, "" for none.
FEATURE_SETTINGS: Final = {
    "forward_headers": ("client_headers", ""),
    "openai_organization": ("organization", "OpenAI-Organization"),
    "openai_project": ("organization", "OpenAI-Project"),
    "api_version": ("api_version", ""),
}
# Of a target or of the whole, wherever it stands.
SETTING_RULINGS: Final = {
    # Where no upstream is made; else `FEATURE_SETTINGS` decides.
    **{name: NO_API_VERSION if name == "api_version" else NO_UPSTREAM for name in FEATURE_SETTINGS},
    "retry": Ruling(
        UNSUPPORTED,
        "Failed calls are not repeated here: the official SDKs do it (max_retries), and "
        "x-should-retry tells them when.",
    ),
    "weight": _NO_CHOICE,
    "on_status_codes": _NO_CHOICE,
    "name": Ruling(EXACT, "Only the config itself refers to it."),
    "metadata": Ruling(UNSUPPORTED, "Requests have no metadata of the configuration."),
    "strict_open_ai_compliance": Ruling(
        UNSUPPORTED, "Answers are passed on as the provider writes them."
    ),
    "azure_model_name": Ruling(
        MANUAL, "Prices go by the model's name at the upstream: give that one a price."
    ),
    "override_params": Ruling(MANUAL, "It was set on every request: let the clients send it."),
    **dict.fromkeys(
        (
            "before_request_hooks",
            "after_request_hooks",
            "input_guardrails",
            "output_guardrails",
            "default_input_guardrails",
            "default_output_guardrails",
            "input_mutators",
            "output_mutators",
        ),
        _HOOKS,
    ),
    **dict.fromkeys(
        (
            "azure_auth_mode",
            "azure_ad_token",
            "azure_entra_client_id",
            "azure_entra_client_secret",
            "azure_entra_tenant_id",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "aws_region",
            "vertex_project_id",
            "vertex_region",
            "vertex_service_account_json",
        ),
        _CLOUD_CREDENTIALS,
    ),
}
CONDITION_RULING: Final = Ruling(
    MANUAL, "Nothing is chosen by metadata or parameters: let clients name the route as model."
)
