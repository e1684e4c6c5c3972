"""What providers and chat templates refuse, as strictly as they say it;
each function gives the reason, "" where there is none."""

from typing import Any

Message = dict[str, Any]


def openai_refuses(messages: list[Message]) -> str:
    """platform.openai.com/docs/guides/function-calling:
    after an assistant message with `tool_calls` come tool messages, one for each call and none
    else; no tool message stands anywhere else."""
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return f"messages[{place}] answers no call before it"
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return f"messages[{place}] comes before an answer to {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    return f"no answer to {waiting}" if waiting else ""


def anthropic_refuses(messages: list[Message]) -> str:
    """docs.anthropic.com/en/api/messages and .../tool-use: the first message is the user's;
    messages of one role in a row are one turn; the user's turn after `tool_use` begins with a
    `tool_result` for each of them. System text is passed apart, a tool message is a `tool_result`
    of the user's."""
    turns: list[tuple[str, list[tuple[str, str]]]] = []
    for message in messages:
        if message["role"] in ("system", "developer"):
            continue
        role = "user" if message["role"] == "tool" else message["role"]
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        if message["role"] == "tool":
            turns[-1][1].append(("result", message["tool_call_id"]))
        else:
            turns[-1][1].append(("text", ""))
            turns[-1][1].extend(("use", call["id"]) for call in message.get("tool_calls") or ())
    if turns and turns[0][0] != "user":
        return "the first message is not the user's"
    used: list[str] = []
    for role, blocks in turns:
        results = [call for kind, call in blocks if kind == "result"]
        if sorted(results) != sorted(used):
            return f"results {results} for calls {used}"
        if role == "user" and any(kind != "result" for kind, _ in blocks[: len(results)]):
            return "a result comes after text"
        used = [call for kind, call in blocks if kind == "use"]
    return ""


def template_refuses(messages: list[Message]) -> str:
    """The check in the templates of Mistral and Gemma (`tokenizer_config.json` of
    Mistral-7B-Instruct-v0.3 and gemma-2-9b-it): behind the system text user and assistant take
    turns, the user first; calls of tools and their results are not looked at."""
    begun = False
    expected = "user"
    for place, message in enumerate(messages):
        if message["role"] == "system" and not begun:
            continue
        begun = True
        if message["role"] == "tool" or message.get("tool_calls"):
            continue
        if message["role"] != expected:
            return f"messages[{place}] is {message['role']}'s, {expected} expected"
        expected = "assistant" if expected == "user" else "user"
    return ""
