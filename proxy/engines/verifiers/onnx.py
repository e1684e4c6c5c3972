"""The verifier on onnxruntime: scores how likely two questions have the same answer.

Exported once by `manage.py prepare_embedder` from the committed weights. It runs in a thread of its
own, like the embedder, with a queue that refuses at once what would be late.
"""

import asyncio
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.verification.equivalence import equivalent, normalize_pair
from proxy.core.verification.rules.rule_registry import list_doubtful_objections
from proxy.engines.inference.batch_queue import BatchQueue
from proxy.engines.inference.session import open_session, open_tokenizer
from proxy.engines.verifiers.calibration import (
    MAX_LOGIT,
    combine_evidence,
    compute_probability,
    sum_penalties,
)
from proxy.engines.verifiers.inputs import MAX_PAIR_TOKENS, build_pair_arrays
from proxy.engines.verifiers.weights import (
    EVIDENCE_CURVE,
    GRAPH_FILE,
    LOGIT_CURVE,
    MINILM_ID,
    TOKENIZER_FILE,
    is_prepared,
    load_curves,
    verifier_id,
)

MAX_TEXT_CHARACTERS = 4096  # of one text; longer pairs are never scored


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """A pair to score; `similarity` is its cosine, None if unknown."""

    asked_text: str
    stored_text: str
    similarity: float | None
    min_score: float = 0.0


class OnnxVerifier:
    """Scores pairs with the model in `models`.

    The first `score_questions` loads it; while it is missing every call raises ToolUnavailable.
    """

    name = "verifier"
    embedder = MINILM_ID

    def __init__(self, models: Path) -> None:
        self.id = verifier_id()
        self._models = models
        self._queue: BatchQueue[list[QuestionPair], list[float]] = BatchQueue(
            self.name, self._compute_outcomes
        )
        self._load_lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None
        self._curves = load_curves()

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
        at_least: float = 0.0,
        within: float = math.inf,
    ) -> list[float]:
        """Score `asked` against each of `stored`; see the port.

        Equivalent texts score 1, texts too long to be read whole 0.
        """
        if not stored:
            return []
        cosines: Sequence[float | None] = (
            similarities if similarities is not None else [None] * len(stored)
        )
        questions = [
            QuestionPair(asked, other, cosine, at_least)
            for other, cosine in zip(stored, cosines, strict=True)
        ]
        job = self._queue.add_item(
            questions, sum(len(asked) + len(other) for other in stored), within
        )
        job.callers += 1
        try:
            return await asyncio.shield(job.result)
        finally:
            job.callers -= 1

    async def close(self) -> None:
        """Let the thread end; pairs that were not begun are dropped."""
        self._queue.close()

    def _compute_outcomes(
        self, waiting: Sequence[list[QuestionPair]]
    ) -> list[list[float] | ToolUnavailable]:
        """Score the waiting pairs in the thread."""
        try:
            scores = iter(
                self._score_pairs([question for questions in waiting for question in questions])
            )
            return [[next(scores) for _ in questions] for questions in waiting]
        except Exception as error:
            # A pair that breaks the model must not fail the others.
            if len(waiting) > 1:
                return [
                    outcome
                    for questions in waiting
                    for outcome in self._compute_outcomes([questions])
                ]
            if isinstance(error, ToolUnavailable):
                return [error]
            return [ToolUnavailable(self.name, f"{type(error).__name__}: {error}")]

    def _score_pairs(self, questions: Sequence[QuestionPair]) -> list[float]:
        found = [0.0] * len(questions)
        open_ones: list[int] = []
        for place, question in enumerate(questions):
            if max(len(question.asked_text), len(question.stored_text)) > MAX_TEXT_CHARACTERS:
                continue
            found[place] = (
                1.0
                if equivalent(question.asked_text, question.stored_text)
                else self._compute_max_score(question)
            )
            if question.min_score <= found[place] < 1.0:
                open_ones.append(place)
        if open_ones:
            for place, score in zip(
                open_ones,
                self._score_with_model([questions[place] for place in open_ones]),
                strict=True,
            ):
                found[place] = score
        return found

    def _compute_max_score(self, question: QuestionPair) -> float:
        """Return the highest score the pair can reach, by its cosine; just below 1 without one."""
        if question.similarity is None:
            return 1.0 - 1e-9
        sure, cosine, none = np.array([MAX_LOGIT]), np.array([question.similarity]), np.zeros(1)
        return float(
            compute_probability(combine_evidence(sure, cosine, none), self._curves[EVIDENCE_CURVE])[
                0
            ]
        )

    def _score_with_model(self, questions: Sequence[QuestionPair]) -> list[float]:
        session, tokenizer = self._load_model()
        # One by one: quantized to 8 bits in a batch, a pair would score slightly differently than
        # alone.
        inputs = [
            build_pair_arrays(
                tokenizer, [normalize_pair(question.asked_text, question.stored_text)]
            )
            for question in questions
        ]
        logits = np.array(
            [session.run(["logits"], each)[0][0] for each in inputs], dtype=np.float64
        )
        if not np.isfinite(logits).all():
            raise ToolUnavailable(self.name, "the model gave no number")
        known = np.array([question.similarity is not None for question in questions])
        cosines = np.array([question.similarity or 0.0 for question in questions])
        doubted = np.array(
            [
                sum_penalties(list_doubtful_objections(question.asked_text, question.stored_text))
                for question in questions
            ]
        )
        near = compute_probability(
            combine_evidence(logits, cosines, doubted), self._curves[EVIDENCE_CURVE]
        )
        scores = np.where(
            known, near, compute_probability(logits - doubted, self._curves[LOGIT_CURVE])
        )
        whole = np.array([each["input_ids"].shape[1] < MAX_PAIR_TOKENS for each in inputs])
        return [float(score) for score in np.where(whole, scores, 0.0)]

    def _load_model(self) -> tuple[Any, Any]:
        """Load the model if needed; return session and tokenizer."""
        with self._load_lock:
            if self._model is None:
                if not is_prepared(self._models):
                    raise ToolUnavailable(
                        self.name, "the model has not been exported: run manage.py prepare_embedder"
                    )
                folder = self._models / self.id
                self._model = (
                    open_session(folder / GRAPH_FILE),
                    open_tokenizer(folder / TOKENIZER_FILE, MAX_PAIR_TOKENS),
                )
            return self._model
