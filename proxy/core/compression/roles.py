"""Whose turn it is: the order of roles in what is left of a chat.

The chat templates of Gemma and Mistral refuse a prompt in which user and assistant do not take turns, beginning with the user (calls of
tools and their results are passed over), and Anthropic's API wants the first message from the user
(docs.anthropic.com/en/api/messages). A chat that was in such an order stays in it.
"""

from collections.abc import Iterable

from proxy.core.ports import Message

# What stands in for an answer that was left out, and for what the user said.
NOTED: Message = {"role": "assistant", "content": "Noted."}
WENT_BEFORE: Message = {"role": "user", "content": "…"}
# DeepSeek and Kimi, thinking, answer 400 to an assistant message without its reasoning; an empty one is none to some of their servers.
NOTED_BY_A_THINKER: Message = {**NOTED, "reasoning_content": "…"}

_SYSTEM = ("system", "developer")


def taker(message: Message) -> str | None:
    """Whose turn a message is, "user" or "assistant"; None where it is nobody's."""
    role = message.get("role")
    if role == "user":
        return "user"
    return "assistant" if role == "assistant" and not (message.get("tool_calls") or message.get("function_call")) else None


def takes_turns(messages: Iterable[Message]) -> bool:
    """Whether user and assistant take turns, the user first."""
    last: str | None = "assistant"
    for message in messages:
        turn = taker(message)
        if turn:
            if turn == last:
                return False
            last = turn
    return True


def user_first(messages: Iterable[Message]) -> bool:
    """Whether the first message that is no system text is the user's."""
    return next((message.get("role") == "user" for message in messages if message.get("role") not in _SYSTEM), False)


def noted(messages: Iterable[Message]) -> Message:
    """What stands in for an answer in this chat: with a reasoning where its answers come with one."""
    thinks = any(message.get("role") == "assistant" and message.get("reasoning_content") for message in messages)
    return NOTED_BY_A_THINKER if thinks else NOTED


def in_turn(
    messages: Iterable[Message], ours: Iterable[Message], *, strict: bool, user_leads: bool, answer: Message = NOTED
) -> list[Message]:
    """The messages with stand-ins between two of one role, `answer` for the assistant: around those that are ours, and where `strict`
    everywhere and before an answer that comes first; with `user_leads` one before a first message that is not the user's."""
    made, sent = {id(message) for message in ours}, list[Message]()
    last: Message | None = None
    for message in messages:
        if user_leads and message.get("role") not in _SYSTEM:
            user_leads = False
            if message.get("role") != "user":
                last = WENT_BEFORE
                sent.append(last)
        turn = taker(message)
        if turn:
            if last is None and strict and turn == "assistant":
                sent.append(WENT_BEFORE)  # calls of tools may have come first, but the first who spoke was the user
            elif last and turn == taker(last) and (strict or id(message) in made or id(last) in made):
                sent.append(answer if turn == "user" else WENT_BEFORE)
            last = message
        sent.append(message)
    return sent
