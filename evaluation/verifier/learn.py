"""Training: the adapter and head learn from pairs made anew for every epoch;
the tuning slice then says what a logit is worth."""

import math
import random
from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits

from evaluation.verifier.sources import Pair
from proxy.core.verification.equivalence import normalize_pair
from proxy.engines.verifiers.inputs import build_pair_arrays
from proxy.engines.verifiers.network import VerifierNetwork

BATCH, RATE, WARMUP, DECAY, CLIP = 32, 8e-4, 0.06, 0.01, 1.0
SMOOTH = 0.03  # of the labels, a few of which are wrong

Floats = NDArray[np.float64]


def train(epochs: Sequence[Sequence[Pair]], tokenizer: Tokenizer, *, seed: int) -> VerifierNetwork:
    """A network that has seen each epoch's pairs once. Prints its progress."""
    torch.manual_seed(seed)
    network = VerifierNetwork().train()
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY)
    steps = sum(math.ceil(len(pairs) / BATCH) for pairs in epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    begin = perf_counter()
    for number, pairs in enumerate(epochs, 1):
        losses, batches = 0.0, 0
        for ids, wanted in _batches(pairs, tokenizer, random.Random(seed + number)):
            loss = binary_cross_entropy_with_logits(
                network(**ids), wanted * (1 - 2 * SMOOTH) + SMOOTH
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learned, CLIP)
            optimizer.step()
            schedule.step()
            losses, batches = losses + float(loss.detach()), batches + 1
        print(
            (
                f"epoch {number} of {len(epochs)}: {len(pairs)} pairs, loss "
                f"{losses / batches:.3f}, {perf_counter() - begin:.0f} s"
            ),
            flush=True,
        )
    return network.eval()


def logits(network: VerifierNetwork, pairs: Sequence[Pair], tokenizer: Tokenizer) -> Floats:
    """One a pair, in their order."""
    found = np.empty(len(pairs))
    order = sorted(range(len(pairs)), key=lambda place: len(pairs[place].a) + len(pairs[place].b))
    with torch.no_grad():
        for first in range(0, len(order), BATCH):
            places = order[first : first + BATCH]
            ids = build_pair_arrays(
                tokenizer, [normalize_pair(pairs[place].a, pairs[place].b) for place in places]
            )
            found[places] = network(
                **{name: torch.from_numpy(value) for name, value in ids.items()}
            ).numpy()
    return found


def _batches(
    pairs: Sequence[Pair], tokenizer: Tokenizer, rng: random.Random
) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
    """Batches of about one length, in any order."""
    order = sorted(pairs, key=lambda pair: len(pair.a) + len(pair.b) + rng.random() * 20)
    batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    rng.shuffle(batches)
    for batch in batches:
        ids = build_pair_arrays(tokenizer, [normalize_pair(pair.a, pair.b) for pair in batch])
        yield (
            {name: torch.from_numpy(value) for name, value in ids.items()},
            torch.tensor([float(pair.same) for pair in batch]),
        )


def _rate(done: float) -> float:
    """Up in a straight line, down in half a cosine."""
    return (
        done / WARMUP
        if done < WARMUP
        else 0.5 * (1 + math.cos(math.pi * (done - WARMUP) / (1 - WARMUP)))
    )
