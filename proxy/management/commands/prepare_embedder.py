"""`manage.py prepare_embedder`: export the default embedding model and the verifier.

Takes half a minute, once, without network.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from proxy.conf import conf
from proxy.engines.inference.exported_models import (
    MINILM_ID,
    MINILM_INT8_ID,
    is_exported,
    is_prepared,
)

EXPORT_TIMEOUT_SECONDS = 300


class Command(BaseCommand):
    help = (
        "Export the default embedding model and the verifier for onnxruntime, unless "
        "that has been done."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was done. Raises CommandError when an export fails."""
        if conf.embedder_name != "minilm":
            self.stdout.write(
                f"Embedder {conf.embedder_name}: nothing to prepare, sentence-transformers loads "
                "it when the gateway starts."
            )
        models = conf.models_folder
        if is_prepared(models):
            self.stdout.write(f"Embedder and verifier {MINILM_INT8_ID}: ready in {models}.")
            return
        if not is_exported(models):
            _run_export("embedders.export", models / MINILM_ID)
            _run_export("embedders.export_word_vectors", models)
        _run_export("embedders.export_int8", models)
        self.stdout.write(
            f"Embedder and verifier {MINILM_INT8_ID}: exported to {models}, with vectors of words "
            "beside it."
        )


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
        raise CommandError(f"The model could not be exported:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            f"The model was not exported within {EXPORT_TIMEOUT_SECONDS} s."
        ) from error
