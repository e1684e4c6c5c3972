"""Count the tokens of a chat as the provider bills them."""

import re
import sys
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from itertools import chain
from typing import Any, Final

from proxy.core.message_parts import iter_call_parts, iter_content_parts, iter_other_parts
from proxy.core.types import Message

# The rule for messages is the one of the OpenAI cookbook, "How to count tokens with tiktoken"
# (`num_tokens_from_messages`, github.com/openai/openai-cookbook): three tokens of framing a
# message, the tokens of role and content, one more where there is a `name`, and three that prime
# the reply. Tool calls and media have no published rule; the constants here and in `message_parts`
# are estimates that lean high. Other fields, such as reasoning sent back to the provider, count by
# their texts.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PER_TOOL_CALL = 3
REPLY_PRIMING_TOKENS = 3
# (text, encoding) -> tokens
TokenCounter = Callable[[str, str], int]
_DEFAULT_ENCODING = "o200k_base"
# After a known name only a suffix may follow (-mini, -2024-08-06, :free), no further letter, digit
# or point: gpt-4.9 is not a gpt-4.
_ENCODING_FAMILIES = (
    (
        "o200k_base",
        re.compile(r"((chat)?gpt-(4o|4\.1|4\.5|5(\.\d+)?|oss)|o[134]|codex)(?![a-z0-9.])"),
    ),
    ("cl100k_base", re.compile(r"(gpt-(4|3\.5|35)|text-embedding-(3|ada-002))(?![a-z0-9.])")),
)
_ENCODING_NAMES = frozenset({"cl100k_base", "o200k_base"})
# The tokenizer holds the GIL while it counts, 10 to 80 ns a character: long texts are counted in
# pieces, so that other threads get their turn.
_MAX_PIECE_LENGTH = 100_000


@lru_cache(maxsize=4096)
def find_encoding(model: str) -> tuple[str, bool]:
    """Return the encoding of a model, and whether it is known to be the model's own.

    Ignores provider prefixes (`openai/`), `ft:` and suffixes; an unknown model gets o200k_base.
    """
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    for encoding, family in _ENCODING_FAMILIES:
        if family.match(name):
            return encoding, True
    return (name, True) if name in _ENCODING_NAMES else (_DEFAULT_ENCODING, False)


_import_lock = threading.Lock()


@lru_cache(maxsize=8)
def _load_tokenizer(encoding: str) -> Any:
    # The bindings below bpe_openai's tiktoken look-alike: they count without building a list, and
    # know neither its limit of a million characters nor special tokens.
    return _load_bindings().tokenizer_for_encoding(encoding)


def _load_bindings() -> Any:
    """Import only the compiled part of bpe_openai."""
    # Importing the package unpacks its tables again in Python, 65 MB and 0.8 s a process.
    name = "bpe_openai._bindings"
    with _import_lock:
        if name not in sys.modules:
            package = find_spec("bpe_openai")
            spec = PathFinder.find_spec(
                name, package.submodule_search_locations if package else None
            )
            if spec is None or spec.loader is None:
                raise ModuleNotFoundError("bpe_openai is not installed", name=name)
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
        return sys.modules[name]


def _split_text(text: str) -> Iterable[str]:
    start = 0
    while len(text) - start > _MAX_PIECE_LENGTH:
        space = text.find(" ", start + _MAX_PIECE_LENGTH, start + _MAX_PIECE_LENGTH + 1000)
        end = space if space > 0 else start + _MAX_PIECE_LENGTH
        yield text[start:end]
        start = end
    yield text[start:]


def count_text(text: str, encoding: str) -> int:
    """Count the tokens of a text; a special token is plain text, a lone surrogate U+FFFD.

    Above 100,000 characters the count may be a token too high for each 100,000.
    """
    if not text:
        return 0
    count = _load_tokenizer(encoding).count
    try:
        return (
            sum(count(piece) for piece in _split_text(text))
            if len(text) > _MAX_PIECE_LENGTH
            else count(text)
        )
    except UnicodeEncodeError:
        return count_text(_replace_surrogates(text), encoding)


def count_up_to(text: str, encoding: str, limit: int) -> int | None:
    """Count the tokens of a text; None, without counting on, if there are more than `limit`."""
    if len(text) > _MAX_PIECE_LENGTH:
        tokens = count_text(text, encoding)
        return tokens if tokens <= limit else None
    try:
        within: int | None = _load_tokenizer(encoding).count_till_limit(text, max(limit, 0))
    except UnicodeEncodeError:
        return count_up_to(_replace_surrogates(text), encoding, limit)
    return within


_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_count_known_role = lru_cache(maxsize=64)(count_text)


def _count_role(role: str, encoding: str) -> int:
    """Count the tokens of a role; only the API's own roles are cached."""
    return _count_known_role(role, encoding) if role in _ROLES else count_text(role, encoding)


def _replace_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _split_billed(message: Message) -> tuple[int, list[str]]:
    """Return the fixed tokens of a message, and its texts."""
    fixed, texts = TOKENS_PER_MESSAGE, list[str]()
    parts = [iter_content_parts(message.get("content")), iter_other_parts(message)]
    if isinstance(message.get("role"), str):
        texts.append(message["role"])
    if isinstance(message.get("name"), str):
        fixed += TOKENS_PER_NAME
        texts.append(message["name"])
    calls = message.get("tool_calls")
    for call in [*(calls if isinstance(calls, list) else ()), message.get("function_call")]:
        if isinstance(call, dict):
            fixed += TOKENS_PER_TOOL_CALL
            parts.append(iter_call_parts(call))
    for part in chain.from_iterable(parts):
        if isinstance(part, int):
            fixed += part
        else:
            texts.append(part)
    return fixed, texts


def count_message_tokens(message: Message, encoding: str, count: TokenCounter = count_text) -> int:
    """Count the tokens of one message with its framing.

    `count_prompt_tokens` is the sum plus the reply priming. `count`: counts a text, perhaps
    memoized.
    """
    content = message.get("content")
    # The usual case.
    if len(message) == 2 and isinstance(content, str) and isinstance(message.get("role"), str):
        return (
            TOKENS_PER_MESSAGE + _count_role(message["role"], encoding) + count(content, encoding)
        )
    fixed, texts = _split_billed(message)
    return fixed + sum([count(text, encoding) for text in texts if text])


def count_prompt_tokens(
    messages: list[Message], encoding: str, count: TokenCounter = count_text
) -> int:
    """Count the tokens of a prompt as billed, including the three that prime the reply."""
    return REPLY_PRIMING_TOKENS + sum(
        count_message_tokens(message, encoding, count) for message in messages
    )


# The size of a chat in characters, where counting tokens would take too long.

FRAME_CHARACTERS: Final = 12  # of a message, besides its text
CHARACTERS_PER_TOKEN: Final = 4


def count_characters(messages: Iterable[Message]) -> int:
    """Count the characters of texts and tool arguments; pictures and files count as 0."""
    return sum(map(_message_characters, messages))


def _message_characters(message: Message) -> int:
    content = message.get("content")
    calls = message.get("tool_calls")
    parts = content if isinstance(content, list) else ()
    texts = (
        [content]
        if isinstance(content, str)
        else [part.get("text") if isinstance(part, dict) else part for part in parts]
    )
    functions = (
        [each.get("function") for each in calls if isinstance(each, dict)]
        if isinstance(calls, list)
        else ()
    )
    texts += [function.get("arguments") for function in functions if isinstance(function, dict)]
    return FRAME_CHARACTERS + sum(len(text) for text in texts if isinstance(text, str))
