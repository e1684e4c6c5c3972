"""`manage.py train_verifier --data <folder>`: learn the verifier's weights anew.

Takes some minutes. Needed only after changing the rules, the features, the base model or the data;
serving uses the committed weights. The same folder and seed give the same pairs; sums depend a
little on the machine.
"""

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
