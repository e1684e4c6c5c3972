"""The compression process: `python -m proxy.engines.compressors.worker [WORD_VECTORS]`.

Its parent writes jobs to stdin and reads replies from stdout. A frame is four bytes of length,
big-endian, and a body. A job is a pickled (kind, messages, settings, model, terms, tenant), since
the parent is trusted; a reply is JSON, since the worker reads what strangers wrote. A reply holds
the fields of `CompressionResult` or `Preview`, except that an unchanged message is its index, so
that the parent sends on its own objects.
"""

import gc
import json
import logging
import os
import pickle
import signal
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.compression.preview import build_preview
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.types import Message

if TYPE_CHECKING:
    from proxy.core.text.word_vectors import WordVectors

logger = logging.getLogger(__name__)

# Bytes of memoized results: some hundred conversations of 60,000 tokens.
MAX_MEMO_BYTES = 64_000_000
# If a worker and the gateway compete for one core, the worker yields: a slow gateway slows every
# request.
NICENESS = 5
FRAME_LENGTH = struct.Struct(">I")
JobKind = Literal["compress", "preview"]


def build_frame(body: bytes) -> bytes:
    """Prefix a body with its length."""
    return FRAME_LENGTH.pack(len(body)) + body


def build_job(
    messages: list[Message],
    settings: CompressionSettings,
    model: str,
    kind: JobKind = "compress",
    *,
    terms: CompressionTerms | None = None,
    tenant: int | None = None,
) -> bytes:
    """Build the frame of a job; `tenant` is whose memo is used, None for none."""
    return build_frame(
        pickle.dumps(
            (kind, messages, asdict(settings), model, terms, tenant),
            protocol=pickle.HIGHEST_PROTOCOL,
        )
    )


def answer_job(body: bytes, memory: Memo) -> dict[str, Any]:
    """Run a job and return the fields of its reply; {"error": type} if even `trim` failed."""
    try:
        kind, messages, settings, model, terms, tenant = pickle.loads(body)  # noqa: S301 - written by our parent
        memory = (
            memory.for_tenant(tenant)
            if tenant is not None
            else Memo(MAX_MEMO_BYTES, word_vectors=memory.word_vectors)
        )
        if kind == "compress":
            return _serialize_result(
                compress(
                    messages,
                    CompressionSettings(**settings),
                    model=model,
                    memory=memory,
                    terms=terms,
                ),
                messages,
            )
        found = build_preview(
            messages, CompressionSettings(**settings), model=model, memory=memory, terms=terms
        )
    except Exception as error:
        return {"error": type(error).__name__}
    shown = [piece.to_dict() for piece in found.spans]
    return {
        "cut": _serialize_result(found.compression, messages),
        "shown": shown,
        "next_asked": asdict(found.next_asked),
        "next_sent": asdict(found.next_sent),
    }


def _serialize_result(cut: CompressionResult, messages: list[Message]) -> dict[str, Any]:
    index = {id(message): place for place, message in enumerate(messages)}
    kept = (
        None
        if cut.messages is None
        else [index.get(id(message), message) for message in cut.messages]
    )
    return {**asdict(replace(cut, messages=None)), "messages": kept}


def _read_jobs(stream: BinaryIO, jobs: "SimpleQueue[bytes]") -> None:
    """Read frames until the parent is gone, then exit, whatever job is running."""
    while len(head := stream.read(FRAME_LENGTH.size)) == FRAME_LENGTH.size:
        jobs.put(stream.read(*FRAME_LENGTH.unpack(head)))
    os._exit(0)


def _load_word_vectors(paths: list[str]) -> "WordVectors | None":
    """Load the table from the first path; None if there is none."""
    from proxy.core.text.word_vectors import WordVectors

    try:
        # Without it words count by their form, not by their meaning.
        return WordVectors.load(Path(paths[0])) if paths else None
    except OSError as error:
        logger.warning(
            "no table of word vectors, chats are ranked by words alone: %s", type(error).__name__
        )
        return None


def main() -> None:
    """Answer jobs one by one, in order."""
    os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it closes stdin
    jobs: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    memory = Memo(MAX_MEMO_BYTES, word_vectors=_load_word_vectors(sys.argv[1:2]))
    for number in count():
        reply = json.dumps(answer_job(jobs.get(), memory)).encode()
        sys.stdout.buffer.write(build_frame(reply))
        sys.stdout.buffer.flush()
        if number == 0:
            # What the first job, the warm-up, has loaded stays: the garbage collector need not scan
            # it again.
            gc.collect()
            gc.freeze()


if __name__ == "__main__":
    main()
