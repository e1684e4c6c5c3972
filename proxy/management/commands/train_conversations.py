"""`manage.py train_conversations --data <folder>`: learn anew which reworded chats are the same.

Takes some minutes, nearly all of them for making pairs. Needed only after changing the features,
the rules or the written conversations; serving uses the committed weights.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.conf import conf
from proxy.engines.verifiers.chat_weights import CHAT_WEIGHTS_PATH


class Command(BaseCommand):
    help = "Learn the verifier of chats from the written conversations, and write its weights."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            required=True,
            help="a folder of evaluation data, whose texts judge and must not teach",
        )
        parser.add_argument(
            "--out",
            type=Path,
            default=CHAT_WEIGHTS_PATH,
            help="where the weights go; default: where the gateway reads them",
        )
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what is served of each kind of pair.

        Raises CommandError when a file is missing or a text that teaches is too near one of the
        data's.
        """
        training = import_module("evaluation.conversations.train")  # the product does not know it
        try:
            training.run(
                training.ConversationPlan(
                    data=options["data"],
                    models=conf.models_folder,
                    out=options["out"],
                    seed=options["seed"],
                )
            )
        except (OSError, training.TooNear) as error:
            raise CommandError(str(error)) from error
