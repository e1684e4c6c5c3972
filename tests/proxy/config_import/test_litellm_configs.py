"""Ten configurations in LiteLLM's documented forms: each value has a verdict, the file applies,
and every name leads where LiteLLM leads it."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs among our requirements
import pytest
import yaml

from plans.models import ModelPrice, Plan
from proxy.config_files.json_schema import build_config_schema
from proxy.models import Route
from proxy.upstreams import encryption
from tests.proxy.config_import.imported import (
    ADDRESS,
    CONFIGS,
    REPORTS,
    TARGETS,
    leaves,
    report_all,
    run,
    set_variables,
)
from tests.support import databases

EACH = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file that the import wrote, with all that it needs in the environment."""
    text = run("import_litellm", str(path))
    for name, value in set_variables(text).items():
        monkeypatch.setenv(name, value)
    return text


def test_there_are_ten_and_each_has_its_targets() -> None:
    assert len(CONFIGS) == 10
    assert [path.name for path in CONFIGS] == list(TARGETS)


@EACH
def test_each_value_has_one_verdict_and_a_reason(path: Path) -> None:
    report = json.loads(run("import_litellm", str(path), "--dry-run", "--report", "json"))
    told = [tuple(each["path"]) for each in report["values"]]
    assert sorted(told) == sorted(leaves(yaml.safe_load(path.read_text())))
    assert {each["verdict"] for each in report["values"]} <= {"exact", "manual", "unsupported"}
    assert all(each["reason"].rstrip(".") for each in report["values"])
    assert sum(report["counts"].values()) == len(told)


@EACH
def test_no_literal_secret_is_written_or_told(path: Path) -> None:
    out = run("import_litellm", str(path)) + run("import_litellm", str(path), "--dry-run")
    for secret in ("sk-literal-mistral-key", "sk-1234", "pk-literal"):
        assert secret not in out


@EACH
@pytest.mark.django_db
def test_apply_accepts_what_was_imported(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(imported(path, monkeypatch))
    jsonschema.validate(yaml.safe_load(file.read_text()), build_config_schema())
    told = run("apply", str(file), "--dry-run")
    assert f"+ route {next(iter(TARGETS[path.name]))}" in told
    run("apply", str(file))
    assert run("apply", str(file)).startswith("Changed 0 objects")


@EACH
@pytest.mark.django_db
def test_each_name_leads_where_litellm_leads_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(imported(path, monkeypatch))
    run("apply", str(file))
    found: dict[str, Any] = {}
    for route in Route.objects.select_related("upstream"):
        key = encryption.decrypt(route.upstream.encrypted_key)
        found[route.name] = [route.upstream.base_url, route.model, key]
    assert found == {
        name: [address, model, f"sk-of-{variable.lower()}" if variable else ""]
        for name, (address, model, variable) in TARGETS[path.name].items()
    }


def test_the_report_of_all_ten_is_the_one_that_is_kept() -> None:
    assert report_all("import_litellm", CONFIGS) == REPORTS.read_text(), (
        "run `python -m tests.proxy.config_import.imported` and read what changed"
    )


@pytest.mark.django_db
def test_caches_become_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gateway.yaml"
    seen = {}
    for path in CONFIGS[4:7]:
        file.write_text(imported(path, monkeypatch))
        run("apply", str(file), "--prune")
        plan = Plan.objects.get(name="litellm-cache")
        default = Route.objects.get(name=next(iter(TARGETS[path.name]))).default_plan
        seen[path.stem] = (plan.exact, plan.backend, plan.match, plan.ttl, default == plan)
        assert (plan.compression_engine, plan.ttl_jitter, plan.tool_calls) == (None, 0.0, "output")
    assert seen == {
        "05_redis_cache": (True, None, "verified", 600, True),
        "06_semantic_cache": (True, "pgvector_semantic", "verified", 3600, True),
        "07_opt_in_qdrant": (True, "pgvector_semantic", "verified", 60, False),
    }


@pytest.mark.django_db
def test_prices_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(imported(CONFIGS[7], monkeypatch))
    run("apply", str(file))
    ours, long = (
        ModelPrice.objects.get(model=name) for name in ("gpt-of-ours", "accounts/acme/models/long")
    )
    assert (float(ours.input), float(ours.output), ours.terms) == (1.25, 10.0, "")
    assert (float(long.input), float(long.output), float(long.cached_input or 0)) == (1, 3, 0.1)
    assert long.terms == "output_reasoning 4\nabove 200000: input 2, output 6"
    assert ADDRESS not in file.read_text()


def test_the_guide_says_how_many_values_the_ten_have() -> None:
    count = sum(len(leaves(yaml.safe_load(path.read_text()))) for path in CONFIGS)
    guide = (databases.ROOT / "docs" / "migrate.md").read_text()
    assert f"`tests/proxy/config_import/litellm_reports.txt`: {count} values" in guide
