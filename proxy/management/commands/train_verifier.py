"""`manage.py train_verifier --data <folder>`: retrain the verifier's weights on the CPU.

Takes some ten minutes on two cores. Needed only after changing the rules, the base model or the
data; serving uses the committed weights. The same folder and seed give the same pairs; torch's sums
depend a little on the machine. Run `manage.py prepare_embedder` afterwards.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.engines.verifiers.weights import LEARNED_WEIGHTS_PATH


class Command(BaseCommand):
    help = (
        "Train the verifier of near questions on the data folder's trained half, and "
        "write its weights."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            required=True,
            help="the folder with cache_pairs.jsonl.gz and faq_stream.jsonl.gz",
        )
        parser.add_argument(
            "--out",
            type=Path,
            default=LEARNED_WEIGHTS_PATH,
            help="where the weights go; default: where the gateway reads them",
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--epochs", type=int, default=3)
        parser.add_argument(
            "--scale", type=float, default=0.8, help="of the number of pairs made for an epoch"
        )
        parser.add_argument("--threads", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the split, the progress and the size.

        Raises CommandError when the data or the torch libraries are missing.
        """
        os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        try:
            # Brings torch, which serving does without.
            training = import_module("evaluation.verifier.train")
            names = ("data", "out", "seed", "epochs", "scale", "threads")
            training.run(training.Plan(**{name: options[name] for name in names}))
        except (ImportError, FileNotFoundError) as error:
            raise CommandError(str(error)) from error
