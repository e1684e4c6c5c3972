"""`manage.py prepare_embedder`: build the default embedding model and the verifier.

Takes some seconds, once, without network: the weights are in an installed package, or the model is
part of the wheel.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from proxy.conf import conf
from proxy.engines.embedders.export import list_missing_packages
from proxy.engines.inference.exported_models import (
    MINILM_INT8_ID,
    copy_shipped,
    has_model,
    is_prepared,
)

EXPORT_TIMEOUT_SECONDS = 300


class Command(BaseCommand):
    help = (
        "Build the default embedding model and the verifier for onnxruntime, unless "
        "that has been done."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was done. Raises CommandError when the model cannot be built."""
        if conf.embedder_name != "minilm":
            self.stdout.write(
                f"Embedder {conf.embedder_name}: nothing to prepare, sentence-transformers loads "
                "it when the gateway starts."
            )
        models = conf.models_folder
        if is_prepared(models):
            self.stdout.write(f"Embedder and verifier {MINILM_INT8_ID}: ready in {models}.")
            return
        try:
            copy_shipped(models)
        except OSError as error:
            raise CommandError(f"{models} cannot be written: {error.strerror}.") from error
        if not has_model(models):
            self._build_model(models)
        self.stdout.write(
            f"Embedder and verifier {MINILM_INT8_ID}: made in {models}, with vectors of words "
            "beside it."
        )

    def _build_model(self, models: Path) -> None:
        if missing := list_missing_packages():
            raise CommandError(
                f"The model is not in {models}, and to build it {', '.join(missing)} must be "
                "installed: pip install --no-deps -r requirements-export.txt."
            )
        self.stdout.write("Building the embedder's model from its weights: some seconds.")
        self.stdout.flush()
        _run_export("embedders.export_int8", models)


def _run_export(module: str, *arguments: Path) -> None:
    """Run an export module in a process of its own, which frees its memory."""
    command = [sys.executable, "-m", f"proxy.engines.{module}", *map(str, arguments)]
    try:
        subprocess.run(  # noqa: S603
            command,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=True,
            timeout=EXPORT_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise CommandError(f"The model could not be built:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"The model was not built within {EXPORT_TIMEOUT_SECONDS} s.") from error
