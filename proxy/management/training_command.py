"""What the commands that learn weights from a folder of evaluation data share."""

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.conf import conf


class TrainingCommand(BaseCommand):
    """Runs `training_module`, of the laboratory that the product does not import.

    `data_help`: what the folder must hold; `weights_path`: where the gateway reads what is learned.
    """

    requires_system_checks = ()
    training_module: ClassVar[str]
    data_help: ClassVar[str]
    weights_path: ClassVar[Path]
    default_seed: ClassVar[int]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help=self.data_help)
        parser.add_argument(
            "--out",
            type=Path,
            default=self.weights_path,
            help="where the weights go; default: where the gateway reads them",
        )
        parser.add_argument("--seed", type=int, default=self.default_seed)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what is learned from, and what came of it.

        Raises CommandError when a file is missing or a text that teaches is too near one of the
        data's.
        """
        training, shared = map(import_module, (self.training_module, "evaluation.matching.train"))
        plan = shared.TrainingPlan(
            data=options["data"],
            models=conf.models_folder,
            out=options["out"],
            seed=options["seed"],
        )
        try:
            training.run(plan)
        except (OSError, shared.TooNear) as error:
            raise CommandError(str(error)) from error
