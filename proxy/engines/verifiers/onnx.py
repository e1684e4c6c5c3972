"""The second check on onnxruntime: reads two questions together and says
how likely one answer is right for both.

Exported once by `manage.py prepare_embedder` from the committed weights. In a thread of its own, as
the embedder is, and with a queue that refuses at once what would come too late.
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
from proxy.core.verification.rules.registry import list_doubtful_objections
from proxy.engines.inference.batch_queue import WorkQueue
from proxy.engines.inference.session import open_session, open_tokenizer
from proxy.engines.verifiers.calibration import LOUDEST, doubt, evidence, probability
from proxy.engines.verifiers.inputs import PAIR_TOKENS, arrays
from proxy.engines.verifiers.weights import (
    ALONE,
    GRAPH,
    MINILM,
    TOKENIZER,
    WITH_COSINE,
    curves,
    is_prepared,
    verifier_id,
)

MAX_CHARACTERS = 4096  # of one text; a pair so long is never judged


@dataclass(frozen=True, slots=True)
class Question:
    """One pair that waits. `similarity`: the cosine, None: not known."""

    asked: str
    stored: str
    similarity: float | None
    at_least: float = 0.0


class OnnxVerifier:
    """Scores pairs with the model in `models`.

    Loaded by the first `score_questions`; while it is missing every call raises ToolUnavailable.
    """

    name = "verifier"
    embedder = MINILM

    def __init__(self, models: Path) -> None:
        self.id = verifier_id()
        self._models = models
        self._queue: WorkQueue[list[Question], list[float]] = WorkQueue(self.name, self._outcomes)
        self._loading = threading.Lock()
        self._model: tuple[Any, Any] | None = None
        self._curves = curves()

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
        at_least: float = 0.0,
        within: float = math.inf,
    ) -> list[float]:
        """See the port. Texts that say the same score 1, those too long to be read whole 0."""
        if not stored:
            return []
        cosines: Sequence[float | None] = (
            similarities if similarities is not None else [None] * len(stored)
        )
        questions = [
            Question(asked, other, cosine, at_least)
            for other, cosine in zip(stored, cosines, strict=True)
        ]
        job = self._queue.put(questions, sum(len(asked) + len(other) for other in stored), within)
        job.callers += 1
        try:
            return await asyncio.shield(job.result)
        finally:
            job.callers -= 1

    async def close(self) -> None:
        """Let the thread end; pairs not begun are given up."""
        self._queue.close()

    def _outcomes(self, waiting: Sequence[list[Question]]) -> list[list[float] | ToolUnavailable]:
        """In the thread. What breaks the model does not take the others along."""
        try:
            scores = iter(
                self._scores([question for questions in waiting for question in questions])
            )
            return [[next(scores) for _ in questions] for questions in waiting]
        except Exception as error:
            if len(waiting) > 1:
                return [outcome for questions in waiting for outcome in self._outcomes([questions])]
            if isinstance(error, ToolUnavailable):
                return [error]
            return [ToolUnavailable(self.name, f"{type(error).__name__}: {error}")]

    def _scores(self, questions: Sequence[Question]) -> list[float]:
        found = [0.0] * len(questions)
        open_ones: list[int] = []
        for place, question in enumerate(questions):
            if max(len(question.asked), len(question.stored)) > MAX_CHARACTERS:
                continue
            found[place] = (
                1.0 if equivalent(question.asked, question.stored) else self._most(question)
            )
            if question.at_least <= found[place] < 1.0:
                open_ones.append(place)
        if open_ones:
            for place, score in zip(
                open_ones, self._judged([questions[place] for place in open_ones]), strict=True
            ):
                found[place] = score
        return found

    def _most(self, question: Question) -> float:
        """The score if the network were as sure as can be:
        just below 1 where no cosine limits it."""
        if question.similarity is None:
            return 1.0 - 1e-9
        sure, cosine, none = np.array([LOUDEST]), np.array([question.similarity]), np.zeros(1)
        return float(probability(evidence(sure, cosine, none), self._curves[WITH_COSINE])[0])

    def _judged(self, questions: Sequence[Question]) -> list[float]:
        session, tokenizer = self._loaded()
        # One by one: rounded to 8 bits in company, a pair would score a little otherwise than
        # alone.
        inputs = [
            arrays(tokenizer, [normalize_pair(question.asked, question.stored)])
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
                doubt(list_doubtful_objections(question.asked, question.stored))
                for question in questions
            ]
        )
        near = probability(evidence(logits, cosines, doubted), self._curves[WITH_COSINE])
        scores = np.where(known, near, probability(logits - doubted, self._curves[ALONE]))
        whole = np.array([each["input_ids"].shape[1] < PAIR_TOKENS for each in inputs])
        return [float(score) for score in np.where(whole, scores, 0.0)]

    def _loaded(self) -> tuple[Any, Any]:
        """Session and tokenizer."""
        with self._loading:
            if self._model is None:
                if not is_prepared(self._models):
                    raise ToolUnavailable(
                        self.name, "the model has not been exported: run manage.py prepare_embedder"
                    )
                folder = self._models / self.id
                self._model = (
                    open_session(folder / GRAPH),
                    open_tokenizer(folder / TOKENIZER, PAIR_TOKENS),
                )
            return self._model
