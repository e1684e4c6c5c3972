"""Make tenants of LiteLLM's teams and keys of its keys, which clients keep.

LiteLLM stores the SHA-256 of a key (docs.litellm.ai/docs/proxy/virtual_keys), which is what a
configuration file takes as `secret_sha256`. A key is imported only if it opens no more than it did.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.text import slugify

from plans.key_secrets import is_sha256
from plans.snapshot import ALL_ROUTES
from proxy.config_files.exporting import escape_variables
from proxy.config_files.reader import ConfigDocument, Place, ValuePath
from proxy.config_import.config_draft import ConfigDraft, FreeNames
from proxy.config_import.foreign_config import ForeignConfig, iter_leaves
from proxy.config_import.litellm_database import KEY_TABLE, TEAM_TABLE, LiteLLMRows, Row
from proxy.config_import.litellm_key_rules import LITELLM_KEY_RULES
from proxy.config_import.report import EXACT, MANUAL, Finding, Verdict, format_name

ALL_MODELS: Final = "all-proxy-models"
ALL_TEAM_MODELS: Final = "all-team-models"
NO_MODELS: Final = "no-default-models"
# Of people who are logged in to LiteLLM's pages, for a day.
PAGES_TEAM: Final = "litellm-dashboard"
MAX_SLUG_LENGTH: Final = 64
MAX_NAME_LENGTH: Final = 200  # of a tenant and of a key
# What allows a key of `allowed_routes` to ask for chat completions.
CHAT_PERMISSIONS: Final = frozenset(
    {
        "/chat/completions",
        "/v1/chat/completions",
        "chat_completion",
        "llm_api_routes",
        "openai_routes",
    }
)
# Read as such, and not among what is reported.
_SECRET_COLUMNS: Final = frozenset({"token", "key_name"})


class KeyImporter:
    """Writes each team as a tenant and each key that still works as a key of it.

    `tenant`: the slug of the tenant of keys without a team.
    """

    def __init__(self, draft: ConfigDraft, rows: LiteLLMRows, *, tenant: str) -> None:
        self._draft, self._rows, self._tenant = draft, rows, tenant
        self._now = datetime.now(UTC)
        self._free_slugs = FreeNames([tenant])
        self._free_names: defaultdict[str, FreeNames] = defaultdict(
            lambda: FreeNames(separator=" ")
        )
        # The slug of each team by its id; "" for one whose keys are refused there.
        self._slugs: dict[str, str] = {}
        # A key is reported by its place: whatever names it is the client's or the admin's.
        self._keys = {f"key {number}": row for number, row in enumerate(rows.keys, 1)}
        self._teams = {str(row["team_id"]): row for row in rows.teams}
        values: dict[str, dict[str, Any]] = {
            table: {name: _drop_empty(row) for name, row in found.items()}
            for table, found in ((TEAM_TABLE, self._teams), (KEY_TABLE, self._keys))
        }
        values |= {
            table: dict.fromkeys(names, table) for table, names in rows.names.items() if names
        }
        document = ConfigDocument(values, {(): Place("database", 1)})
        self._config = ForeignConfig(document, LITELLM_KEY_RULES)

    def import_rows(self) -> list[Finding]:
        """Import teams and keys, and return the verdict on each value that is not empty."""
        for team_id, row in self._teams.items():
            self._import_team((TEAM_TABLE, team_id), row)
        for name, row in self._keys.items():
            self._import_key((KEY_TABLE, name), name, row)
        return self._config.build_findings()

    def _import_team(self, path: ValuePath, row: Row) -> None:
        team_id = path[-1]
        if row.get("blocked"):
            self._slugs[team_id] = ""
            self._judge_all(path, row, EXACT, "Not imported: it is blocked, and so are its keys.")
            return
        title = str(row.get("team_alias") or team_id)
        slug = self._find_free_slug(title)
        self._slugs[team_id] = slug
        routes = self._find_routes(row.get("models"))
        self._draft.tenants[slug] = {
            "name": escape_variables(title if title.isprintable() else slug)[:MAX_NAME_LENGTH],
            "routes": [ALL_ROUTES] if routes is None else routes,
            "keys": {},
        }
        for name in ("team_id", "team_alias"):
            self._config.judge((*path, name), EXACT, f"Tenant {slug}.")
        self._judge_models(path, row)

    def _import_key(self, path: ValuePath, name: str, row: Row) -> None:
        team = row.get("team_id")
        slug = self._slugs.get(team, "") if team else self._tenant
        if reason := self._find_refusal(row, slug):
            self._judge_all(path, row, EXACT, reason)
            return
        routes, reason = self._find_key_routes(row, self._add_tenant(slug))
        if reason := reason or _find_limit(row):
            self._judge_all(path, row, MANUAL, reason)
            return
        self._write_key(path, slug, routes, row, fallback=name)
        self._judge_models(path, row)

    def _find_refusal(self, row: Row, slug: str) -> str:
        """Return why LiteLLM itself refuses the key, or why it is nobody's; "" for none."""
        expires = _read_time(row.get("expires"))
        if row.get("blocked"):
            return "Not imported: it is blocked."
        if row.get("team_id") == PAGES_TEAM:
            return "Not imported: it belongs to a log-in to LiteLLM's pages."
        if not slug:
            return "Not imported: its team is blocked or gone."
        if expires is not None and expires <= self._now:
            return "Not imported: it has expired."
        return ""

    def _find_key_routes(self, row: Row, granted: list[str]) -> tuple[list[str] | None, str]:
        """Return the routes of a key (None: all of its tenant's), and why it must not be made."""
        user, team = row.get("user_id"), row.get("team_id")
        restrictions = [row.get("models")]
        if user:
            rows = self._rows
            restrictions.append(
                rows.member_models.get((user, team)) if team else rows.user_models.get(user)
            )
        found: list[str] | None = None
        for models in restrictions:
            routes = self._find_routes(models)
            if routes is not None:
                found = routes if found is None else [each for each in found if each in routes]
        if found is not None and ALL_ROUTES not in granted:
            found = [each for each in found if each in granted]
        if found == []:
            # An empty list would open every route of the tenant.
            return found, "Not imported: none of its models is a route that its tenant may use."
        return found, ""

    def _write_key(
        self, path: ValuePath, slug: str, routes: list[str] | None, row: Row, *, fallback: str
    ) -> None:
        keys = self._draft.tenants[slug]["keys"]
        alias = str(row.get("key_alias") or "")
        wanted = alias if alias.isprintable() and alias else fallback
        name = self._free_names[slug].take(wanted[: MAX_NAME_LENGTH - 8])
        keys[name] = {"secret_sha256": row["token"]}
        if routes is not None:
            keys[name]["routes"] = routes
        if (expires := _read_time(row.get("expires"))) is not None:
            keys[name]["expires_at"] = expires.isoformat()
        text = f"Key {slug}/{format_name(name)}, which clients keep."
        for column in ("key_alias", "team_id", "expires", "allowed_routes"):
            if row.get(column):
                self._judge_leaves((*path, column), row[column], EXACT, text)

    def _add_tenant(self, slug: str) -> list[str]:
        """Return what the tenant may use; the one of keys without a team is made when needed."""
        found = self._draft.tenants.setdefault(slug, {"routes": [ALL_ROUTES], "keys": {}})
        granted: list[str] = found["routes"]
        return granted

    def _find_routes(self, models: Any) -> list[str] | None:
        """Return the routes of a list of models; None where it restricts nothing."""
        named = [str(each) for each in models or ()]
        if not named or ALL_MODELS in named or ALL_TEAM_MODELS in named:
            return None
        return [each for each in named if each in self._draft.routes]

    def _judge_models(self, path: ValuePath, row: Row) -> None:
        for number, each in enumerate(row.get("models") or ()):
            place = (*path, "models", str(number))
            if each in self._draft.routes or each in {ALL_MODELS, ALL_TEAM_MODELS, NO_MODELS}:
                self._config.judge(place, EXACT, "Among the routes it may use.")
            else:
                self._config.judge(place, MANUAL, "No route has this name: it is left out.")

    def _judge_all(self, path: ValuePath, row: Row, verdict: Verdict, reason: str) -> None:
        self._judge_leaves(path, _drop_empty(row), verdict, reason)

    def _judge_leaves(self, path: ValuePath, value: Any, verdict: Verdict, reason: str) -> None:
        for leaf in iter_leaves(value, path):
            self._config.judge(leaf, verdict, reason)

    def _find_free_slug(self, title: str) -> str:
        return self._free_slugs.take(slugify(title)[: MAX_SLUG_LENGTH - 8] or "team")


def _find_limit(row: Row) -> str:
    """Return why a key would open more here than it did; "" where it would not."""
    if not is_sha256(str(row.get("token") or "")):
        return "Not imported: its token is no SHA-256."
    if row.get("project_id") or row.get("agent_id"):
        return "Not imported: a project or an agent restricts it. Make a key with its routes."
    allowed = row.get("allowed_routes") or ()
    if allowed and not CHAT_PERMISSIONS & set(map(str, allowed)):
        return "Not imported: it may not ask for chat completions."
    return ""


def _read_time(value: Any) -> datetime | None:
    """Return a column's time; LiteLLM writes UTC without a zone."""
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _drop_empty(row: Row) -> dict[str, Any]:
    """Return the columns that say something, without the key's own."""
    return {
        name: value
        for name, value in row.items()
        if name not in _SECRET_COLUMNS and value not in (None, "", [], {}, 0, False)
    }
