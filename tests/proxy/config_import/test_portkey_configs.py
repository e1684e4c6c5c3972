"""Five configs in Portkey's documented forms: each value has a verdict, and the file applies."""

import json
from pathlib import Path

import pytest
import yaml

from plans.models import Plan
from proxy.models import Route
from tests.proxy.config_import.imported import (
    PORTKEY_CONFIGS,
    PORTKEY_REPORTS,
    leaves,
    report_all,
    run,
    set_variables,
)

EACH = pytest.mark.parametrize("path", PORTKEY_CONFIGS, ids=lambda path: path.stem)
# Route: address, model, default plan.
ROUTES = {
    "1_single": {"gpt-4o-mini": ("https://api.openai.com/v1", "gpt-4o-mini", "portkey-cache")},
    "2_fallback": {
        "gpt-4o-eu": ("https://acme-eu.openai.azure.com/openai/v1", "gpt-4o-eu", "portkey-cache")
    },
    "3_balanced": {
        "meta-llama/Llama-3.3-70B-Instruct-Turbo": (
            "https://api.together.ai/v1",
            "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            None,
        )
    },
    "4_conditional": {
        "large": ("https://api.openai.com/v1", "gpt-4.1", "portkey-cache"),
        "small": ("https://api.mistral.ai/v1", "mistral-small-latest", None),
        "own": ("http://10.0.0.5:8000/v1", "qwen3", None),
    },
    "5_any_model": {},
}


@EACH
def test_each_value_has_one_verdict_and_no_literal_secret_is_told(path: Path) -> None:
    report = json.loads(run("import_portkey", str(path), "--dry-run", "--report", "json"))
    told = [tuple(each["path"]) for each in report["values"]]
    assert sorted(told) == sorted(leaves(json.loads(path.read_text())))
    assert all(each["reason"].rstrip(".") for each in report["values"])
    out = run("import_portkey", str(path)) + run("import_portkey", str(path), "--dry-run")
    assert "literal" not in out


@EACH
@pytest.mark.django_db
def test_apply_accepts_what_was_imported_and_names_lead_where_they_led(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    text = run("import_portkey", str(path))
    for name, value in set_variables(text).items():
        monkeypatch.setenv(name, value)
    file.write_text(text)
    run("apply", str(file), "--dry-run")
    run("apply", str(file))
    assert run("apply", str(file)).startswith("Changed 0 objects")
    found = {
        route.name: (
            route.upstream.base_url,
            route.model,
            route.default_plan.name if route.default_plan else None,
        )
        for route in Route.objects.select_related("upstream", "default_plan")
    }
    assert found == ROUTES[path.stem]
    ttls = {plan.ttl for plan in Plan.objects.all()}
    expected = {"1_single": {3600}, "4_conditional": {60}, "3_balanced": set()}
    assert ttls == expected.get(path.stem, {86_400})


def test_the_report_of_all_five_is_the_one_that_is_kept() -> None:
    assert report_all("import_portkey", PORTKEY_CONFIGS) == PORTKEY_REPORTS.read_text(), (
        "run `python -m tests.proxy.config_import.imported` and read what changed"
    )


def test_headers_are_written_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{"provider": "openai", "override_params": {"model": "m"}, "forward_headers": ["x-user"],'
        ' "openai_organization": "org-1", "openai_project": "p-1"}'
    )
    report = json.loads(run("import_portkey", str(path), "--dry-run", "--report", "json"))
    assert report["counts"]["exact"] == 4
    (upstream,) = yaml.safe_load(run("import_portkey", str(path)))["upstreams"].values()
    assert upstream["forward_headers"] == ["x-user"]
    assert upstream["headers"] == {"OpenAI-Organization": "org-1", "OpenAI-Project": "p-1"}


@pytest.mark.parametrize(
    "text",
    [
        '{"strategy": "x", "targets": [1, null, "x", []]}',
        '{"strategy": {"mode": ["x"]}, "targets": [{}]}',
        '{"strategy": {"mode": "conditional"}, "targets": [{"name": [1]}, {"name": "a b"}]}',
        '{"strategy": {"mode": "loadbalance"}, "targets": [{"weight": "x"}, {"weight": null}]}',
        '{"provider": {"x": 1}, "api_key": [1], "override_params": {"model": {"x": 1}}}',
        '{"provider": "openai", "custom_host": [1], "cache": [1]}',
        '{"provider": "openai", "api_key": "k", "cache": {"mode": {"x": 1}, "max_age": []}}',
        '{"provider": "openai", "request_timeout": "x", "override_params": {"model": "a b"}}',
        '{"provider": "azure-openai", "resource_name": "a/../b?c", "deployment_id": "d"}',
    ],
)
def test_values_of_a_wrong_kind_have_a_verdict_and_break_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    report = json.loads(run("import_portkey", str(path), "--dry-run", "--report", "json"))
    assert report["values"]
    assert {each["verdict"] for each in report["values"]} <= {"exact", "manual", "unsupported"}
    assert yaml.safe_load(run("import_portkey", str(path))) is not None
