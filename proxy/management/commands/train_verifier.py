"""`manage.py train_verifier --data <folder>`: learn the verifier's weights anew.

Takes some minutes. Needed only after changing the rules, the features, the base model or the data;
serving uses the committed weights. The same folder and seed give the same pairs; sums depend a
little on the machine. With `--verifier <folder>` the model in that folder is calibrated instead.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from proxy.engines.verifiers.pair_model import CALIBRATION_FILE, BadVerifierFolder
from proxy.engines.verifiers.weights import LEARNED_WEIGHTS_PATH
from proxy.management.training_command import TrainingCommand


class Command(TrainingCommand):
    help = (
        "Learn the verifier of near questions from the written groups and the data folder's "
        "trained half, and write its weights."
    )
    training_module = "evaluation.matching.train"
    data_help = "the folder with cache_pairs.jsonl.gz and faq_stream.jsonl.gz"
    weights_path = LEARNED_WEIGHTS_PATH
    default_seed = 5

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--verifier",
            type=Path,
            help="a folder with a model of your own, whose calibration is written there instead",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Train, or calibrate; see `TrainingCommand.handle`."""
        if folder := options["verifier"]:
            self.training_module = "evaluation.matching.calibrate"  # type: ignore[misc]
            options |= {"out": folder / CALIBRATION_FILE}
        try:
            super().handle(*args, **options)
        except BadVerifierFolder as error:
            raise CommandError(str(error)) from error
