"""Keys and teams of LiteLLM's database: clients keep their keys, which open no more than before."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.conf import settings
from django.core.management.base import CommandError
from psycopg import sql
from psycopg.types.json import Jsonb

from plans import key_secrets, selectors
from plans.models import Tenant
from tests.proxy.config_import.imported import run
from tests.support import databases

# Of LiteLLM's tables, the columns that matter, under its own names and types.
TABLES = """
CREATE TABLE "LiteLLM_BudgetTable" (budget_id text PRIMARY KEY, allowed_models text[]);
CREATE TABLE "LiteLLM_TeamTable" (
    team_id text PRIMARY KEY, team_alias text, models text[], blocked boolean DEFAULT false,
    max_budget float, rpm_limit bigint, spend float DEFAULT 0, metadata jsonb DEFAULT '{}',
    created_at timestamp DEFAULT now());
CREATE TABLE "LiteLLM_UserTable" (user_id text PRIMARY KEY, models text[]);
CREATE TABLE "LiteLLM_ProxyModelTable" (model_id text, model_name text, litellm_params jsonb);
CREATE TABLE "LiteLLM_Config" (param_name text, param_value jsonb);
CREATE TABLE "LiteLLM_TeamMembership" (
    user_id text, team_id text, budget_id text, PRIMARY KEY (user_id, team_id));
CREATE TABLE "LiteLLM_VerificationToken" (
    token text PRIMARY KEY, key_name text, key_alias text, spend float DEFAULT 0,
    expires timestamp, models text[], aliases jsonb DEFAULT '{}', user_id text, team_id text,
    project_id text, max_parallel_requests int, metadata jsonb DEFAULT '{}', blocked boolean,
    tpm_limit bigint, max_budget float, budget_duration text, allowed_routes text[],
    created_at timestamp DEFAULT now());
"""
FILE = """
model_list:
  - {model_name: small, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/K}}
  - {model_name: large, litellm_params: {model: openai/gpt-4.1, api_key: os.environ/K}}
"""
SOON = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(days=30)
KEYS: dict[str, dict[str, Any]] = {
    "sk-anybody": {"key_alias": "anybody", "spend": 1.5},
    "sk-support": {"key_alias": "web", "team_id": "t1", "models": ["all-team-models"]},
    "sk-support-2": {"key_alias": "web", "team_id": "t1", "models": ["small", "no-such"]},
    "sk-expiring": {"team_id": "t1", "expires": SOON, "max_budget": 5.0, "tpm_limit": 1000},
    "sk-research": {"key_alias": "lab", "team_id": "t2", "models": ["small", "large"]},
    "sk-of-a-person": {"key_alias": "person", "user_id": "u1"},
    "sk-of-a-member": {"key_alias": "member", "user_id": "u2", "team_id": "t1"},
    "sk-chat-only": {"key_alias": "chat", "allowed_routes": ["llm_api_routes"]},
    # None of these may open anything here.
    "sk-blocked": {"blocked": True},
    "sk-expired": {"expires": SOON - timedelta(days=31)},
    "sk-blocked-team": {"team_id": "t3"},
    "sk-team-gone": {"team_id": "t9"},
    "sk-pages": {"team_id": "litellm-dashboard"},
    "sk-other-models": {"models": ["no-such", "openai/*"]},
    "sk-no-models": {"models": ["no-default-models"]},
    "sk-not-the-teams": {"team_id": "t2", "models": ["large"]},
    "sk-embeddings": {"allowed_routes": ["/v1/embeddings"]},
    "sk-project": {"project_id": "p1"},
    "sk-nobody-may": {"user_id": "u3"},
}
OPENS = {
    "sk-anybody": ("litellm", "anybody", []),
    "sk-support": ("support", "web", []),
    "sk-support-2": ("support", "web 2", ["small"]),
    "sk-research": ("research-lab", "lab", ["small"]),
    "sk-of-a-person": ("litellm", "person", ["large"]),
    "sk-of-a-member": ("support", "member", ["small"]),
    "sk-chat-only": ("litellm", "chat", []),
}


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with databases.own_database(os.environ["DATABASE_URL"], copy_of="template1") as url:
        with psycopg.connect(url) as connection:
            connection.execute(TABLES.encode())
            connection.execute(
                """
                INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, models, blocked, max_budget,
                    metadata)
                VALUES ('t1', 'Support', '{}', false, 100, '{"owner": "ann", "deep": {"x": 1}}'),
                    ('t2', 'Research Lab', '{small,no-such}', false, null, '{}'),
                    ('t3', 'Gone', '{}', true, null, '{}');
                INSERT INTO "LiteLLM_UserTable" VALUES ('u1', '{large}'), ('u2', '{}'),
                    ('u3', '{no-such}');
                INSERT INTO "LiteLLM_BudgetTable" VALUES ('b1', '{small}');
                INSERT INTO "LiteLLM_ProxyModelTable" VALUES ('m1', 'in-database', '{}');
                INSERT INTO "LiteLLM_Config" VALUES ('router_settings', '{"num_retries": 1}');
                INSERT INTO "LiteLLM_TeamMembership" VALUES ('u2', 't1', 'b1');
                """
            )
            for number, (secret, columns) in enumerate(KEYS.items()):
                made = SOON - timedelta(days=100 - number)
                insert_key(connection, {"token": hashed(secret), "created_at": made} | columns)
        yield url


def insert_key(connection: "psycopg.Connection[Any]", columns: dict[str, Any]) -> None:
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier("LiteLLM_VerificationToken"),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    values = [Jsonb(each) if isinstance(each, dict) else each for each in columns.values()]
    connection.execute(query, values)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


@pytest.mark.django_db
def test_clients_keep_their_keys_and_no_key_opens_more_than_it_did(
    database: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "sk-provider")
    imported = file.with_name("gateway.yaml")
    run("import_litellm", str(file), "--database", database, "--output", str(imported))
    run("apply", str(imported))
    assert run("apply", str(imported)).startswith("Changed 0 objects")
    live = selectors.load_live_keys()
    found = {}
    for secret in KEYS:
        digest = key_secrets.compute_client_digest(secret, pepper=settings.KEY_PEPPER)
        if digest in live:
            key = live[digest]
            found[secret] = (key.tenant, key.name, sorted(key.routes))
    expiring = found.pop("sk-expiring")
    assert expiring[::2] == ("support", [])
    assert found == OPENS
    assert len(live) == len(OPENS) + 1
    assert Tenant.objects.get(slug="research-lab").routes == ["small"]
    assert Tenant.objects.get(slug="support").routes == ["*"]
    assert not Tenant.objects.filter(name="Gone").exists()
    (expires,) = {key.expires_at for key in live.values() if key.expires_at}
    assert expires == SOON.replace(tzinfo=UTC).timestamp()


def test_every_value_that_is_not_empty_has_a_verdict_and_no_digest_is_told(
    database: str, file: Path
) -> None:
    told = run("import_litellm", str(file), "--database", database, "--dry-run", "--report", "json")
    report = json.loads(told)
    values = {".".join(each["path"]): each for each in report["values"]}
    assert values["LiteLLM_TeamTable.t1.max_budget"]["verdict"] == "unsupported"
    assert values["LiteLLM_TeamTable.t1.metadata.deep.x"]["verdict"] == "manual"
    assert values["LiteLLM_TeamTable.t2.models.1"]["verdict"] == "manual"
    assert values["LiteLLM_ProxyModelTable.in-database"]["verdict"] == "manual"
    assert values["LiteLLM_Config.router_settings"]["verdict"] == "manual"
    reasons = {each["reason"] for each in report["values"]}
    for said in (
        "Key support/web 2, which clients keep.",
        "Not imported: it is blocked.",
        "Not imported: it has expired.",
        "Not imported: its team is blocked or gone.",
        "Not imported: it may not ask for chat completions.",
        "Not imported: none of its models is a route that its tenant may use.",
    ):
        assert said in reasons
    for secret in KEYS:
        assert hashed(secret) not in told
        assert hashed(secret)[:12] not in told
    shown = run("import_litellm", str(file), "--database", database, "--dry-run")
    assert not [secret for secret in KEYS if hashed(secret) in shown]


def test_keys_without_a_team_go_to_the_tenant_that_is_named(database: str, file: Path) -> None:
    out = file.with_name("gateway.yaml")
    given = ("import_litellm", str(file), "--database", database)
    run(*given, "--tenant", "support", "--output", str(out))
    written = yaml.safe_load(out.read_text())
    assert "anybody" in written["tenants"]["support"]["keys"]
    assert "web" in written["tenants"]["support-2"]["keys"]
    with pytest.raises(CommandError, match="--tenant must be"):
        run(*given, "--tenant", "a b", "--dry-run")
    with pytest.raises(CommandError, match="--database needs --output"):
        run(*given)


def test_a_database_that_is_not_litellms_or_not_there_is_told_without_its_password(
    file: Path,
) -> None:
    with pytest.raises(CommandError, match="is it LiteLLM's"):
        run("import_litellm", str(file), "--dry-run", "--database", os.environ["DATABASE_URL"])
    for url in ("postgresql://me:secret-word@127.0.0.1:1/none", "nonsense secret-word"):
        with pytest.raises(CommandError) as caught:
            run("import_litellm", str(file), "--dry-run", "--database", url)
        assert "cannot be read" in str(caught.value)
        assert "secret-word" not in str(caught.value)


def test_the_address_may_stand_in_a_file(database: str, file: Path, tmp_path: Path) -> None:
    url = tmp_path / "url"
    given = ("import_litellm", str(file), "--dry-run", "--database", f"file:{url}")
    with pytest.raises(CommandError, match="cannot be read"):
        run(*given)
    url.write_text(f"{database}\n")
    assert "LiteLLM_TeamTable.t1.team_alias: Tenant support." in run(*given)


def test_the_database_is_only_read(database: str, file: Path) -> None:
    def dump() -> list[Any]:
        with psycopg.connect(database) as connection:
            tables = ("LiteLLM_VerificationToken", "LiteLLM_TeamTable")
            query = sql.SQL("SELECT * FROM {} ORDER BY 1")
            return [connection.execute(query.format(sql.Identifier(t))).fetchall() for t in tables]

    before = dump()
    run("import_litellm", str(file), "--database", database, "--dry-run")
    assert dump() == before
