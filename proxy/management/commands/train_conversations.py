"""`manage.py train_conversations --data <folder>`: learn anew which reworded chats are the same.

Takes some minutes, nearly all of them for making pairs. Needed only after changing the features,
the rules or the written conversations; serving uses the committed weights.
"""

from proxy.engines.verifiers.chat_weights import CHAT_WEIGHTS_PATH
from proxy.management.training_command import TrainingCommand


class Command(TrainingCommand):
    help = "Learn the verifier of chats from the written conversations, and write its weights."
    training_module = "evaluation.conversations.train"
    data_help = "a folder of evaluation data, whose texts judge and must not teach"
    weights_path = CHAT_WEIGHTS_PATH
    default_seed = 1
