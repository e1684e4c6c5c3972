"""The verifier of chats: whether two that differ in their words may share an answer.

No model runs: a sentence is the mean of its words' vectors, and what was learned is a list of small
trees. Reading and comparing takes milliseconds, in a thread of its own that refuses what would be
late.
"""

import contextvars
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from proxy.core.errors import ToolUnavailable
from proxy.core.text.word_vectors import Vectors
from proxy.core.types import Message
from proxy.core.verification.chat_decision import ComparedChat, veto_other_words
from proxy.core.verification.chat_reading import ChatReading, read_chat
from proxy.engines.inference.batch_queue import BatchQueue
from proxy.engines.inference.word_table import open_word_table
from proxy.engines.verifiers.chat_weights import chat_verifier_id, load_chat_weights

# What the queue counts a job as: a chat of some thousand characters.
JOB_SIZE = 1024

Result = TypeVar("Result")
Job = Callable[[], Any]


class AlignmentChatVerifier:
    """Compares chats with the table of word vectors in `models`, which the first call loads."""

    name = "chats"

    def __init__(self, models: Path) -> None:
        self.id = chat_verifier_id()
        self._models = models
        self._weights = load_chat_weights()
        self._queue: BatchQueue[Job, Any] = BatchQueue(self.name, _run_jobs)

    async def read_chat(
        self, messages: Sequence[Message], *, within: float = math.inf
    ) -> ChatReading | None:
        """Read a chat; see the port."""
        return await self._run(lambda: read_chat(messages, self._embed), within)

    async def veto_other_words(
        self,
        asked: ComparedChat,
        stored: ComparedChat,
        answer: str,
        *,
        ignores_asides: bool = False,
        within: float = math.inf,
    ) -> str | None:
        """Compare two chats; see the port."""
        weigh = self._weights.weigh
        return await self._run(
            lambda: veto_other_words(asked, stored, answer, weigh, ignores_asides=ignores_asides),
            within,
        )

    async def close(self) -> None:
        """Let the thread end; what was not begun is dropped."""
        self._queue.close()

    async def _run(self, work: Callable[[], Result], within: float) -> Result:
        context = contextvars.copy_context()  # with the tenant, whose texts alone are remembered
        job = self._queue.add_item(lambda: context.run(work), JOB_SIZE, within)
        job.callers += 1
        try:
            result: Result = await job.result
            return result
        finally:
            job.callers -= 1

    def _embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Raises ToolUnavailable."""
        try:
            table = open_word_table(self._models)
        except OSError as error:
            raise ToolUnavailable(
                self.name, "its words are not exported: run manage.py prepare_embedder"
            ) from error
        return table.embed_texts(texts)


def _run_jobs(jobs: Sequence[Job]) -> list[Any]:
    """Run jobs in the thread; per job a result, or why there is none."""
    outcomes: list[Any] = []
    for job in jobs:
        try:
            outcomes.append(job())
        except ToolUnavailable as error:
            outcomes.append(error)
        except Exception as error:  # one chat must not fail the others
            outcomes.append(ToolUnavailable("chats", f"{type(error).__name__}: {error}"))
    return outcomes
