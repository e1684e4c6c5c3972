"""Foreign files are bounded, whatever they hold, and nothing of them passes silently."""

import json
import shlex
import time
from pathlib import Path

import pytest
import yaml
from django.core.management.base import CommandError

from proxy.config_import import foreign_config
from proxy.config_import.report import EXACT
from tests.proxy.config_import.imported import run

MODEL = "model_list: [{model_name: a, litellm_params: {model: openai/a}}]\n"


def refused(path: Path) -> str:
    with pytest.raises(CommandError) as caught:
        run("import_litellm", str(path))
    assert "No file was written" in str(caught.value)
    return str(caught.value)


def verdicts(path: Path, *arguments: str) -> dict[str, tuple[str, str]]:
    report = json.loads(
        run("import_litellm", str(path), "--dry-run", "--report", "json", *arguments)
    )
    return {".".join(each["path"]): (each["verdict"], each["reason"]) for each in report["values"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a list\n", "Must be a mapping"),
        ("model_list: !!python/object/apply:os.system [id]\n", None),
        ("model_list: !!binary x=\n", "file.yaml:1: model_list: Cannot be read"),
        ("a: &a {<<: *a}\n", "32 levels deep"),
        ("a: &a {b: *a}\n", "32 levels deep"),
        ("a: {<<: text}\n", "<< must name a mapping"),
        ("a: 1\na: 2\n", "Stands in line 1 already"),
        ("a: [\n", "Is no YAML"),
        ("a: \x00\n", "Is no YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, told: str | None) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    if told is None:  # a tag makes nothing: the values below it are plain ones
        assert verdicts(path)["model_list.0"][0] == "manual"
    else:
        assert told in refused(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert "Cannot be read" in refused(tmp_path)
    assert "Cannot be read" in refused(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("kind", ["aliases", "merges", "merges of what is there"])
def test_bombs_are_refused_in_seconds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.yaml"
    if kind == "aliases":
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    elif kind == "merges":
        lines = ["a0: &a0 {x: 1}"]
        lines += [
            f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], n{n}: 1}}" for n in range(1, 9)
        ]
    else:
        names = ", ".join(f"k{n}: 1" for n in range(2_000))
        lines = [f"a: &a {{{names}}}", f"b: {{{names}, <<: [{', '.join(['*a'] * 2_000)}]}}"]
    path.write_text("\n".join(lines))
    start = time.monotonic()
    assert "Must hold 1,000,000 values at most" in refused(path)
    assert time.monotonic() - start < 60


def test_a_merged_mapping_gives_what_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "x: &x {api_base: 'https://one.example/v1', api_key: os.environ/ONE, timeout: 9}\n"
        "y: &y {timeout: 8, api_base: 'https://two.example/v1'}\n"
        "model_list:\n"
        "  - {model_name: a, litellm_params: {<<: [*x, *y], model: openai/a, timeout: 7}}\n"
    )
    written = run("import_litellm", str(path))
    assert "base_url: https://one.example/v1" in written
    assert "read_timeout: 7.0" in written
    assert "key: ${ONE}" in written


def test_more_values_than_are_imported_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_config, "MAX_IMPORTED_VALUES", 20)
    path = tmp_path / "file.yaml"
    path.write_text(f"a: [{', '.join('x' * 20)}]")
    assert "Must hold 20 values at most" in refused(path)


def test_many_deployments_take_time_in_proportion(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"

    def measure(count: int) -> float:
        entries = [
            {"model_name": f"m{n}", "litellm_params": {"model": f"openai/m{n}", "api_key": f"k{n}"}}
            for n in range(count)
        ]
        path.write_text(json.dumps({"model_list": entries}))
        start = time.monotonic()
        run("import_litellm", str(path), "--dry-run")
        return time.monotonic() - start

    assert measure(4_000) < 12 * max(measure(1_000), 0.05)


@pytest.mark.parametrize(
    "text",
    [
        "model_list: text\n",
        "model_list: [text, 1, null, [], {}]\n",
        "model_list: [{model_name: 1, litellm_params: {model: [x]}}]\n",
        "model_list: [{model_name: a, litellm_params: {model: openai/a, api_base: {x: 1}}}]\n",
        "model_list: [{model_name: a, litellm_params: {model: openai/a, api_base: 'ftp://x'}}]\n",
        "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: [1]}}]\n",
        "model_list: [{model_name: a, litellm_params: {model: openai/a, timeout: soon}}]\n",
        "model_list: [{model_name: a, litellm_params: {model: gpt-4, input_cost_per_token: x}}]\n",
        "model_list: [{model_name: a, model_info: {mode: [1]}, litellm_params: {model: gpt-4}}]\n",
        "litellm_settings: {cache: true, cache_params: {type: [redis], ttl: {x: 1}}}\n",
        "litellm_settings: {cache: true, cache_params: {supported_call_types: [[1], {x: 2}]}}\n",
        "litellm_settings: {cache: [1]}\nrouter_settings: {model_group_alias: [1]}\n",
        f"{MODEL}router_settings: {{model_group_alias: {{b: [a], 'c d': a, e: {{hidden: 1}}}}}}\n",
        "credential_list: {a: 1}\nmodel_list: [{litellm_params: {litellm_credential_name: [x]}}]\n",
        '"a\\e[31m": 1\n',
    ],
)
def test_values_of_a_wrong_kind_have_a_verdict_and_break_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    found = verdicts(path)
    assert found
    assert all(verdict in {"manual", "unsupported", "exact"} for verdict, _ in found.values())
    assert "\x1b" not in run("import_litellm", str(path), "--dry-run")


def test_what_is_unknown_below_something_exact_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("litellm_settings: {json_logs: {also: 1}}\nunheard_of: {deep: [1]}\n")
    found = verdicts(path)
    assert found["litellm_settings.json_logs.also"][0] == "manual"
    assert found["unheard_of.deep.0"] == ("manual", foreign_config.UNKNOWN.reason)


def test_text_that_our_files_would_read_as_a_reference_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "model_list:\n"
        "  - {model_name: a, litellm_params: {model: 'openai/${HOME}', api_key: 'file:/passwd'}}\n"
        "  - {model_name: b, litellm_params: {model: openai/b, api_key: 'os.environ/A B'}}\n"
    )
    written = run("import_litellm", str(path))
    assert "model: $${HOME}" in written
    assert "passwd" not in written
    assert "A B" not in written


def test_a_command_that_is_suggested_is_safe_to_copy(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "model_list:\n  - model_name: \"x'; rm -rf ~; '*\"\n"
        "    litellm_params: {model: 'openai/*', api_base: 'https://a;b.example/v1'}\n"
    )
    _, reason = verdicts(path)["model_list.0.model_name"]
    words = shlex.split(reason.partition("check_upstream ")[2])
    assert words == ["a;b.example", "--add-routes", "x'; rm -rf ~; '."]


def test_addresses_that_no_upstream_can_have_are_told(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    text = "model_list: [{{model_name: a, litellm_params: {{model: openai/a, api_base: '{}'}}}}]\n"
    for address, told in (
        ("https://user:secret@one.example/v1", "user name or password"),
        ("https://one.example/v1?key=secret", "query"),
        ("https://one.example/v1/chat/completions", "before /chat/completions"),
    ):
        path.write_text(text.format(address))
        verdict, reason = verdicts(path)["model_list.0.litellm_params.api_base"]
        assert verdict == "manual"
        assert told in reason
        assert "secret" not in reason


def test_wildcards_and_headers_are_written_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "model_list:\n"
        "  - {model_name: 'openai/*', litellm_params: {model: 'openai/*'}}\n"
        "  - {model_name: '*', litellm_params: {model: 'openai/*'}}\n"
        "  - model_name: a\n"
        "    litellm_params: {model: openai/a, organization: org-1, extra_headers:"
        " {x-team: '${b}', x-team-key: os.environ/TEAM_KEY}}\n"
        "  - model_name: b\n"
        "    litellm_params: {model: openai/b, extra_headers: {Authorization: literal}}\n"
    )
    found = verdicts(path)
    assert found["model_list.0.litellm_params.model"][0] == EXACT
    assert found["model_list.1.model_name"][0] == "manual"
    assert found["model_list.2.litellm_params.organization"][0] == EXACT
    assert found["model_list.3.litellm_params.extra_headers.Authorization"][0] == "manual"
    written = yaml.safe_load(run("import_litellm", str(path)))
    assert written["routes"]["openai/*"]["model"] == "*"
    upstream = written["upstreams"][written["routes"]["a"]["upstream"]]
    assert upstream["headers"] == {
        "x-team": "$${b}",
        "x-team-key": "${TEAM_KEY}",
        "OpenAI-Organization": "org-1",
    }
    assert "literal" not in str(written)


def test_an_existing_file_is_kept_and_a_new_one_is_private(tmp_path: Path) -> None:
    path, out = tmp_path / "file.yaml", tmp_path / "gateway.yaml"
    path.write_text(MODEL)
    assert "exact" in run("import_litellm", str(path), "--output", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    assert "routes:" in out.read_text()
    out.write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        run("import_litellm", str(path), "--output", str(out))
    assert out.read_text() == "mine"
    run("import_litellm", str(path), "--output", str(out), "--overwrite")
    assert "routes:" in out.read_text()
    with pytest.raises(CommandError, match="cannot be written"):
        run("import_litellm", str(path), "--output", str(tmp_path / "no" / "where.yaml"))


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    path, out = tmp_path / "file.yaml", tmp_path / "gateway.yaml"
    path.write_text(MODEL)
    told = run("import_litellm", str(path), "--dry-run", "--output", str(out))
    assert "2 values: 2 exact, 0 manual, 0 unsupported." in told
    assert not out.exists()


def test_nothing_to_import_is_an_empty_file_that_applies(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("")
    assert run("import_litellm", str(path)).endswith("{}\n")
