"""What becomes of columns of LiteLLM's keys and teams that no code translates."""

from typing import Final

from proxy.config_import.litellm_database import KEY_TABLE, MODEL_TABLE, SETTING_TABLE, TEAM_TABLE
from proxy.config_import.litellm_reasons import NO_BUDGET, NO_RATE_LIMIT
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import RuleTable, Ruling, expand_rules

_HISTORY: Final = Ruling(EXACT, "A record of LiteLLM's own, which decides nothing.")
_SPENT: Final = Ruling(UNSUPPORTED, "What was spent there is not in the ledger here.")


def _build_rules(table: str) -> dict[str, Ruling]:
    prefix = f"{table}.*"
    return {
        **expand_rules(
            prefix,
            "max_budget soft_budget budget_duration budget_reset_at budget_id model_max_budget "
            "budget_limits soft_budget_cooldown",
            NO_BUDGET,
        ),
        **expand_rules(prefix, "tpm_limit rpm_limit max_parallel_requests", NO_RATE_LIMIT),
        **expand_rules(prefix, "spend model_spend", _SPENT),
        **expand_rules(
            prefix,
            "created_at created_by updated_at updated_by last_active rotation_count "
            "last_rotation_at",
            _HISTORY,
        ),
        **expand_rules(
            prefix,
            "auto_rotate rotation_interval key_rotation_at",
            Ruling(MANUAL, "Keys are replaced by hand: give the key another secret in the file."),
        ),
        **expand_rules(
            prefix,
            "admins members members_with_roles user_id team_member_permissions "
            "default_team_member_models",
            Ruling(MANUAL, "People get an account and a role of the tenant (docs/people.md)."),
        ),
        **expand_rules(
            prefix,
            "aliases model_id router_settings",
            Ruling(UNSUPPORTED, "A route has one name, for every key that may use it."),
        ),
        **expand_rules(
            prefix,
            "permissions allowed_routes allowed_cache_controls access_group_ids policies "
            "object_permission_id organization_id project_id agent_id config "
            "allow_team_guardrail_config",
            Ruling(UNSUPPORTED, "A key is restricted by its routes and its expiry alone."),
        ),
        f"{prefix}.metadata": Ruling(MANUAL, "Not copied: see whether anything reads it."),
        f"{prefix}.models": Ruling(MANUAL, "Must be a list of names."),
    }


_NAMES: Final = {
    MODEL_TABLE: Ruling(
        MANUAL, "It stands in the database alone: write the model into the file, and import again."
    ),
    SETTING_TABLE: Ruling(
        MANUAL, "It stands in the database and wins over the file there: compare both."
    ),
}
LITELLM_KEY_RULES: Final = RuleTable(_build_rules(KEY_TABLE) | _build_rules(TEAM_TABLE) | _NAMES)
