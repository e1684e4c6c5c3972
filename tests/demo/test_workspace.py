"""The folder the demo empties: what it keeps, and when it keeps its hands off."""

import os
from pathlib import Path

import pytest

from demo.workspace import MODELS, WorkspaceBusy, fresh
from gateway_project.embedded import file_locks


def test_a_fresh_workspace_is_empty_but_for_the_shared_models(tmp_path: Path) -> None:
    var = tmp_path / "demo"
    (var / "postgres" / "base").mkdir(parents=True)
    (var / "services.json").write_text("{}")
    with fresh(var):
        assert [entry.name for entry in var.iterdir()] == ["models"]
        assert (var / "models").resolve() == MODELS.resolve()
        marker = sorted(MODELS.iterdir())
    with fresh(var):
        assert sorted(MODELS.iterdir()) == marker


def test_two_demos_at_once_are_refused_and_one_after_the_other_are_not(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            fresh(tmp_path / "demo"),
            pytest.raises(WorkspaceBusy, match="Another demo runs"),
            fresh(tmp_path / "demo"),
        ):
            pytest.fail("two demos share a folder")


def test_a_folder_whose_services_run_is_left_alone(tmp_path: Path) -> None:
    var = tmp_path / "demo"
    (var / "run").mkdir(parents=True)
    held = file_locks.acquire_lock(var / "run" / "keeper.lock", file_locks.EXCLUSIVE)
    try:
        with pytest.raises(WorkspaceBusy, match="stop that `make serve` first"), fresh(var):
            pytest.fail("a running gateway lost its data")
    finally:
        os.close(held)
    assert (var / "run").exists()
