"""Which answers may be stored: whole ones, and of structured ones those that a client can read."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plans.snapshot import ToolCallReuse
from proxy.core.caching import eligibility
from proxy.core.caching.eligibility import answer_ineligibility, is_call_forced
from proxy.core.formats import structured_outputs
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.structured_outputs import (
    MAX_WALK_STEPS,
    NotJson,
    matches_schema,
    parse_strict_json,
)
from tests.core.caching.test_eligibility import request

Body = dict[str, Any]


def asking(**body: Any) -> ChatRequest:
    return request({"role": "user", "content": "Which city?"}, **body)


def answer(content: Any = "By card.", finish: Any = "stop", **message: Any) -> Body:
    return {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish,
            }
        ]
    }


def why(completion: Any, *, tool_calls: ToolCallReuse = "output", **body: Any) -> str:
    return answer_ineligibility(asking(**body), completion, tool_calls)


FINISHED = "stop STOP Stop eos EOS eos_token end end_turn stop_sequence COMPLETE complete".split()


@pytest.mark.parametrize("finish", FINISHED)
def test_an_answer_that_ended_by_itself_is_kept_however_the_provider_says_so(finish: str) -> None:
    assert why(answer(finish=finish)) == ""


@pytest.mark.parametrize(
    "finish",
    [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "content_filter",
        "SAFETY",
        "error",
        "tool_calls",
        "function_call",
        "",
        None,
        7,
        ["stop"],
    ],
)
def test_any_other_end_is_none(finish: Any) -> None:
    assert why(answer(finish=finish)) == "finish-reason"


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (None, "no-answer"),
        ({}, "no-answer"),
        ({"choices": []}, "no-answer"),
        ({"choices": None}, "no-answer"),
        ({"choices": "x"}, "no-answer"),
        (answer(""), "no-answer"),
        (answer(None), "no-answer"),
        (answer(" \n\t\u00a0"), "no-answer"),
        (answer([]), "no-answer"),
        (answer(None, reasoning_content="Thinking was all it did."), "no-answer"),
        ({"choices": ["x"]}, "not-understood"),
        ({"choices": [None]}, "not-understood"),
        ({"choices": [{"message": "text", "finish_reason": "stop"}]}, "not-understood"),
        (answer(7), "not-understood"),
        (answer({"text": "x"}), "not-understood"),
        (answer(["x"]), "not-understood"),
        (answer(None, tool_calls="call"), "not-understood"),
        (answer(None, tool_calls=[7]), "not-understood"),
        (answer(None, tool_calls={"id": "a"}), "not-understood"),
        (answer(None, function_call="call"), "not-understood"),
        (answer("x", refusal=["no"]), "not-understood"),
        (
            {"choices": [{"index": [0], "message": {"content": "x"}, "finish_reason": "stop"}]},
            "not-understood",
        ),
        (answer() | {"error": {"message": "quota", "code": 429}}, "status"),
        ({"choices": [answer()["choices"][0] | {"error": {"code": 502}}]}, "status"),
    ],
)
def test_anything_less_than_a_whole_answer_is_not_kept(completion: Any, reason: str) -> None:
    assert why(completion) == reason


@pytest.mark.parametrize(
    "completion",
    [
        answer(),
        answer([{"type": "text", "text": "By card."}]),
        answer(None, audio={"id": "a", "data": "AA=="}),
        answer() | {"error": None},
    ],
)
def test_whole_answers_are_kept(completion: Body) -> None:
    assert why(completion) == ""


def choices(*indexes: int) -> Body:
    return {"choices": [answer()["choices"][0] | {"index": index} for index in indexes]}


@pytest.mark.parametrize(
    ("kept", "reason"), [((0, 1), ""), ((0,), "not-understood"), ((0, 0), "not-understood")]
)
def test_of_several_choices_all_must_be_there_and_whole(kept: tuple[int, ...], reason: str) -> None:
    assert why(choices(*kept), n=2) == reason
    broken = choices(0, 1)
    broken["choices"][1]["finish_reason"] = "length"
    assert why(broken, n=2) == "finish-reason"


JSON = {"type": "json_object"}
CITY: Body = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "people": {"type": "integer"},
        "kind": {"enum": ["capital", "town", None]},
        "mayor": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
        "rivers": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
    "$defs": {
        "person": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        }
    },
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "City", "strict": True, "schema": CITY}}
GOOD = '{"city": "Zürich", "people": 400000}'


@pytest.mark.parametrize("wanted", [JSON, SCHEMA])
@pytest.mark.parametrize(
    "content",
    [
        '{"city": "Zür',
        f"```json\n{GOOD}\n```",
        f"Here it is: {GOOD}",
        f"{GOOD} I hope this helps!",
        GOOD + GOOD,
        "\ufeff" + GOOD,
        '{"city": "Zürich", "people": NaN}',
        '{"city": "Zürich", "people": Infinity}',
        "{'city': 'Zürich', 'people': 1}",
        '{"city": "Zürich", "people": 1,}',
        '{"city": "Bern", "city": "Zürich", "people": 1}',
        '{"city": "Zürich", "people": 1, "mayor": {"name": "a", "name": "b"}}',
        '{"city": "\\ud800", "people": 1}',
        "[" * 5000,
        '{"a":' * 2000 + "1" + "}" * 2000,
        "By the lake.",
        "7",
        '"city"',
        "null",
        "true",
    ],
)
def test_what_clients_cannot_read_as_json_is_not_kept(wanted: Body, content: str) -> None:
    assert why(answer(content), response_format=wanted) in ("invalid-json", "schema")
    assert why(answer(content)) == ""  # nobody asked for JSON


def test_json_mode_promises_an_object() -> None:
    assert why(answer(GOOD), response_format=JSON) == ""
    assert why(answer(f"\n  {GOOD}\n"), response_format=JSON) == ""
    assert why(answer("[1]"), response_format=JSON) == "invalid-json"
    assert why(answer(None, refusal="No."), response_format=JSON) == "refusal"
    assert why(answer([{"type": "text", "text": GOOD}]), response_format=JSON) == "invalid-json"
    for other in (None, {}, {"type": "text"}, {"type": "grammar"}, "json", ["json_object"]):
        assert why(answer("words"), response_format=other) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD, ""),
        (
            (
                '{"city": "Bern", "people": 1.0, "kind": null, "mayor": null, "rivers": '
                '[{"name": "Aare"}]}'
            ),
            "",
        ),
        ('{"city": "Bern", "people": 1, "mayor": {"name": "Alec"}}', ""),
        ('{"city": "Bern"}', "schema"),
        ("{}", "schema"),
        ("[]", "schema"),
        ('[{"city": "Bern", "people": 1}]', "schema"),
        ('{"city": 7, "people": 1}', "schema"),
        ('{"city": "Bern", "people": "many"}', "schema"),
        ('{"city": "Bern", "people": true}', "schema"),
        ('{"city": "Bern", "people": 1.5}', "schema"),
        ('{"city": "Bern", "people": 1, "kind": "village"}', "schema"),
        ('{"city": "Bern", "people": 1, "mayor": {}}', "schema"),
        ('{"city": "Bern", "people": 1, "mayor": "Alec"}', "schema"),
        ('{"city": "Bern", "people": 1, "rivers": [{"name": "Aare"}, {}]}', "schema"),
        ('{"city": "Bern", "people": 1, "note": "an aside"}', "schema"),
    ],
)
def test_what_lacks_what_the_schema_requires_is_not_kept(content: str, reason: str) -> None:
    assert why(answer(content), response_format=SCHEMA) == reason


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        True,
        7,
        "x",
        [],
        {"type": 7},
        {"type": ["object", 7]},
        {"required": "city"},
        {"properties": []},
    ],
)
def test_a_schema_that_is_none_asks_for_json_alone(schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert why(answer(GOOD), response_format=wanted) == ""
    assert why(answer(GOOD), response_format={"type": "json_schema", "json_schema": schema}) == ""
    assert why(answer("words"), response_format=wanted) == "invalid-json"
    assert why(answer("7"), response_format=wanted) in ("invalid-json", "")


def test_a_schema_may_ask_for_something_else_than_an_object() -> None:
    for kind, content in (
        ("array", "[1]"),
        ("integer", "7"),
        ("string", '"x"'),
        (["null", "object"], "null"),
    ):
        wanted = {"type": "json_schema", "json_schema": {"schema": {"type": kind}}}
        assert why(answer(content), response_format=wanted) == ""


BOMBS: dict[str, Body] = {
    "refers to itself": {"$ref": "#"},
    "two that refer to each other": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
    "doubles at every step": {
        "$ref": "#/$defs/0",
        "$defs": {
            str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}, {"$ref": f"#/$defs/{n + 1}"}]}
            for n in range(60)
        },
    },
    "a thousand choices within each other": {
        "anyOf": [{"anyOf": [{"required": ["x"]}] * 1000}] * 1000
    },
    "a million required": {"required": [str(n) for n in range(1_000_000)]},
    "a pattern that never ends": {"properties": {"city": {"pattern": "^(a+)+$"}}},
    "elsewhere": {"$ref": "http://127.0.0.1:1/schema"},
    "nowhere": {"$ref": "#/" + "/".join("x" * 100_000)},
    "names that are none": {"$ref": "#/$defs/~2/~", "$defs": 7},
}


@pytest.mark.parametrize("schema", BOMBS.values(), ids=BOMBS.keys())
def test_a_hostile_schema_costs_bounded_steps(schema: Body) -> None:
    began = time.thread_time()
    matches_schema({"city": "a" * 50_000 + "!"}, schema)
    assert time.thread_time() - began < 5.0


def test_the_steps_are_bounded_whatever_the_answer_is_like() -> None:
    wide: list[Body] = [{} for _ in range(MAX_WALK_STEPS)]
    began = time.thread_time()
    assert matches_schema(wide, {"items": {"$ref": "#/d"}, "d": {"type": "object"}})
    assert time.thread_time() - began < 5.0


LONG = 20_000  # entries of one list of a schema, which is read for each value of the answer
LONG_LISTS: dict[str, tuple[Any, Body]] = {
    "types": ([1] * 20_000, {"items": {"type": ["string"] * LONG + ["integer"]}}),
    "required": ([{"a": 1}] * 5_000, {"items": {"required": [1] * LONG}}),
    "enum": ([1] * 20_000, {"items": {"enum": [1.5] * LONG + [1]}}),
    "enum of lists": (
        [[0] * 2000 + [1]] * 8,
        {"items": {"enum": [[0] * 2000 + [2]] * LONG + [[0] * 2000 + [1]]}},
    ),
    "references": ([1] * 20_000, {"items": {"$ref": "#" + "/a" * 250_000}}),
    "keys": (
        {f"k{number}": 1 for number in range(5000)},
        {"allOf": [{"properties": {}, "additionalProperties": False}] * LONG},
    ),
}


@pytest.mark.parametrize(("value", "schema"), LONG_LISTS.values(), ids=LONG_LISTS.keys())
def test_long_lists_of_a_schema_times_a_long_answer_cost_bounded_steps(
    value: Any, schema: Body
) -> None:
    began = time.process_time()
    matches_schema(value, schema)
    assert time.process_time() - began < 1.0


LISTED = {"type": "array", "items": {"enum": [f"name {n}" for n in range(10_000)]}}
SERIAL = {"allOf": [{"type": "object"}] * 10_000}
REQUIRING = {"type": "array", "items": {"required": [str(n) for n in range(10_000)]}}


def schema_checks(monkeypatch: pytest.MonkeyPatch, completion: Any, **body: Any) -> int:
    """How many comparisons of values and types the check of an answer takes."""
    count = 0

    def counting(found: Callable[..., bool]) -> Callable[..., bool]:
        def check(*args: Any) -> bool:
            nonlocal count
            count += 1
            return found(*args)

        return check

    with monkeypatch.context() as patched:
        for name in ("_is_same_json", "_is_json_type"):
            patched.setattr(structured_outputs, name, counting(getattr(structured_outputs, name)))
        why(completion, **body)
    return count


@pytest.mark.parametrize(
    "schema", [LISTED, SERIAL, REQUIRING], ids=["listed", "serial", "requiring"]
)
def test_all_choices_and_calls_of_an_answer_share_the_steps(
    monkeypatch: pytest.MonkeyPatch, schema: Any
) -> None:
    content = json.dumps(["name 9999"] * 500) if schema is not SERIAL else "{}"
    one = answer(content)["choices"][0]
    completion = {"choices": [one | {"index": index} for index in range(50)]}
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert (
        schema_checks(monkeypatch, completion, response_format=wanted, n=50) <= 2 * MAX_WALK_STEPS
    )
    calls = [
        {
            "id": str(n),
            "type": "function",
            "function": {"name": "f", "arguments": '{"a": ["name 9999"]}'},
        }
        for n in range(1000)
    ]
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"properties": {"a": schema}}},
    }
    called = answer(None, "tool_calls", tool_calls=calls)
    assert (
        schema_checks(monkeypatch, called, tools=[tool], tool_choice="required")
        <= 2 * MAX_WALK_STEPS
    )


def test_tools_are_looked_through_once_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    found = eligibility._index_offered_tools

    def offered(body: Body) -> Any:
        looked.append(body)
        return found(body)

    monkeypatch.setattr(eligibility, "_index_offered_tools", offered)
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    one = answer(None, "tool_calls", tool_calls=calls)["choices"][0]
    tool = {"type": "function", "function": {"name": "f"}}
    assert (
        why(
            {"choices": [one | {"index": n} for n in range(20)]},
            tools=[tool],
            tool_choice="required",
            n=20,
        )
        == ""
    )
    assert len(looked) == 1


def test_a_text_of_more_json_than_can_be_read_is_not_taken_for_it() -> None:
    with pytest.raises(NotJson):
        parse_strict_json("[" + "1," * 500_000 + "1]")
    assert len(parse_strict_json("[" + "1," * 100_000 + "1]")) == 100_001


@pytest.mark.parametrize("reference", ["#/d/" * 100_000, "#" + "/d" * 1000, "other#/d"])
def test_a_reference_that_leads_nowhere_asks_for_nothing(reference: str) -> None:
    assert matches_schema([{}] * 100, {"items": {"$ref": reference}, "d": {"type": "object"}})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=10,  # making larger ones takes most of the time, and their parts are like these
)
WORDS = st.sampled_from(
    (
        "type required properties items anyOf allOf oneOf enum const $ref "
        "additionalProperties nullable $defs"
    ).split()
)
SCHEMAS = st.recursive(VALUES, lambda x: st.dictionaries(WORDS, x) | st.lists(x), max_leaves=20)


@pytest.mark.slow
@given(SCHEMAS, VALUES)
@settings(max_examples=120, deadline=None)
def test_no_schema_raises(schema: Any, value: Any) -> None:
    assert matches_schema(value, schema) in (True, False)


@pytest.mark.slow
@given(
    st.dictionaries(
        WORDS | st.sampled_from("content tool_calls function_call refusal audio".split()), VALUES
    ),
    VALUES,
    VALUES,
    VALUES,
)
@settings(max_examples=120, deadline=None)
def test_no_answer_and_no_request_raises(
    message: Body, tools: Any, choice: Any, wanted: Any
) -> None:
    policies: tuple[ToolCallReuse, ...] = ("none", "output", "all")
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    for policy in policies:
        body: Body = {
            "tools": tools,
            "tool_choice": choice,
            "response_format": wanted,
            "functions": tools,
            "function_call": choice,
        }
        answer_ineligibility(replace(asking(), body=body), completion, policy)


@given(st.text())
def test_what_is_parsed_is_json(text: str) -> None:
    try:
        value = parse_strict_json(text)
    except NotJson:
        return
    assert json.loads(text) == value  # not orjson, which rounds whole numbers beyond 64 bits


TOOLS: list[Body] = [
    {
        "type": "function",
        "function": {
            "name": "save",
            "parameters": {
                "type": "object",
                "required": ["city"],
                "properties": {"city": {"type": "string"}},
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
    {"type": "custom", "custom": {"name": "shell"}},
]
FORCED: Body = {"type": "function", "function": {"name": "save"}}


def call(arguments: Any = '{"city": "Bern"}', name: Any = "save", **fields: Any) -> Body:
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    } | fields


def custom(text: Any = "ls", name: Any = "shell") -> Body:
    return {"id": "call_2", "type": "custom", "custom": {"name": name, "input": text}}


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "tool_use", "function_call", "eos"])
@pytest.mark.parametrize(
    "choice",
    [
        "required",
        "any",
        FORCED,
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    ],
)
def test_a_call_that_was_demanded_is_output(finish: str, choice: Any) -> None:
    completion = answer(None, finish, tool_calls=[call()])
    assert why(completion, tools=TOOLS, tool_choice=choice) == ""
    assert why(completion, tools=TOOLS, tool_choice=choice, tool_calls="all") == ""
    assert why(completion, tools=TOOLS, tool_choice=choice, tool_calls="none") == "tool-calls"
    assert why(answer("Bern.", finish="stop"), tools=TOOLS, tool_choice=choice) == "no-tool-call"


@pytest.mark.parametrize(
    "choice",
    [
        None,
        "auto",
        "none",
        {"type": "auto"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
    ],
)
def test_a_call_that_the_model_chose_to_make_is_kept_where_the_plan_keeps_all(choice: Any) -> None:
    for completion in (
        answer(None, "tool_calls", tool_calls=[call()]),
        answer("I save it.", "stop", tool_calls=[call(), call("{}", "now")]),
    ):
        assert why(completion, tools=TOOLS, tool_choice=choice) == "tool-calls"
        assert why(completion, tools=TOOLS, tool_choice=choice, tool_calls="all") == ""
        assert why(completion, tools=TOOLS, tool_choice=choice, tool_calls="none") == "tool-calls"
    assert why(answer("Bern."), tools=TOOLS, tool_choice=choice, tool_calls="none") == ""


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (call('{"city": "Ber'), "tool-arguments"),
        (call(""), "tool-arguments"),
        (call(None), "tool-arguments"),
        (call({"city": "Bern"}), "tool-arguments"),
        (call("[]"), "tool-arguments"),
        (call("7"), "tool-arguments"),
        (call("{}"), "tool-arguments"),
        (call('{"city": 7}'), "tool-arguments"),
        (call('{"city": "a", "city": "b"}'), "tool-arguments"),
        (call('{"city": NaN}'), "tool-arguments"),
        (call(name="drop"), "tool-arguments"),
        (call(name=None), "tool-arguments"),
        (call(name=["save"]), "tool-arguments"),
        (custom(name="rm"), "tool-arguments"),
        (custom(name=["shell"]), "tool-arguments"),
        (custom(7), "tool-arguments"),
        (call(type="web_search"), "not-understood"),
        (call(function=[1]), "not-understood"),
        (call(function=None), "not-understood"),
        ({}, "not-understood"),
        ({"id": "a"}, "not-understood"),
    ],
)
@pytest.mark.parametrize("policy", ["output", "all"])
def test_a_call_that_cannot_be_made_is_not_kept(
    made: Body, reason: str, policy: ToolCallReuse
) -> None:
    body: Body = {"tools": TOOLS, "tool_choice": "required", "tool_calls": policy}
    assert why(answer(None, "tool_calls", tool_calls=[made]), **body) == reason
    assert why(answer(None, "tool_calls", tool_calls=[call(), made]), **body) == reason


def test_custom_tools_take_any_text() -> None:
    completion = answer(None, "tool_calls", tool_calls=[custom("rm -rf {")])
    assert why(completion, tools=TOOLS, tool_choice="required") == ""
    assert (
        why(completion, tools=TOOLS, tool_choice={"type": "custom", "custom": {"name": "shell"}})
        == ""
    )


def test_another_tool_than_the_one_demanded_is_not_kept() -> None:
    assert (
        why(answer(None, tool_calls=[call("{}", "now")]), tools=TOOLS, tool_choice=FORCED)
        == "tool-arguments"
    )


def test_the_older_shape_of_a_call_is_one_too() -> None:
    functions = [tool["function"] for tool in TOOLS[:2]]
    good, bad = ({"name": "save", "arguments": text} for text in ('{"city": "Bern"}', '{"city'))
    body: Body = {"functions": functions, "function_call": {"name": "save"}}
    assert why(answer(None, "function_call", function_call=good), **body) == ""
    assert why(answer(None, "stop", function_call=bad), **body) == "tool-arguments"
    assert (
        why(answer(None, "function_call", function_call=good), functions=functions) == "tool-calls"
    )
    assert (
        why(answer(None, "stop", function_call={"name": "drop", "arguments": "{}"}), **body)
        == "tool-arguments"
    )


def test_a_call_without_any_tool_offered_is_not_kept() -> None:
    assert (
        why(answer(None, "tool_calls", tool_calls=[call()]), tool_calls="all") == "tool-arguments"
    )


def test_under_a_schema_a_call_is_judged_as_a_call() -> None:
    body: Body = {"tools": TOOLS, "tool_choice": "auto", "response_format": SCHEMA}
    assert why(answer(None, "tool_calls", tool_calls=[call()]), tool_calls="all", **body) == ""
    assert why(answer(GOOD), **body) == ""
    assert why(answer("Done."), **body) == "invalid-json"


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("required", True),
        (FORCED, True),
        ({"type": "tool"}, True),
        ("auto", False),
        (None, False),
        ([], False),
    ],
)
def test_what_demands_a_call(choice: Any, forced: bool) -> None:
    assert is_call_forced({"tool_choice": choice}) is forced
