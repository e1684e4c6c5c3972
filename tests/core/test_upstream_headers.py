"""Which headers and parameters may be added to a provider's requests, and which of clients reach
it."""

import pytest

from proxy.core.upstream_headers import (
    MAX_EXTRA_FIELDS,
    MAX_VALUE_LENGTH,
    RESERVED_HEADERS,
    check_extra_headers,
    check_forwarded_names,
    check_query,
    digest_pairs,
    select_headers,
)


def test_headers_are_kept_in_small_letters_and_a_fixed_order() -> None:
    found = check_extra_headers({"X-Team": " a ", "OpenAI-Organization": "org-1"})
    assert found == (("openai-organization", "org-1"), ("x-team", "a"))


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS))
def test_what_the_gateway_sets_is_neither_added_nor_passed_on(name: str) -> None:
    with pytest.raises(ValueError, match="set by the gateway"):
        check_extra_headers({name.title(): "x"})
    with pytest.raises(ValueError, match="never reaches"):
        check_forwarded_names([name.upper()])


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"a b": "x"},
        {"a:b": "x"},
        {"a\r\nb": "x"},
        {"ä": "x"},
        {"a" * 101: "x"},
        {"x-a": "x\r\nx-b: y"},
        {"x-a": "x\ny"},
        {"x-a": "x\x00"},
        {"x-a": "ü"},
        {"x-a": "x" * (MAX_VALUE_LENGTH + 1)},
        {"x-a": "1", "X-A": "2"},
        {f"x-{number}": "x" * 4000 for number in range(3)},
        {f"x-{number}": "x" for number in range(MAX_EXTRA_FIELDS + 1)},
    ],
)
def test_what_would_be_another_header_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        check_extra_headers(headers)


@pytest.mark.parametrize(
    "query", [{"": "x"}, {"a\n": "x"}, {"a": "x\n"}, {"a": "x" * 5000}, {"a" * 101: "x"}]
)
def test_what_is_no_parameter_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        check_query(query)


@pytest.mark.parametrize(
    "name",
    ["x-forwarded-for", "Forwarded", "X-Token-Saving-Plan", "cache-control", "x-tokenthrift-x"],
)
def test_what_is_said_to_the_gateway_stays_there(name: str) -> None:
    with pytest.raises(ValueError, match="never reaches a provider"):
        check_forwarded_names([name])
    assert check_forwarded_names([" OpenAI-Project ", "", "openai-project"]) == ["openai-project"]
    with pytest.raises(ValueError, match="no name of a header"):
        check_forwarded_names(["a b"])
    with pytest.raises(ValueError, match="At most 32 headers"):
        check_forwarded_names(f"x-{number}" for number in range(33))


def test_a_clients_headers_are_selected_by_name_and_joined() -> None:
    received = [
        (b"authorization", b"Bearer tt-1"),
        (b"anthropic-beta", b"one"),
        (b"x-other", b"x"),
        (b"Anthropic-Beta", b" two "),
    ]
    assert select_headers(received, {"anthropic-beta"}) == (("anthropic-beta", "one, two"),)
    assert select_headers(received, ()) == ()


def test_the_digest_covers_what_may_change_an_answer() -> None:
    assert digest_pairs() == digest_pairs(()) == ""
    assert digest_pairs((("idempotency-key", "1"),)) == ""
    one = digest_pairs((("anthropic-beta", "a"),))
    assert one
    assert one != digest_pairs((("anthropic-beta", "b"),))
    assert one != digest_pairs((), (("anthropic-beta", "a"),))
    assert one == digest_pairs((("anthropic-beta", "a"), ("x-client-request-id", "9")))
