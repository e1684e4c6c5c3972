"""Which worker a chat goes to: the one that had it before and remembers its messages, when that one is free, else any."""

import asyncio
from collections.abc import Sequence

from proxy.core.ports import Message
from proxy.engines.compressors.process import WorkerProcess

# A chat is known by how it begins: the system message and the first question and answer. Later turns bring the same again.
MESSAGES, CHARACTERS = 3, 200


class Idle:
    """Workers that have nothing to do. Who waits longest takes the next one."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._workers = workers
        self._free: list[WorkerProcess] = []
        self._count = asyncio.Semaphore(0)

    def give(self, worker: WorkerProcess) -> None:
        """This one is free now."""
        self._free.append(worker)
        self._count.release()

    async def take(self, chat: int) -> WorkerProcess:
        """The worker that this chat always asks for, or the one that became free last; waits when there is none."""
        await self._count.acquire()
        favourite = self._workers[chat % len(self._workers)]
        self._free.remove(worker := favourite if favourite in self._free else self._free[-1])
        return worker


def opening(messages: Sequence[Message]) -> int:
    """A number for how a chat begins, the same for all its turns in this process. Looks at what it needs only, as a chat may be long."""
    return hash(tuple(_beginning(message.get("content")) for message in messages[:MESSAGES] if isinstance(message, dict)))


def _beginning(content: object) -> str:
    """Of a list no more parts than characters: the whole of it may be megabytes."""
    return (content if isinstance(content, str) else str(content[:1] if isinstance(content, list) else content))[:CHARACTERS]
