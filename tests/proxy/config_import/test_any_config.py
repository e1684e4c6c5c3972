"""Whatever a foreign file says, the import ends, each value has a verdict, and apply takes what
was written."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.proxy.config_import.imported import leaves, run, set_variables

WORDS = st.sampled_from(
    [
        *(
            "gpt-4o",
            "openai/gpt-4o",
            "openai/" + "m" * 300,
            "azure/d",
            "openai/ä",
            "openai/a\x07b",
            "openai/*",
            "*",
            "groq/",
            "/x",
            "ollama/l",
            "o1",
        ),
        *("a b", "ä", "x" * 300, "os.environ/KEY", "os.environ/", "${HOME}", "file:/x", "none", ""),
        *("https://one.example/v1", "http://10.0.0.1", "https://u:p@h", "http://[::1]:1/v1", "h"),
        *("true", "1e-6", "redis", "simple", "semantic", "single", "conditional", "loadbalance"),
        *("https://" + "h" * 600 + ".example", "openai", "anthropic", "bedrock", "@vault", "m"),
    ]
)
SCALARS = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
)
NAMES = st.sampled_from(
    [
        *("model", "api_base", "api_key", "timeout", "stream_timeout", "api_version", "rpm"),
        *("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
        *("input_cost_per_token_above_200k_tokens", "output_cost_per_reasoning_token", "mode"),
        *("extra_headers", "organization", "litellm_credential_name", "custom_llm_provider"),
        *("provider", "custom_host", "override_params", "cache", "max_age", "request_timeout"),
        *("strategy", "targets", "name", "weight", "virtual_key", "retry", "deployment_id"),
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
PARAMS = st.dictionaries(NAMES, VALUES, max_size=7)
OPTIONAL = (
    *("api_base", "api_key", "timeout", "stream_timeout", "api_version", "extra_headers"),
    *("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
    *("input_cost_per_token_above_200k_tokens", "output_cost_per_reasoning_token"),
)
MODEL = st.fixed_dictionaries({"model": WORDS}, optional=dict.fromkeys(OPTIONAL, SCALARS))
LITELLM = st.fixed_dictionaries(
    {
        "model_list": st.lists(
            st.fixed_dictionaries(
                {"model_name": WORDS, "litellm_params": st.one_of(MODEL, MODEL, PARAMS)},
                optional={"model_info": PARAMS},
            ),
            max_size=4,
        )
    },
    optional={
        "litellm_settings": st.fixed_dictionaries(
            {"cache": SCALARS},
            optional={
                "request_timeout": SCALARS,
                "cache_params": st.fixed_dictionaries(
                    {}, optional={"type": SCALARS, "ttl": SCALARS, "mode": SCALARS}
                ),
            },
        ),
        "router_settings": st.fixed_dictionaries(
            {"model_group_alias": st.dictionaries(WORDS, VALUES, max_size=3)}
        ),
    },
)
TARGET = st.fixed_dictionaries(
    {"provider": WORDS, "override_params": st.fixed_dictionaries({"model": WORDS})},
    optional=dict.fromkeys(("api_key", "custom_host", "cache", "request_timeout"), VALUES),
)
PORTKEY = st.one_of(
    TARGET,
    st.fixed_dictionaries(
        {
            "strategy": st.fixed_dictionaries({"mode": WORDS}),
            "targets": st.lists(TARGET, max_size=3),
        }
    ),
    PARAMS,
)
FEW = settings(
    max_examples=int(os.environ.get("EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def check(command: str, config: Any, folder: Path) -> None:
    source, out = folder / "config.json", folder / "gateway.yaml"
    source.write_text(json.dumps(config))
    report = json.loads(run(command, str(source), "--dry-run", "--report", "json"))
    told = sorted(tuple(each["path"]) for each in report["values"])
    assert told == sorted(path for path in leaves(config) if path)
    out.write_text(run(command, str(source)))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in set_variables(out.read_text()).items():
            environment.setenv(name, value)
        yaml.safe_load(out.read_text())
        run("apply", str(out), "--dry-run")


@pytest.mark.django_db
@FEW
@given(config=LITELLM)
def test_whatever_a_file_of_litellm_says(config: Any, tmp_path: Path) -> None:
    check("import_litellm", config, tmp_path)


@pytest.mark.django_db
@FEW
@given(config=PORTKEY)
def test_whatever_a_config_of_portkey_says(config: Any, tmp_path: Path) -> None:
    check("import_portkey", config, tmp_path)
