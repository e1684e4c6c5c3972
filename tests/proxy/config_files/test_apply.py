"""`manage.py apply`: the database says what the file says, all of it or nothing."""

import hashlib
import json
import secrets
import textwrap
import time
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from plans import key_secrets, selectors
from plans.models import ModelPrice, Plan, Revision, Tenant, VirtualKey
from plans.records import get_row_history
from proxy.models import Route, Upstream
from proxy.upstreams import encryption
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db

PROVIDER_KEY = "sk-a-provider-key"
SECRET = f"tt-{secrets.token_urlsafe(32)}"
FILE = """
upstreams:
  openai:
    base_url: https://api.openai.com/v1
    key: ${PROVIDER_KEY}
    read_timeout: 300
routes:
  smart/balanced:
    upstream: openai
    model: gpt-4o-mini
  smart/off: {upstream: openai, model: gpt-4o, enabled: false}
tenants:
  acme:
    name: Acme Inc
    routes: ["*"]
    max_entries: 1000
    plans:
      support-bot:
        compression: null
        cache: {backend: null, ttl: 3600}
        holdout: 0.05
    keys:
      web:
        secret: ${WEB_KEY}
        routes: [smart/balanced]
        expires_at: 2099-01-31T00:00:00+01:00
plans:
  everywhere: {preset: safe}
prices:
  openai/gpt-of-ours: {input: 1.25, output: "10"}
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_KEY", PROVIDER_KEY)
    monkeypatch.setenv("WEB_KEY", SECRET)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(FILE)
    return path


def apply(source: Path, *arguments: str) -> str:
    out = StringIO()
    call_command("apply", str(source), *arguments, stdout=out)
    return out.getvalue()


def refused(source: Path, *arguments: str) -> str:
    before = read_state()
    with pytest.raises(CommandError) as caught:
        apply(source, *arguments)
    assert "othing was changed" in str(caught.value)
    assert read_state() == before
    assert PROVIDER_KEY not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def read_state() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Upstream, Route, Tenant, Plan, VirtualKey, ModelPrice, Revision)
    ]


def test_a_file_becomes_the_configuration_and_the_second_time_nothing_changes(file: Path) -> None:
    told = apply(file)
    assert told.splitlines()[:2] == ["+ upstream openai", "+ route smart/balanced"]
    assert "+ key acme/web" in told
    assert "Changed 8 objects; 0 as the file says." in told
    assert PROVIDER_KEY not in told
    assert SECRET not in told
    upstream = Upstream.objects.get(name="openai")
    assert encryption.decrypt(upstream.encrypted_key) == PROVIDER_KEY
    assert (upstream.provider, upstream.read_timeout) == ("openai", 300.0)
    assert not Route.objects.get(name="smart/off").enabled
    (plan,) = Plan.objects.filter(tenant__slug="acme")
    assert (plan.name, plan.ttl, plan.holdout, plan.compression_engine) == (
        "support-bot",
        3600,
        0.05,
        None,
    )
    (live,) = selectors.load_live_keys().values()
    assert (live.name, tuple(live.routes)) == ("web", ("smart/balanced",))
    price = ModelPrice.objects.get(model="gpt-of-ours")
    assert (price.input, price.output, price.edited) == (Decimal("1.25"), Decimal(10), True)
    before = read_state()
    assert apply(file) == "Changed 0 objects; 8 as the file says.\n"
    assert read_state() == before


def test_changes_are_shown_before_they_are_made_and_noted_with_their_author(file: Path) -> None:
    apply(file)
    file.write_text(FILE.replace("gpt-4o-mini", "gpt-4.1").replace("ttl: 3600", "ttl: 60"))
    before = read_state()
    told = json.loads(apply(file, "--dry-run", "--output", "json"))
    assert read_state() == before
    assert told["dry_run"] is True
    assert told["changes"] == [
        {
            "action": "update",
            "kind": "route",
            "name": "smart/balanced",
            "fields": {"model": {"before": "gpt-4o-mini", "after": "gpt-4.1"}},
        },
        {
            "action": "update",
            "kind": "plan",
            "name": "acme/support-bot",
            "fields": {"ttl": {"before": 3600, "after": 60}},
        },
    ]
    said = apply(file)
    assert "~ route smart/balanced: model gpt-4o-mini -> gpt-4.1" in said
    note = get_row_history(Route.objects.get(name="smart/balanced")).first()
    assert note is not None
    assert (note.model, note.history_change_reason) == ("gpt-4.1", "Applied from a file")
    assert Route.objects.get(name="smart/balanced").version == 2


def test_a_field_that_is_left_out_again_takes_its_default(file: Path) -> None:
    apply(file)
    file.write_text(FILE.replace("    max_entries: 1000\n", ""))
    assert "~ tenant acme: max_entries 1000 -> None" in apply(file)


def test_another_provider_key_is_a_change_that_is_not_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(file)
    monkeypatch.setenv("PROVIDER_KEY", "sk-another")
    assert "~ upstream openai: key (hidden) -> (hidden)" in apply(file)
    assert encryption.decrypt(Upstream.objects.get().encrypted_key) == "sk-another"


def test_a_key_with_a_new_secret_replaces_the_former_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(file)
    monkeypatch.setenv("WEB_KEY", f"tt-{secrets.token_urlsafe(32)}")
    told = apply(file)
    assert "+ key acme/web" in told
    assert f"- key acme/web ({SECRET[:9]}...) (revoked)" in told
    assert VirtualKey.objects.filter(revoked_at=None).count() == 1
    monkeypatch.setenv("WEB_KEY", SECRET)
    assert "tenants.acme.keys.web.secret: Was revoked" in refused(file)


def test_a_key_made_elsewhere_is_given_by_its_sha256(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = hashlib.sha256(b"sk-made-elsewhere").hexdigest()
    file.write_text(FILE.replace("secret: ${WEB_KEY}", f'secret_sha256: "{foreign}"'))
    assert "+ key acme/web" in apply(file)
    digest = key_secrets.compute_client_digest("sk-made-elsewhere", pepper=settings.KEY_PEPPER)
    assert list(selectors.load_live_keys()) == [digest]
    assert VirtualKey.objects.get().prefix.startswith("imported-")
    assert apply(file) == "Changed 0 objects; 8 as the file says.\n"
    file.write_text(FILE)
    assert "(revoked)" in apply(file)


@pytest.mark.parametrize(
    "said", ["{}", '{secret: "${WEB_KEY}", secret_sha256: "' + "a" * 64 + '"}']
)
def test_a_key_has_one_secret(file: Path, said: str) -> None:
    file.write_text(f"tenants: {{acme: {{keys: {{web: {said}}}}}}}")
    assert "tenants.acme.keys.web: Must have one of: secret, secret_sha256." in refused(file)


def test_a_former_secret_works_on_for_the_overlap_that_the_file_says(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(
        FILE.replace(
            "        secret: ${WEB_KEY}\n", "        secret: ${WEB_KEY}\n        overlap: 600\n"
        )
    )
    apply(file)
    monkeypatch.setenv("WEB_KEY", f"tt-{secrets.token_urlsafe(32)}")
    told = apply(file)
    assert "+ key acme/web" in told
    assert f"~ key acme/web ({SECRET[:9]}...): expires_at" in told
    assert {each.state for each in VirtualKey.objects.all()} == {"live", "replaced"}
    assert len(selectors.load_live_keys()) == 2
    assert "Changed 0 objects" in apply(file, "--prune")
    monkeypatch.setenv("WEB_KEY", SECRET)  # taken back: the former secret is the key's again
    apply(file)
    states = {each.prefix: each.state for each in VirtualKey.objects.all()}
    assert states.pop(SECRET[:9]) == "live"
    assert list(states.values()) == ["replaced"]
    file.write_text(file.read_text().replace("overlap: 600", "overlap: 1h"))
    assert "keys.web.overlap: Must be whole seconds" in refused(file)


def test_a_key_is_paused_by_a_file(file: Path) -> None:
    file.write_text(
        FILE.replace(
            "        secret: ${WEB_KEY}\n", "        secret: ${WEB_KEY}\n        paused: true\n"
        )
    )
    apply(file)
    (key,) = selectors.load_live_keys().values()
    assert key.paused
    file.write_text(FILE)
    assert "~ key acme/web: paused True -> False" in apply(file)


def test_a_change_of_a_tenant_is_in_its_history(file: Path) -> None:
    apply(file)
    file.write_text(FILE.replace("name: Acme Inc", "name: Acme Ltd"))
    apply(file)
    notes = list(get_row_history(Tenant.objects.get()))
    assert [note.name for note in notes] == ["Acme Ltd", "Acme Inc"]
    assert {note.history_change_reason for note in notes} == {"Applied from a file"}


def test_secrets_come_from_files_too(file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{PROVIDER_KEY}\n")
    file.write_text(FILE.replace("${PROVIDER_KEY}", f"file:{tmp_path / 'key'}"))
    apply(file)
    assert encryption.decrypt(Upstream.objects.get().encrypted_key) == PROVIDER_KEY


def test_default_plans_are_named_wherever_their_plans_stand(file: Path) -> None:
    file.write_text(
        FILE.replace(
            "    model: gpt-4o-mini\n", "    model: gpt-4o-mini\n    default_plan: everywhere\n"
        )
        .replace("    name: Acme Inc\n", "    name: Acme Inc\n    default_plan: support-bot\n")
        .replace(
            "        secret: ${WEB_KEY}\n",
            "        secret: ${WEB_KEY}\n        default_plan: everywhere\n",
        )
    )
    assert "Changed 8 objects; 0 as the file says." in apply(file)
    named = [
        getattr(row.default_plan, "name", None)
        for row in (
            Route.objects.get(name="smart/balanced"),
            Tenant.objects.get(),
            VirtualKey.objects.get(),
        )
    ]
    assert named == ["everywhere", "support-bot", "everywhere"]
    assert apply(file) == "Changed 0 objects; 8 as the file says.\n"
    file.write_text(file.read_text().replace("default_plan: support-bot", "default_plan: null"))
    told = apply(file)
    assert "~ tenant acme: default_plan support-bot -> None" in told
    assert "Changed 1 object; 7 as the file says." in told
    file.write_text(file.read_text().replace("default_plan: null", "default_plan: nowhere"))
    assert "tenants.acme.default_plan: No such plan of acme or the platform" in refused(file)


def test_a_plan_that_is_somebodys_default_is_not_pruned(file: Path) -> None:
    apply(file)
    Tenant.objects.create(slug="other", default_plan=Plan.objects.get(name="everywhere"))
    file.write_text("plans: {}\n")
    told = refused(file, "--prune")
    assert "plans: The plan everywhere is not in the file. It is used by tenant other." in told


def test_what_no_file_names_stays_unless_it_is_pruned(file: Path) -> None:
    apply(file)
    start = FILE.index("    keys:")
    file.write_text(
        FILE[:start].replace("  smart/off: {upstream: openai, model: gpt-4o, enabled: false}\n", "")
        + "    keys: {}\nplans: {}\n"
    )
    assert apply(file) == "Changed 0 objects; 4 as the file says.\n"
    told = apply(file, "--prune")
    assert [line for line in told.splitlines() if line.startswith("-")] == [
        "- key acme/web (revoked)",
        "- plan everywhere",
        "- route smart/off",
    ]
    assert ModelPrice.objects.filter(edited=True).exists()  # the file has no section for prices
    assert Plan.objects.count() == 1


def test_pruning_a_key_that_is_in_use_asks(file: Path) -> None:
    apply(file)
    key = VirtualKey.objects.get()
    store(make_event(at=time.time() - 3600, key_id=key.pk, tenant_id=key.tenant_id))
    file.write_text(
        FILE.replace(FILE[FILE.index("      web:") : FILE.index("plans:\n  every")], "")
    )
    assert "keys that were used within a day: acme/web. Add --yes" in refused(file, "--prune")
    assert "- key acme/web (revoked)" in apply(file, "--prune", "--dry-run")
    assert VirtualKey.objects.filter(revoked_at=None).exists()
    assert "- key acme/web (revoked)" in apply(file, "--prune", "--yes")


def test_an_upstream_that_routes_need_is_not_pruned(file: Path) -> None:
    apply(file)
    file.write_text("upstreams: {}\n")
    assert (
        "upstreams: The upstream openai is not in the file. It is used by route smart/"
        in refused(file, "--prune")
    )


def test_files_of_a_folder_are_one_configuration(tmp_path: Path) -> None:
    for name, section in (("a.yaml", "upstreams"), ("b.yml", "routes"), ("c.yaml", "tenants")):
        start = FILE.index(f"{section}:")
        end = min(
            (
                FILE.index(f"\n{each}:")
                for each in ("routes", "tenants", "plans")
                if FILE.find(f"\n{each}:") > start
            ),
            default=len(FILE),
        )
        (tmp_path / name).write_text(FILE[start:end] + "\n")
    (tmp_path / "ignored.txt").write_text("no: yaml: here")
    assert "Changed 6 objects" in apply(tmp_path)
    (tmp_path / "d.yaml").write_text("routes:\n  smart/balanced: {upstream: openai, model: x}\n")
    assert f"d.yaml:2: routes.smart/balanced: Stands in {tmp_path}/b.yml:2 already" in refused(
        tmp_path
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "read_timeout: 300",
            "read_timout: 300",
            ":6: upstreams.openai.read_timout: Unknown field. Accepted: ",
        ),
        (
            "read_timeout: 300",
            "read_timeout: 0",
            ":6: upstreams.openai.read_timeout: Ensure this value",
        ),
        ("read_timeout: 300", "read_timeout: soon", "Must be a number of seconds"),
        ("https://api.openai.com/v1", "ftp://x", ":4: upstreams.openai.base_url:"),
        ("https://api.openai.com/v1", "https://10.0.0.1/v1", "base_url:"),
        (
            "${PROVIDER_KEY}",
            "${NOWHERE}",
            ":5: upstreams.openai.key: The environment variable NOWHERE is ",
        ),
        (
            "${PROVIDER_KEY}",
            "file:/nowhere",
            "upstreams.openai.key: The file /nowhere cannot be read",
        ),
        (
            "upstream: openai\n",
            "upstream: opanai\n",
            ":9: routes.smart/balanced.upstream: No such upstream. There are: ",
        ),
        ("    model: gpt-4o-mini\n", "", ":8: routes.smart/balanced: model is missing"),
        (
            'routes: ["*"]',
            "routes: [smart/blanced]",
            "tenants.acme.routes: No such route: smart/blanced",
        ),
        (
            "routes: [smart/balanced]",
            "routes: smart/balanced",
            "keys.web.routes: Must be a list of names",
        ),
        (
            "expires_at: 2099-01-31T00:00:00+01:00",
            "expires_at: 2099-01-31",
            "Must be a time with its zone",
        ),
        (
            "secret: ${WEB_KEY}",
            "secret: tt-short",
            "tenants.acme.keys.web.secret: Must be tt- and 43 random",
        ),
        (
            "secret: ${WEB_KEY}",
            "secret_sha256: abc",
            "tenants.acme.keys.web.secret_sha256: Must be the SHA-256 of a key",
        ),
        ("ttl: 3600", "ttl: -1", "tenants.acme.plans.support-bot.cache.ttl: Must be a whole"),
        ("preset: safe", "preset: sane", "plans.everywhere.preset: Must be one of"),
        (
            "openai/gpt-of-ours",
            "gpt-of-ours",
            "prices.gpt-of-ours: Must be named <provider>/<model>",
        ),
        ("input: 1.25", "input: a lot", "prices.openai/gpt-of-ours.input: Must be an amount"),
        ("input: 1.25", "input: -1", "input: Ensure this value"),
        ("prices:", "costs:", ":29: costs: Unknown section. Accepted: upstreams, routes"),
        ("plans:\n  everywhere", "routes:\n  everywhere", ":27: routes: Stands in line 7 already"),
        ("  acme:\n", "  acme acme:\n", "tenants.acme acme"),
    ],
)
def test_bad_input_is_refused_with_file_line_and_path_and_nothing_is_changed(
    file: Path, before: str, after: str, told: str
) -> None:
    assert before in FILE
    file.write_text(FILE.replace(before, after, 1))
    assert told in refused(file)


def test_everything_that_is_wrong_is_told_at_once(file: Path) -> None:
    file.write_text(
        FILE.replace("ttl: 3600", "ttl: -1").replace("upstream: openai\n", "upstream: x\n")
    )
    told = refused(file).splitlines()
    assert len(told) == 3
    assert "cache.ttl" in told[1] or "cache.ttl" in told[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Changed 0 objects"),
        ("- a list", ":1: Must be a mapping of sections"),
        ("routes: [a, b]", ":1: routes: Must be a mapping of names"),
        ("routes: {a: [1]}", "routes.a: Must be a mapping of: upstream, model, enabled"),
        ("a: 'open", "Is no YAML"),
        ("routes: !!python/object/apply:os.system ['true']", "Must be a mapping of names"),
        ("a: &a {<<: *a}", "<< is not supported"),
        ("routes: {x: {upstream: !!python/name:os.system }}", "Cannot be read"),
        ("? [1, 2]\n: x", "Names must be plain text"),
    ],
)
def test_whatever_a_file_holds(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert told in (apply(path) if told.startswith("Changed") else refused(path))


def test_aliases_of_aliases_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path.write_text("\n".join(lines))
    assert "Must hold 1,000,000 values at most" in refused(path)


def test_text_that_looks_like_something_else_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        textwrap.dedent(
            """
            upstreams:
              on: {base_url: "https://api.example.com/v1"}
            routes:
              no: {upstream: on, model: "1.10"}
            """
        )
    )
    apply(path)
    assert Route.objects.get().name == "no"
