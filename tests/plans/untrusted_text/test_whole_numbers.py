import pytest
from django.test import Client

from plans.untrusted_text.whole_numbers import MAX_BIGINT, parse_positive

NOT_NUMBERS = [
    "",
    "0",
    "00",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1_0",
    "1.0",
    "1e3",
    "0x1",
    "9" * 5000,
]
OF_OTHER_SCRIPTS = [
    "\N{SUPERSCRIPT TWO}",
    "\N{FULLWIDTH DIGIT ONE}",
    "\N{ARABIC-INDIC DIGIT THREE}",
]


@pytest.mark.parametrize("text", [*NOT_NUMBERS, *OF_OTHER_SCRIPTS, str(MAX_BIGINT + 1)])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert parse_positive(text) is None


def test_numbers_are_read_up_to_the_maximum() -> None:
    assert [parse_positive(text, maximum=100) for text in ("1", "007", "100", "101")] == [
        1,
        7,
        100,
        None,
    ]
    assert parse_positive(str(MAX_BIGINT)) == MAX_BIGINT
    assert parse_positive("00000010099999", maximum=100) is None


@pytest.mark.parametrize("text", ["²", "9" * 5000, "-1"])
@pytest.mark.parametrize(
    "page",
    [
        "/admin/proxy/entry/?tenant=",
        "/admin/proxy/entry/?plan=",
        "/admin/stats/requestevent/?plan=",
        "/admin/plans/plan/add/?clone=",
    ],
)
def test_an_admin_page_takes_any_text_for_a_number(
    admin_client: Client, page: str, text: str
) -> None:
    assert admin_client.get(page + text).status_code == 200
