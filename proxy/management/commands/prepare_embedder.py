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
from proxy.engines.embedders.onnx import is_prepared
from proxy.engines.inference.exported_models import MINILM_ID, WORD_VECTORS_FILE
from proxy.engines.verifiers import weights as verifier

EXPORT_TIMEOUT_SECONDS = 300


class Command(BaseCommand):
    help = (
        "Export the default embedding model and the verifier for onnxruntime, unless "
        "that has been done."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each model. Raises CommandError when an export fails."""
        self._prepare_minilm()
        if conf.embedder_name != "minilm":
            self.stdout.write(
                f"Embedder {conf.embedder_name}: nothing to prepare, sentence-transformers loads "
                "it when the gateway starts."
            )
        if verifier.is_prepared(conf.models_folder):
            self.stdout.write(f"Verifier {verifier.verifier_id()}: ready in {conf.models_folder}.")
            return
        _run_export("verifiers.export_reader", conf.models_folder)
        self.stdout.write(f"Verifier {verifier.verifier_id()}: exported to {conf.models_folder}.")

    def _prepare_minilm(self) -> None:
        """Export the default embedder, which the verifier's model is made from too."""
        folder = conf.models_folder / MINILM_ID
        if is_prepared(folder) and (conf.models_folder / WORD_VECTORS_FILE).is_file():
            self.stdout.write(f"Embedder {MINILM_ID}: ready in {folder}.")
            return
        if not is_prepared(folder):
            _run_export("embedders.export", folder)
        _run_export("embedders.export_word_vectors", conf.models_folder)
        self.stdout.write(
            f"Embedder {MINILM_ID}: exported to {folder}, with vectors of its words beside it."
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
