"""Builders of OpenAI's bodies: completions, stream chunks, usage, errors, model lists.

Shapes: platform.openai.com/docs/api-reference/chat (object, streaming, errors).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

Body = dict[str, Any]
DONE_EVENT = b"data: [DONE]\n\n"


def build_usage(prompt: int, completion: int, *, cached: int = 0) -> Body:
    """Build the usage object; `cached` of the prompt's tokens were read from the prefix cache."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def build_completion(
    text: str,
    *,
    id: str,  # noqa: A002 - OpenAI's name
    created: int,
    model: str,
    usage: Body,
    finish: str = "stop",
    fingerprint: str = "fp_44709d6fcb",
    **message: Any,
) -> Body:
    """Build a `chat.completion`; `message` adds or replaces fields of its message."""
    said = {"role": "assistant", "content": text, "refusal": None, "annotations": []} | message
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": fingerprint,
    }


def build_error(
    message: str, *, kind: str = "invalid_request_error", code: str | None = None
) -> Body:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def build_model_list(*names: str, owner: str) -> Body:
    models = [
        {"id": name, "object": "model", "created": 1721172741, "owned_by": owner} for name in names
    ]
    return {"object": "list", "data": models}


def iter_chunks(completion: Body, *, include_usage: bool, words: int) -> Iterator[Body]:
    """Yield a completion as stream chunks: role, text, finish reason and, if asked for, usage.

    A text chunk has `words` words.
    """
    choice = completion["choices"][0]
    base: Body = {name: completion[name] for name in completion if name not in ("choices", "usage")}
    base["object"] = "chat.completion.chunk"
    if include_usage:
        base["usage"] = None

    def build_chunk(delta: Body, finish: str | None = None) -> Body:
        piece = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**base, "choices": [piece]}

    yield build_chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in iter_pieces(choice["message"]["content"], words):
        yield build_chunk({"content": piece})
    yield build_chunk({}, choice["finish_reason"])
    if include_usage:
        yield {**base, "choices": [], "usage": completion["usage"]}


def iter_pieces(text: str, words: int) -> Iterator[str]:
    """Split the text into pieces of `words` words that join to the same text."""
    split = text.split(" ")
    for start in range(0, len(split), words):
        piece = " ".join(split[start : start + words])
        yield piece if start == 0 else f" {piece}"


def encode_events(chunks: Iterable[Body]) -> Iterator[bytes]:
    """Encode chunks as server-sent events, `[DONE]` included."""
    for chunk in chunks:
        yield b"data: %b\n\n" % orjson.dumps(chunk)
    yield DONE_EVENT
