"""Import LiteLLM's proxy: its file (docs.litellm.ai/docs/proxy/configs) and its database."""

from pathlib import Path

from proxy.config_import.config_draft import ConfigDraft
from proxy.config_import.foreign_config import read_foreign_config
from proxy.config_import.litellm_cache import import_cache
from proxy.config_import.litellm_database import read_database
from proxy.config_import.litellm_keys import KeyImporter
from proxy.config_import.litellm_models import ModelImporter
from proxy.config_import.litellm_rules import LITELLM_RULES
from proxy.config_import.report import Finding

DEFAULT_TENANT = "litellm"


def import_litellm(
    file: Path, *, database_url: str = "", tenant: str = DEFAULT_TENANT
) -> tuple[ConfigDraft, list[Finding]]:
    """Return the configuration to write, and the verdict on each value.

    `database_url`: "" for the file alone; `tenant`: the slug of the tenant of keys without a team.
    Raises BadConfigFile or UnreadableDatabase.
    """
    config = read_foreign_config(file, LITELLM_RULES)
    draft = ConfigDraft()
    ModelImporter(config, draft).import_models()
    import_cache(config, draft)
    findings = config.build_findings()
    if database_url:
        rows = read_database(database_url)
        findings += KeyImporter(draft, rows, tenant=tenant).import_rows()
    return draft, findings
