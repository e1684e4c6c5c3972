"""What the verifier of chats learned: committed here as JSON."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from proxy.core.verification.boosted_trees import BoostedTrees, build_trees
from proxy.core.verification.chat_features import CHAT_FEATURES, Floats

# docs/context.md says what it was learned from.
CHAT_WEIGHTS_PATH = Path(__file__).with_name("chat_weights.json")


@dataclass(frozen=True, slots=True, eq=False)
class ChatWeights:
    """`cut`: the evidence from which on a pair is served."""

    trees: BoostedTrees
    cut: float

    def weigh(self, features: Floats) -> float:
        """Return by how much the evidence exceeds the cut."""
        return self.trees.weigh(features) - self.cut


def load_chat_weights(path: Path = CHAT_WEIGHTS_PATH) -> ChatWeights:
    """Load the committed weights.

    Raises OSError, and ValueError or KeyError if they are of other features.
    """
    row = orjson.loads(path.read_bytes())
    if tuple(row["features"]) != CHAT_FEATURES:
        raise ValueError(f"{path} is of other features: run manage.py train_conversations")
    return ChatWeights(build_trees(row["trees"], row["offset"]), row["cut"])


@cache
def chat_verifier_id() -> str:
    """Return the id of the committed weights."""
    return f"chats@{hashlib.sha256(CHAT_WEIGHTS_PATH.read_bytes()).hexdigest()[:12]}"
