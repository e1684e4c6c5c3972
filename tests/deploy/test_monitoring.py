"""Dashboards, alert rules and the metrics page of a gateway of two workers that served traffic,
held against each other."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import yaml
from prometheus_client import REGISTRY, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from proxy.pipeline.stage_labels import LABELS
from proxy.pipeline.stage_times import HAD_WORK
from proxy.runtime.watchdog import OUTSIDE_STAGE
from stats.analysis.error_rate import Verdict
from stats.events import Outcome, Tier
from stats.monitoring import metrics, upstream_metrics
from tests.support.gateways import Gateway, running_gateway
from tests.support.promql import Known, legend_labels, problems
from tests.support.upstream import MockUpstream, completion, running_upstream

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
MANUAL = DEPLOY.parent / "docs" / "operate.md"
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
VALUES: dict[str, frozenset[str]] = {  # of labels that our own code fills
    "tier": frozenset(get_args(Tier)),
    "outcome": frozenset(get_args(Outcome)),
    "result": upstream_metrics.UPSTREAM_RESULTS,
    "reason": frozenset(upstream_metrics.DEGRADATION_REASONS),
    "kind": frozenset({"would", "billed", "spent"}),
    "type": frozenset({"input", "output"}),
    "verdict": frozenset(get_args(Verdict)) | {"none"},
}
# Whose modules may be what held a loop up.
OURS = ("gateway_project", "accounts", "plans", "proxy", "stats")
MODULES = frozenset(
    (path.parent if path.stem == "__init__" else path).stem
    for folder in OURS
    for path in (DEPLOY.parent / folder).rglob("*.py")
)
STAGES = {
    "tokenthrift_stage_duration_seconds": frozenset(HAD_WORK),
    "tokenthrift_event_loop_stalls": MODULES | {OUTSIDE_STAGE, *LABELS.values()},
}
ASKED_SERVED = frozenset({"asked", "sent", "served"})
TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers that answered from every tier, and were refused by the provider once."""
    with running_gateway(upstream, tmp_path_factory.mktemp("operators"), workers=2) as running:
        compression = {"engine": "text_rank", "max_input_tokens": 64}
        body = {
            "plan_name": "desk",
            "compression": compression,
            "cache": {"similarity_threshold": 0.8, "max_error_rate": 0.02},
        }
        made = running.api("POST", "/token-saving/plans", json=body)
        assert made.status_code == 201, made.text
        running.wait_plan("desk")
        upstream.says = completion("By card.")
        for question in ("How do I pay by card?", "How do I pay by card?", "Where is the shop?"):
            assert running.chat(question, token_saving_plan_id="desk").status_code == 200
        answer_semantically(running, "how can I pay by card?", plan="desk")
        assert running.chat("No plan at all?").status_code == 200
        upstream.status, upstream.body = 503, b'{"error": {"message": "busy"}}'
        assert running.chat("Will this fail?", token_saving_plan_id="desk").status_code == 503
        upstream.status = 200
        time.sleep(2)  # every worker has published and told
        yield running


def answer_semantically(gateway: Gateway, question: str, plan: str) -> None:
    """Ask until the answer to a like question, which is stored after its reply, is served."""
    deadline = time.monotonic() + 20
    while True:
        cached = {"only-if-cached": True}
        answer = gateway.chat(question, token_saving_plan_id=plan, cache=cached)
        if answer.headers["x-tokenthrift-cache"] == "semantic":
            return
        assert time.monotonic() < deadline, answer.headers
        time.sleep(0.1)


def scrape(gateway: Gateway, accept: str = TEXT) -> str:
    reply = httpx.get(f"{gateway.url}/metrics", headers={"accept": accept}, timeout=30)
    assert reply.status_code == 200
    return reply.text


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """By name and labels; a series that is there twice fails."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in parse_text(text):
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            assert series not in found, series
            found[series] = sample.value
    return found


def total(text: str, name: str) -> float:
    return sum(value for (found, _), value in samples(text).items() if found == name)


def ours() -> dict[str, Collector]:
    """The metrics that this code registers, by the name of their family."""
    assert metrics.REQUESTS  # imported, so that they are
    collectors = {
        collector
        for names, collector in REGISTRY._names_to_collectors.items()
        if names.startswith(("tokenthrift_", "litellm_"))
    }
    return {next(iter(collector.collect())).name: collector for collector in collectors}


@pytest.fixture(scope="module")
def known(gateway: Gateway) -> dict[str, Known]:
    """Every series the gateway may export: the registry's, whose labels the exposition confirms,
    and those that rules record."""
    found: dict[str, Known] = {}
    for name, collector in ours().items():
        labels: dict[str, frozenset[str] | None] = {}
        for label in collector._labelnames:  # type: ignore[attr-defined]  # nothing public tells
            labels[label] = (
                STAGES.get(name, ASKED_SERVED) if label == "stage" else VALUES.get(label)
            )
        family = next(iter(collector.collect()))
        for suffix in SUFFIXES[family.type]:
            found[name + suffix] = Known(labels | ({"le": None} if suffix == "_bucket" else {}))
    for name, given in samples(scrape(gateway)):
        if name.startswith(("tokenthrift_", "litellm_")):
            assert {label for label, _ in given} == set(found[name].labels), name
            for label, value in given:
                values = found[name].labels[label]
                assert values is None or value in values, (name, label, value)
    for rule in (rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule):
        by = re.match(r"sum by \(([\w, ]+)\)", rule["expr"])
        found[rule["record"]] = Known(dict.fromkeys(by[1].split(", ") if by else []))
    return found


def queries(path: Path) -> list[tuple[str, str]]:
    """Expression and legend of every target of a dashboard, and the queries of its variables."""
    board = json.loads(path.read_text())
    found = [
        (target["expr"], target["legendFormat"])
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert asked is not None
            found.append((f"count by ({asked[2]}) ({asked[1]})", ""))
    return found


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_what_is_exported(path: Path, known: dict[str, Known]) -> None:
    asked = queries(path)
    assert len(asked) > 8
    wrong = [found for expression, _ in asked for found in problems(expression, known)]
    assert wrong == []
    for expression, legend in asked:
        assert not legend_labels(legend) - set(re.findall(r"\w+", expression)), (expression, legend)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"]
    assert board["title"].startswith("Tokenthrift")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]


def test_the_rules_have_their_form_and_ask_for_what_is_exported(known: dict[str, Known]) -> None:
    names: list[str] = []
    for group in RULES["groups"]:
        assert set(group) <= {"name", "interval", "rules"}
        for rule in group["rules"]:
            assert problems(rule["expr"], known) == []
            names.append(rule.get("alert") or rule["record"])
            if "record" in rule:
                assert set(rule) <= {"record", "expr", "labels"}
                continue
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
            assert set(rule["annotations"]) == {"summary", "runbook"}
    assert len(names) == len(set(names))


def test_every_alert_has_its_lines_in_the_manual() -> None:
    headings = re.findall(r"^### (Tokenthrift\w+)$", MANUAL.read_text(), re.MULTILINE)
    alerts = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
    assert sorted(headings) == sorted(rule["alert"] for rule in alerts)
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/operate.md#{rule['alert'].lower()}"


def test_the_manual_lists_every_metric_and_no_other() -> None:
    listed = re.findall(
        r"^\| `([a-z_]+)(?:\{([a-z, ]*)\})?` \| (\w+) \|", MANUAL.read_text(), re.MULTILINE
    )
    registered = []
    for name, collector in ours().items():
        kind = next(iter(collector.collect())).type
        labels = ", ".join(collector._labelnames)  # type: ignore[attr-defined]  # likewise
        registered.append((name + "_total" * (kind == "counter"), labels, kind))
    assert sorted(listed) == sorted(registered)


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(tokenthrift_request_total[5m]))",
        "tokenthrift_requests",
        'tokenthrift_cache_lookups_total{tire="exact"}',
        'tokenthrift_cache_lookups_total{tier=~"exact|semantics"}',
        "sum by (plans) (tokenthrift_requests_total)",
        "tokenthrift:saved_usd:increase2d",
        "sum(rate(tokenthrift_requests_total[5m])",
    ],
)
def test_a_misspelt_expression_is_found_out(expression: str, known: dict[str, Known]) -> None:
    assert len(problems(expression, known)) == 1


@pytest.mark.parametrize(
    ("accept", "parse"), [(TEXT, parse_text), (OPENMETRICS, parse_openmetrics)]
)
def test_both_formats_are_whole(gateway: Gateway, accept: str, parse: Any) -> None:
    text = scrape(gateway, accept)
    families = list(parse(text))
    assert {family.name for family in families} >= {
        "tokenthrift_requests",
        "litellm_tokens",
        "tokenthrift_event_loop_lag_seconds",
    }
    for family in families:
        assert family.documentation, family.name
        assert family.type in SUFFIXES, family.name
    series = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in families
        for sample in family.samples
    ]
    assert len(series) == len(set(series))


def test_the_traffic_shows(gateway: Gateway) -> None:
    text = scrape(gateway)
    found = samples(text)
    for tier in ("exact", "semantic", "miss", "bypass"):
        assert found["tokenthrift_cache_lookups_total", frozenset({("tier", tier)})] >= 1
    calls = {
        dict(labels)["result"]: value
        for (name, labels), value in found.items()
        if name == "tokenthrift_upstream_attempts_total"
    }
    assert calls["failed"] == 1
    assert calls["ok"] >= 3
    timed = {
        dict(labels)["stage"]
        for (name, labels), value in found.items()
        if name.endswith("stage_duration_seconds_count") and value
    }
    assert timed >= {"exact_lookup", "embed", "semantic_lookup", "verify", "call_upstream"}
    assert total(text, "tokenthrift_workers") == total(text, "tokenthrift_workers_wanted") == 2
    assert total(text, "tokenthrift_build_info") == 1
    assert 0 <= total(text, "tokenthrift_configuration_age_seconds") < 60
    assert total(text, "tokenthrift_error_budget_ratio") == 0.02


def test_counters_never_fall_and_a_killed_worker_takes_its_gauges_along(gateway: Gateway) -> None:
    before = scrape(gateway)
    assert gateway.chat("Where is the shop?", token_saving_plan_id="desk").status_code == 200
    victim = gateway.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    seen: list[float] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            after = scrape(gateway)
        except httpx.TransportError:  # a connection that the killed worker held
            continue
        _risen(before, after)
        before = after
        seen.append(total(after, "tokenthrift_workers"))
        if total(after, "tokenthrift_worker_starts_total") == 3 and seen[-1] == 2:
            break
        time.sleep(0.1)
    assert 1 in seen
    assert seen[-1] == 2
    assert total(before, "tokenthrift_requests_in_flight") == 0


def _risen(before: str, after: str) -> None:
    """Every series that only grows is there again and has not fallen."""
    growing = {
        name + suffix
        for name, each in ours().items()
        if (kind := _kind(each)) != "gauge"
        for suffix in SUFFIXES[kind]
    }
    now = samples(after)
    for series, value in samples(before).items():
        if series[0] in growing:
            assert now[series] >= value, series


def _kind(collector: Collector) -> str:
    return "histogram" if isinstance(collector, Histogram) else next(iter(collector.collect())).type


def test_what_compose_mounts_is_there_and_every_dashboard_is_mounted() -> None:
    base = yaml.safe_load((DEPLOY.parent / "compose.yaml").read_text())
    more = yaml.safe_load((DEPLOY / "compose.monitoring.yaml").read_text())
    mounted = [
        volume.split(":")[0]
        for service in more["services"].values()
        for volume in service["volumes"]
    ]
    files = [path for path in mounted if path.startswith("./")]
    assert all((DEPLOY.parent / path).exists() for path in files)
    assert {path for path in mounted if not path.startswith("./")} == set(more["volumes"])
    assert {f"./deploy/grafana/{path.name}" for path in BOARDS} < set(files)
    assert {
        name for service in more["services"].values() for name in service.get("secrets", [])
    } <= {*base["secrets"], *more["secrets"]}
    assert {name for service in more["services"].values() for name in service["networks"]} <= {
        *base["networks"],
        *more["networks"],
    }
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())[
        "scrape_configs"
    ][0]
    assert scraped["static_configs"][0]["targets"] == ["gateway:8000"]
