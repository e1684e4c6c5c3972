"""Every regular expression of the product, pumped: what it costs grows with the text and no faster.

The expressions are found by importing every module and looking through what it holds, and by
reading the source for those written where they are used. A text is made of the beginning of
something that an expression matches, one piece repeated, and an end that it does not match: where
two quantifiers can share the piece, the work grows with its square or worse.
"""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# What `re` itself uses to read an expression.
codes: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")
ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("proxy", "accounts", "plans", "stats", "gateway_project")
CALLS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
FROM_THE_BEGINNING = {"match", "fullmatch"}
HANDED_ON = {"_COLON": {"match"}, "_BETWEEN": {"match"}}  # `json_text._end` matches with them
PIECES = (
    " ",
    "\t",
    "\u00a0",
    "\n",
    "a",
    "A",
    "1",
    "-",
    "_",
    ".",
    ",",
    "'",
    '"',
    "\\",
    "#",
    "*",
    "|",
    "`",
    "~",
    "<",
    "(",
    "[",
    "{",
    "=",
    ":",
    "/",
    "@",
    "+",
)
MORE_PIECES = ("é", "你", "あ", "😀", "\u0301", "\u200b")
PAIRS = ("a ", "1 ", "a.", "1,", " \n", "- ", "| ", "a: ", "a1", "x=")
ENDS = ("", "!", "x\n1")
FEW = range(12, 25, 2)  # characters pumped, a few more each time: what doubles with each ends early
# What takes the fourth power of them ends early too.
MANY = (50, 100, 200, 400, 800, 1500, 3000, 6000)
SLOW = 0.03  # seconds
ENDLESS = 200  # a count of this or more is no bound
SINGLE = (codes.IN, codes.ANY, codes.LITERAL, codes.NOT_LITERAL)
MOST_GROWTH = 9.0  # of four times the text; 4 is linear, 16 the square
MAX_SAMPLES = 12


@cache
def usages() -> dict[tuple[str, str], set[str]]:
    """By module and name of a variable which methods of an expression are called on it there;
    by "" and name in all modules."""
    found: dict[tuple[str, str], set[str]] = {}
    for path, tree in sources().items():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in CALLS
                and isinstance(node.value, ast.Name | ast.Attribute)
            ):
                name = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                found.setdefault((module, name), set()).add(node.attr)
                found.setdefault(("", name), set()).add(node.attr)
    return found


def is_tried_from_the_beginning(module: str, name: str) -> bool:
    methods = (
        HANDED_ON.get(name)
        or usages().get((module, name))
        or usages().get(("", name))
        or {"search"}
    )
    return methods <= FROM_THE_BEGINNING


@cache
def sources() -> dict[Path, ast.Module]:
    paths = (
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts
    )
    return {path: ast.parse(path.read_text()) for path in paths}


def held(value: object, depth: int = 3) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from held(each, depth - 1)
    elif depth and isinstance(value, dict):
        for each in value.values():
            yield from held(each, depth - 1)
    elif depth and type(value).__module__.startswith(PACKAGES):
        inner = getattr(value, "__dict__", None) or {
            name: getattr(value, name, None) for name in getattr(value, "__slots__", ())
        }
        yield from held(dict(inner), depth - 1)


@cache
def expressions() -> dict[tuple[Any, int], tuple[str, bool]]:
    """By pattern and flags: where it is, and whether it is only ever tried from the beginning
    of a text."""
    found: dict[tuple[Any, int], tuple[str, bool]] = {}
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if ".migrations" not in module.name and module.name not in (
                "gateway_project.serving.worker_process",
                "gateway_project.asgi",
            ):
                for where, name, pattern in _held_by(module.name):
                    found.setdefault(
                        (pattern.pattern, pattern.flags),
                        (where, is_tried_from_the_beginning(module.name, name)),
                    )
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and _is_written_here(node, node.func)
            ):
                pattern = node.args[0].value  # type: ignore[attr-defined]
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                found.setdefault(
                    (pattern, re.compile(pattern).flags),
                    (where, node.func.attr in FROM_THE_BEGINNING),
                )
    return found


def _held_by(module: str) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    for name, value in vars(importlib.import_module(module)).items():
        if name.startswith("__") or (isinstance(value, type) and value.__module__ != module):
            continue
        for pattern in held(dict(vars(value)) if isinstance(value, type) else value):
            yield f"{module}.{name}", name, pattern


def _is_written_here(node: ast.Call, called: ast.Attribute) -> bool:
    """Whether this is `re.<method>("literal", ...)`."""
    of_re = (
        called.attr in CALLS - {"compile"}
        and isinstance(called.value, ast.Name)
        and called.value.id == "re"
    )
    return of_re and bool(node.args) and isinstance(node.args[0], ast.Constant)


def samples(pattern: Any, flags: int) -> list[str]:
    """Beginnings of texts that the expression matches, the empty one first."""
    found = [""]
    begun = ""
    for item in parsed(pattern, flags):
        begun += sample(item)
        found.append(begun)
    branches = [sample_of(branch) for item in parsed(pattern, flags) for branch in _branches(item)]
    return list(dict.fromkeys([*found[: MAX_SAMPLES // 2], *branches]))[:MAX_SAMPLES]


def _branches(item: Any) -> list[Any]:
    kind, value = item
    if kind is codes.BRANCH:
        return list(value[1])
    if kind is codes.SUBPATTERN:
        return [branch for inner in value[3] for branch in _branches(inner)]
    return []


def sample_of(items: Any) -> str:
    return "".join(sample(item) for item in items)


def sample(item: Any) -> str:  # noqa: PLR0911 -- one line a kind
    """A short text that one item of a parsed expression matches,
    as far as one can be made without trouble."""
    kind, value = item
    if kind is codes.LITERAL:
        return chr(value)
    if kind is codes.SUBPATTERN:
        return sample_of(value[3])
    if kind is codes.ATOMIC_GROUP:
        return sample_of(value)
    if kind is codes.BRANCH:
        return sample_of(value[1][0])
    if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return sample_of(value[2]) * int(value[0])
    if kind in (codes.IN, codes.NOT_LITERAL, codes.ANY):
        for letter in "a1 -.,:A'\"@#\n(<[{|*_/=+":
            if member(item, letter):
                return letter
    return ""


def member(item: Any, letter: str) -> bool:
    """Whether an item that takes one character takes this one."""
    kind, value = item
    if kind is codes.ANY:
        return letter != "\n"
    if kind is codes.LITERAL:
        return bool(chr(value) == letter)
    if kind is codes.NOT_LITERAL:
        return bool(chr(value) != letter)
    if kind is not codes.IN:
        return False
    inside: bool = any(_in(part, letter) for part in value if part[0] is not codes.NEGATE)
    return inside != bool(value[0][0] is codes.NEGATE)


CATEGORIES: dict[Any, Callable[[str], bool]] = {
    codes.CATEGORY_SPACE: str.isspace,
    codes.CATEGORY_DIGIT: str.isdecimal,
    codes.CATEGORY_WORD: lambda letter: letter.isalnum() or letter == "_",
}
NEGATED = {
    codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
    codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
    codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
}


def _in(part: Any, letter: str) -> bool:
    kind, value = part
    if kind is codes.LITERAL:
        return bool(chr(value) == letter)
    if kind is codes.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    if value in NEGATED:
        return not CATEGORIES[NEGATED[value]](letter)
    return bool(CATEGORIES[value](letter))


LETTERS = [chr(code) for code in range(0x250)] + list("你あ😀\u0301\u200b\u2014\u2019")


def overlapping(pattern: Any, flags: int) -> list[str]:
    """Neighbours without an end that can take the same character:
    how often the first takes it is tried anew for each of the second."""
    found: list[str] = []
    _look_through(parsed(pattern, flags), found)
    return found


def _look_through(items: Any, found: list[str]) -> set[str]:
    """The characters that an endless quantifier at the end of the items may take;
    problems go to `found`."""
    open_: set[str] = set()
    for item in items:
        kind, value = item
        if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, most, body = value
            if most is codes.MAXREPEAT and len(body) == 1 and body[0][0] in SINGLE:
                takes = {letter for letter in LETTERS if member(body[0], letter)}
                if open_ & takes:
                    found.append(f"{sorted(open_ & takes)[:3]!r} twice without an end")
                open_ = (
                    (open_ | takes if not least else takes)
                    if kind is not codes.POSSESSIVE_REPEAT
                    else set()
                )
                continue
            inner = _look_through(body, found)
            open_ = open_ | inner if not least else inner
        elif kind is codes.SUBPATTERN:
            inner, width = _look_through(value[3], found), value[3].getwidth()[0]
            open_ = open_ | inner if not width else inner
        elif kind is codes.BRANCH:
            inner = set().union(*(_look_through(branch, found) for branch in value[1]))
            nullable = any(not branch.getwidth()[0] for branch in value[1])
            open_ = open_ | inner if nullable else inner
        elif kind in (codes.AT, codes.ASSERT, codes.ASSERT_NOT):
            continue
        else:
            open_ = set()
    return open_


def seconds(compiled: re.Pattern[Any], text: Any, *, begins: bool, tries: int = 1) -> float:
    best = float("inf")
    for _ in range(tries):
        started = time.thread_time()  # the others of a busy machine do not count
        if begins:
            compiled.match(text)
        else:
            for _ in compiled.finditer(text):
                pass
        best = min(best, time.thread_time() - started)
    return best


def is_slow(compiled: re.Pattern[Any], text: Any, *, begins: bool) -> bool:
    """Whether it is, however often it is tried: a busy machine is slow once."""
    return all(seconds(compiled, text, begins=begins) > SLOW for _ in range(3))


def pumped(pattern: Any, start: str, pump: str, length: int, end: str) -> Any:
    text = start + pump * (length // len(pump)) + end
    return text.encode() if isinstance(pattern, bytes) else text


def endless(items: Any) -> Iterator[Any]:
    """What quantifiers without an end repeat, in the items and within."""
    for kind, value in items:
        if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            if value[1] is codes.MAXREPEAT or value[1] >= ENDLESS:
                yield value[2]
            yield from endless(value[2])
        elif kind is codes.SUBPATTERN:
            yield from endless(value[3])
        elif kind is codes.ATOMIC_GROUP:
            yield from endless(value)
        elif kind is codes.BRANCH:
            for branch in value[1]:
                yield from endless(branch)
        elif kind in (codes.ASSERT, codes.ASSERT_NOT):
            yield from endless(value[1])


def pumps(pattern: Any, flags: int) -> list[str]:
    """What can be repeated without an end: up to four pieces for each quantifier that has none,
    and pairs of those."""
    found: list[str] = []
    for body in endless(parsed(pattern, flags)):
        if len(body) == 1 and body[0][0] in SINGLE:
            found += [piece for piece in (*PIECES, *MORE_PIECES) if member(body[0], piece)][:4]
            found += [pair for pair in PAIRS if all(member(body[0], letter) for letter in pair)][:1]
        else:
            found.append(sample_of(body))
    found = [piece for piece in dict.fromkeys(found) if piece]
    return found[:10] + [one + other for one in found[:4] for other in found[:4] if one != other]


def parsed(pattern: Any, flags: int) -> Any:
    if isinstance(pattern, bytes):
        return parser.parse(pattern.decode("latin-1"), flags & ~re.UNICODE)
    return parser.parse(pattern, flags)


def problem(pattern: Any, flags: int, *, begins: bool) -> str:
    """The first text for which the work grows faster than the text, "" where there is none."""
    compiled = re.compile(pattern, flags)
    for pump in pumps(pattern, flags):
        for start in samples(pattern, flags):
            for end in ENDS:

                def make(length: int, start: str = start, pump: str = pump, end: str = end) -> Any:
                    return pumped(pattern, start, pump, length, end)

                for few in FEW:
                    if is_slow(compiled, make(few), begins=begins):
                        return f"{start!r} + {pump!r} * {few} + {end!r} takes too long"
                many = next(
                    (many for many in MANY if is_slow(compiled, make(many), begins=begins)), None
                )
                if many is None:
                    continue
                # A busy machine is slow too: the growth decides.
                fewer, more = (
                    seconds(compiled, make(length), begins=begins, tries=3)
                    for length in (many // 4, many)
                )
                growth = more / fewer
                if growth > MOST_GROWTH:
                    return (
                        f"{start!r} + {pump!r} * n + {end!r}: four times the text takes "
                        f"{growth:.0f} times as long"
                    )
    return ""


FOUND = sorted(expressions().items(), key=lambda item: item[1])


def test_the_expressions_are_found() -> None:
    assert len(FOUND) > 60
    places = {where for where, _ in expressions().values()}
    assert {
        "proxy.core.text.sentences._TABLE_DELIMITER",
        "proxy.core.formats.chat_completions._STRING_PATTERN",
    } <= places


@pytest.mark.parametrize(("key", "where"), FOUND, ids=[where for _, (where, _) in FOUND])
def test_its_work_grows_with_the_text_and_no_faster(
    key: tuple[Any, int], where: tuple[str, bool]
) -> None:
    pattern, flags = key
    assert problem(pattern, flags, begins=where[1]) == ""


@pytest.mark.parametrize(("key", "where"), FOUND, ids=[where for _, (where, _) in FOUND])
def test_no_neighbours_without_an_end_take_the_same(
    key: tuple[Any, int], where: tuple[str, bool]
) -> None:
    assert overlapping(*key) == []


@pytest.mark.parametrize(
    "pattern",
    [r"order\s*(?:number)?\s*(?:is)?\s*[:#]?\s*\d", r"(a+)+$", r"\s+x", r"(?:\w+\s?)*:", r"a*a*b"],
)
def test_a_bad_one_is_found_out(pattern: str) -> None:
    assert problem(pattern, re.compile(pattern).flags, begins=False)


@pytest.mark.parametrize(
    "pattern",
    [r"order\s*(?:number)?\s*(?:is)?\s*[:#]?\s*\d", r"a*a*b", r"\d+\d*", r"x*(?:y)?[xz]*"],
)
def test_neighbours_are_found_out(pattern: str) -> None:
    assert overlapping(pattern, re.compile(pattern).flags)
