"""`manage.py train_verifier --data <folder>`: learn the verifier's weights anew.

Takes some minutes. Needed only after changing the rules, the features, the base model or the data;
serving uses the committed weights. The same folder and seed give the same pairs; sums depend a
little on the machine.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.conf import conf
from proxy.engines.verifiers.weights import LEARNED_WEIGHTS_PATH


class Command(BaseCommand):
    help = (
        "Learn the verifier of near questions from the written groups and the data folder's "
        "trained half, and write its weights."
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
        parser.add_argument("--seed", type=int, default=5)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the split, the numbers of pairs and the time.

        Raises CommandError when the data are missing or a text that teaches is too near one of
        theirs.
        """
        training = import_module("evaluation.matching.train")  # the product does not know it
        try:
            training.run(
                training.Plan(
                    data=options["data"],
                    models=conf.models_folder,
                    out=options["out"],
                    seed=options["seed"],
                )
            )
        except (OSError, training.TooNear) as error:
            raise CommandError(str(error)) from error
