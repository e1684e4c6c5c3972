"""Plans and prices out and in again as JSON and CSV:
the same rules as the API, all rows or none."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from plans import records, services
from plans.import_export import formats as files
from plans.models import Membership, ModelPrice, Plan, Tenant
from proxy.upstreams.services import put_route, put_upstream

pytestmark = pytest.mark.django_db
PLANS, PRICES = "/admin/plans/plan", "/admin/plans/modelprice"


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def sent(client: Client, where: str, content: str | bytes, kind: str = "json") -> Any:
    """The answer to a file: the dry run."""
    content = content.encode() if isinstance(content, str) else content
    return client.post(f"{where}/import/", {"file": SimpleUploadedFile(f"rows.{kind}", content)})


def imported(client: Client, where: str, content: str, kind: str = "json") -> Any:
    """The dry run, and then the saving with a reason."""
    page = sent(client, where, content, kind)
    assert page.status_code == 200, page.context["wrong"]
    return client.post(
        f"{where}/import/", dict(page.context["kept"].initial) | {"_reason": "moved"}
    )


def wrong(page: Any) -> dict[int, dict[str, str]]:
    """What is wrong by row."""
    assert page.status_code == 400
    return {row.number: row.problems for row in page.context["wrong"]}


@pytest.fixture
def plans() -> list[Plan]:
    acme = Tenant.objects.create(slug="-acme")
    bodies: list[dict[str, Any]] = [
        {"plan_name": "faq", "preset": "aggressive"},
        {"plan_name": "exact", "preset": "safe", "mode": "shadow"},
        {"plan_name": "short", "compression": {"deadline_ms": 500}},
        {"plan_name": "123", "cache": {"ttl": 77, "similarity_threshold": 0.8125}},
    ]
    return [
        services.create_plan(owner=acme if place % 2 else None, body=body)
        for place, body in enumerate(bodies)
    ]


def settings_of(plan: Plan) -> tuple[Any, ...]:
    found = plan.build_snapshot()
    return plan.tenant_id, found.name, found.mode, found.compression, found.cache


# Round trips


@pytest.mark.parametrize("kind", files.FORMATS)
def test_what_an_export_of_plans_gives_an_import_takes(
    staff: Client, plans: list[Plan], kind: str
) -> None:
    before = sorted(map(settings_of, plans), key=str)
    content = staff.get(f"{PLANS}/export/?format={kind}").content.decode()
    page = sent(staff, PLANS, content, kind)
    assert (page.status_code, page.context["same"], "kept" in page.context) == (200, 4, False)
    Plan.objects.all().delete()
    assert imported(staff, PLANS, content, kind).status_code == 302
    assert sorted(map(settings_of, Plan.objects.all()), key=str) == before
    assert (
        staff.get(f"{PLANS}/export/?format={kind}").content.decode().splitlines()[0]
        == content.splitlines()[0]
    )
    assert (
        records.get_row_history(Plan.objects.get(name="faq"))[0].history_change_reason
        == "Imported: moved"
    )


@pytest.mark.parametrize("kind", files.FORMATS)
def test_prices_stay_exact(staff: Client, kind: str) -> None:
    ModelPrice.objects.create(
        provider="=cmd|'/C calc'!A1",
        model="@cf/meta",
        input="0.100000",
        output="12345678.123457",
        cached_input=None,
    )
    ModelPrice.objects.create(
        provider="openai",
        model="'quoted",
        input="0.000001",
        output="0",
        cache_write="3.75",
        terms="above 5: input 2\ninput_audio 1",
    )
    before = list(
        ModelPrice.objects.values_list(
            "provider", "model", "input", "output", "cached_input", "cache_write", "terms"
        )
    )
    content = staff.get(f"{PRICES}/export/?format={kind}").content.decode()
    assert "0.100000" in content
    assert sent(staff, PRICES, content, kind).context["same"] == 2
    ModelPrice.objects.all().delete()
    assert imported(staff, PRICES, content, kind).status_code == 302
    assert (
        list(
            ModelPrice.objects.values_list(
                "provider", "model", "input", "output", "cached_input", "cache_write", "terms"
            )
        )
        == before
    )
    assert all(ModelPrice.objects.values_list("edited", flat=True))


def test_numbers_of_json_are_taken_as_they_were_written(staff: Client) -> None:
    row = (
        '{"prices": [{"provider": "own", "model": "m", "input": 0.1, "output": 2, "cached_input": '
        'null, "cache_write": "0.3"}]}'
    )
    assert imported(staff, PRICES, row).status_code == 302
    price = ModelPrice.objects.get()
    assert (price.input, price.output, price.cached_input, price.cache_write) == (
        Decimal("0.1"),
        Decimal(2),
        None,
        Decimal("0.3"),
    )


def test_a_file_from_before_there_were_terms_leaves_them_alone(staff: Client) -> None:
    ModelPrice.objects.create(
        provider="own", model="m", input=1, output=2, terms="above 5: input 2"
    )
    row = (
        '{"prices": [{"provider": "own", "model": "m", "input": 3, "output": 2, "cached_input": '
        'null, "cache_write": null}]}'
    )
    assert imported(staff, PRICES, row).status_code == 302
    price = ModelPrice.objects.get()
    assert (price.input, price.terms) == (Decimal(3), "above 5: input 2")


def test_no_cell_begins_a_formula(staff: Client, plans: list[Plan]) -> None:
    content = staff.get(f"{PLANS}/export/?format=csv").content.decode()
    cells = [cell for line in content.splitlines() for cell in line.split(",")]
    assert "'-acme" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    for text in ("=1+1", "+1", "-1", "@x", "'x", "\tx", "''"):
        line = files.rows_to_csv(["a"], [{"a": text}])
        assert line.splitlines()[1].strip('"').startswith("'")
        assert files.parse_csv_rows(line.encode()) == [{"a": text}]


@pytest.mark.parametrize("name", ["4", "true", "nan", "1e5", "null"])
@pytest.mark.parametrize("kind", files.FORMATS)
def test_a_route_that_is_called_like_a_value_stays_a_name(
    staff: Client, name: str, kind: str
) -> None:
    upstream = put_upstream(name="one", base_url="https://api.example.com/v1")
    put_route(name=name, upstream=upstream, model="m")
    cache = {"max_error_rate": 0.02, "judge_model": name}
    plan = services.create_plan(owner=None, body={"plan_name": "judged", "cache": cache})
    content = staff.get(f"{PLANS}/export/?format={kind}").content.decode()
    assert sent(staff, PLANS, content, kind).context["same"] == 1
    plan.delete()
    assert imported(staff, PLANS, content, kind).status_code == 302
    assert Plan.objects.get().judge_model == name


def test_an_empty_tenant_is_the_platform_in_json_too(staff: Client) -> None:
    content = json.dumps({"plans": [{"plan_name": "a", "tenant": ""}]})
    assert imported(staff, PLANS, content).status_code == 302
    assert Plan.objects.get().tenant is None
    twice = [{"plan_name": "b", "tenant": ""}, {"plan_name": "b", "tenant": None}]
    assert list(wrong(sent(staff, PLANS, json.dumps({"plans": twice})))) == [2]


# Somebody else's changes


@pytest.mark.parametrize("kind", files.FORMATS)
def test_a_file_exported_before_a_change_says_so(
    staff: Client, plans: list[Plan], kind: str
) -> None:
    content = staff.get(f"{PLANS}/export/?format={kind}").content.decode()
    services.change_plan(owner=None, name="faq", body={"cache": {"ttl": 7}})
    page = sent(staff, PLANS, content, kind)
    (row,) = [row for row in page.context["rows"] if row.newer]
    assert row.newer == (
        "the gateway changed faq after the file was exported (version 1; it is at version 2 now)."
    )
    assert [(each.label, each.before, each.after) for each in row.newer_changes] == [
        ("Time to live (seconds)", "86,400", "7")
    ]
    assert "Importing the row puts the file's settings in their place" in page.content.decode()
    assert Plan.objects.get(name="faq").ttl == 7


@pytest.mark.parametrize("kind", files.FORMATS)
def test_so_does_a_file_of_prices(staff: Client, kind: str) -> None:
    price = ModelPrice.objects.create(provider="own", model="m", input=1, output=2)
    content = staff.get(f"{PRICES}/export/?format={kind}").content.decode()
    change = {"provider": "own", "model": "m", "input": "5", "output": "2"}
    assert staff.post(f"{PRICES}/{price.pk}/change/", change).status_code == 302
    (row,) = sent(staff, PRICES, content, kind).context["rows"]
    assert row.newer == "root changed own/m after the file was exported."
    assert ("Input", "1", "5") in [
        (each.label, each.before, each.after) for each in row.newer_changes
    ]


def test_a_file_of_another_gateway_is_told_from_one_of_the_past(
    staff: Client, plans: list[Plan]
) -> None:
    row = {"plan_name": "faq", "version": 41, "cache": {"ttl": 9}}
    (found,) = sent(staff, PLANS, json.dumps({"plans": [row]})).context["rows"]
    assert "as it is on another gateway (version 41; it is at version 1 now)" in found.newer
    assert imported(staff, PLANS, json.dumps({"plans": [row]})).status_code == 302
    for strange in ("1", True, 1.5):
        page = sent(staff, PLANS, json.dumps({"plans": [row | {"version": strange}]}))
        assert list(wrong(page)[1]) == ["version"]


def test_what_is_saved_between_the_dry_run_and_the_import_is_shown_first(
    staff: Client, plans: list[Plan]
) -> None:
    content = json.dumps(
        {"plans": [{"plan_name": "faq", "cache": {"ttl": 9}}, {"plan_name": "new"}]}
    )
    asked = dict(sent(staff, PLANS, content).context["kept"].initial) | {"_reason": "moved"}
    services.change_plan(owner=None, name="faq", body={"cache": {"ttl": 7}})
    page = staff.post(f"{PLANS}/import/", asked)
    assert (page.status_code, page.context["meanwhile"]) == (409, ["faq"])
    assert [(each.before, each.after) for each in page.context["rows"][0].changes] == [("7", "9")]
    assert Plan.objects.count() == 4

    services.create_plan(owner=None, body={"plan_name": "new", "cache": {"ttl": 5}})
    asked = dict(page.context["kept"].initial) | {"_reason": "moved"}
    page = staff.post(f"{PLANS}/import/", asked)
    assert (page.status_code, page.context["meanwhile"]) == (409, ["new"])
    assert Plan.objects.get(name="faq").ttl == 7
    asked = dict(page.context["kept"].initial) | {"_reason": "moved"}
    for forged in ({"seen": ""}, {"seen": "nonsense"}):
        assert staff.post(f"{PLANS}/import/", asked | forged).status_code == 200
    assert Plan.objects.get(name="faq").ttl == 7
    assert staff.post(f"{PLANS}/import/", asked).status_code == 302
    assert Plan.objects.get(name="faq").ttl == 9


def test_prices_are_not_overwritten_unseen_either(staff: Client) -> None:
    price = ModelPrice.objects.create(provider="own", model="m", input=1, output=2)
    row = {"provider": "own", "model": "m", "input": 3, "output": 2}
    asked = sent(staff, PRICES, json.dumps({"prices": [row]})).context["kept"].initial
    change = {"provider": "own", "model": "m", "input": "5", "output": "2"}
    assert staff.post(f"{PRICES}/{price.pk}/change/", change).status_code == 302
    page = staff.post(f"{PRICES}/import/", dict(asked) | {"_reason": "list"})
    assert (page.status_code, page.context["meanwhile"]) == (409, ["own/m"])
    price.refresh_from_db()
    assert price.input == 5


def test_prices_that_a_file_leaves_alone_still_follow_the_list(staff: Client) -> None:
    for model in ("same", "other"):
        ModelPrice.objects.create(provider="own", model=model, input=1, output=2)
    rows = json.loads(staff.get(f"{PRICES}/export/").content)["prices"]
    next(row for row in rows if row["model"] == "other")["input"] = "9"
    assert imported(staff, PRICES, json.dumps({"prices": rows})).status_code == 302
    assert dict(ModelPrice.objects.values_list("model", "edited")) == {"same": False, "other": True}


# Dry runs


def test_a_dry_run_shows_the_difference_and_saves_nothing(staff: Client, plans: list[Plan]) -> None:
    row = {"plan_name": "faq", "cache": {"ttl": 5}}
    page = sent(staff, PLANS, json.dumps({"plans": [row, {"plan_name": "new"}]}))
    found = page.context["rows"]
    assert [(change.label, change.before, change.after) for change in found[0].changes] == [
        ("Time to live (seconds)", "86,400", "5")
    ]
    assert found[1].is_new
    assert "new</span>" in page.content.decode()
    assert Plan.objects.count() == 4
    assert Plan.objects.get(name="faq").ttl == 86_400
    assert (
        staff.post(
            f"{PLANS}/import/", dict(page.context["kept"].initial) | {"_reason": " "}
        ).status_code
        == 200
    )
    assert Plan.objects.count() == 4


def test_when_a_row_fails_none_is_saved_and_row_and_field_are_named(
    staff: Client, plans: list[Plan]
) -> None:
    rows: list[Any] = [
        {"plan_name": "good"},
        {"plan_name": "bad", "cache": {"ttl": 0, "colour": "red"}},
        {"plan_name": "faq", "tenant": "nobody"},
        {"plan_name": "good", "cache": {"ttl": 1}},
        {"plan_name": "a\0b"},
        {"plan_name": "x", "cache": {"backend": "faiss"}},
        {},
    ]
    content = json.dumps({"plans": rows})
    found = wrong(sent(staff, PLANS, content))
    assert {number: sorted(problems) for number, problems in found.items()} == {
        2: ["cache.colour", "cache.ttl"],
        3: ["tenant"],
        4: ["plan_name"],
        5: ["plan_name"],
        6: ["cache.backend"],
        7: ["plan_name"],
    }
    page = staff.post(
        f"{PLANS}/import/", {"content": content, "format": "json", "_reason": "all the same"}
    )
    assert page.status_code == 400
    assert Plan.objects.count() == 4


def test_prices_are_judged_by_their_form(staff: Client) -> None:
    rows = (
        "provider,model,input,output,cached_input,cache_write,colour\nown,m,-1,x,,,\n"
        "own,n,1,1,,,red\nown,n,1,1,,,\n"
    )
    found = wrong(sent(staff, PRICES, rows, "csv"))
    assert {number: sorted(problems) for number, problems in found.items()} == {
        1: ["colour", "input", "output"],
        2: ["colour"],
        3: ["colour", "model"],
    }
    assert not ModelPrice.objects.exists()


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"{", "json", "not JSON"),
        (b"[]", "json", "must hold"),
        (b'{"plans": []}', "json", "0 rows"),
        (b'{"plans": [1]}', "json", "must hold"),
        (b'{"plans": [{"a": NaN}]}', "json", "NaN"),
        (b'{"plans": [{"a": 1, "a": 2}]}', "json", "twice"),
        (b"[" * 100_000, "json", ""),
        (b"\xff\xfe", "csv", "UTF-8"),
        (b"a\0b\n1\n", "csv", "NUL"),
        (b"plan_name\n", "csv", "0 rows"),
        (b"plan_name,plan_name\na,b\n", "csv", "each once"),
        (b"plan_name,mode\na\n", "csv", "Line 2 has 1 cells"),
        (b'plan_name\n"a\n', "csv", "not CSV"),
        (b"x" * 2_000_001, "csv", "larger than"),
        (b"plan_name\na\n", "txt", "must end in"),
        (b"", "csv", "Choose a file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(
    staff: Client, content: bytes, kind: str, says: str
) -> None:
    page = sent(staff, PLANS, content, kind)
    assert page.status_code == 400
    assert says in page.context["refused"]
    assert not Plan.objects.exists()


def test_a_csv_names_halves_that_are_on_or_off(staff: Client) -> None:
    content = (
        "plan_name,mode,compression,cache,cache.ttl,cache.backend\na,,off,on,60,\n"
        "b,shadow,,,5,\nc,,maybe,on,,\n"
    )
    assert list(wrong(sent(staff, PLANS, content, "csv"))[3]) == ["compression"]
    assert imported(staff, PLANS, content.replace("c,,maybe,on,,\n", ""), "csv").status_code == 302
    first, second = Plan.objects.order_by("name")
    assert (first.compression_engine, first.ttl, first.backend) == (None, 60, None)
    assert (second.mode, second.ttl) == ("shadow", 3600)


# Who may


def person(*permissions: str, tenant: Tenant | None = None) -> Client:
    user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    if tenant:
        Membership.objects.create(user=user, tenant=tenant)
    client = Client()
    client.force_login(user)
    return client


def test_who_may_only_look_exports_and_imports_nothing(plans: list[Plan]) -> None:
    viewer = person("view_plan")
    assert viewer.get(f"{PLANS}/export/").status_code == 200
    assert viewer.get(f"{PLANS}/import/").status_code == 403
    assert "Import" not in viewer.get(f"{PLANS}/").content.decode()
    assert person().get(f"{PLANS}/export/").status_code == 403


def test_a_tenants_person_brings_plans_of_that_tenant_alone(plans: list[Plan]) -> None:
    client = person("add_plan", "change_plan", tenant=Tenant.objects.get())
    rows = [{"plan_name": "own", "tenant": "-acme"}, {"plan_name": "faq"}]
    assert list(wrong(sent(client, PLANS, json.dumps({"plans": rows})))) == [2]
    prices = person("add_modelprice", "change_modelprice", tenant=Tenant.objects.get())
    content = json.dumps({"prices": [{"provider": "own", "model": "m", "input": 1, "output": 1}]})
    assert sent(prices, PRICES, content).status_code == 404


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\\ud800", "half of a surrogate pair"),
        ("a\\udfffb", "half of a surrogate pair"),
        ("x\\u0000", "NUL character"),
    ],
)
@pytest.mark.parametrize(
    ("where", "content"),
    [
        (PLANS, '{"plans": [{"plan_name": "TEXT"}]}'),
        (PLANS, '{"plans": [{"plan_name": "a", "cache": {"backend": "TEXT"}}]}'),
        (PLANS, '{"plans": [{"plan_name": "a", "TEXT": 1}]}'),
        (PRICES, '{"prices": [{"provider": "p", "model": "TEXT", "input": 1, "output": 1}]}'),
    ],
)
def test_what_no_row_can_hold_is_told_and_no_fault(
    staff: Client, where: str, content: str, text: str, says: str
) -> None:
    page = sent(staff, where, content.replace("TEXT", text))
    assert page.status_code == 400
    assert says in page.content.decode()


def test_a_whole_surrogate_pair_is_one_character(staff: Client) -> None:
    found = files.parse_json_rows(
        "prices", b'{"prices": [{"provider": "p", "model": "\\ud83d\\ude00"}]}'
    )
    assert found == [{"provider": "p", "model": "\U0001f600"}]


@pytest.mark.parametrize(
    "number", ["1E999999999", "-1E999999999", "1E-999999999", "1e4000", "0E999999999"]
)
def test_a_price_with_a_page_of_zeros_is_refused_at_once(staff: Client, number: str) -> None:
    content = f'{{"prices": [{{"provider": "p", "model": "m", "input": {number}, "output": 1}}]}}'
    begun = time.process_time()
    page = sent(staff, PRICES, content)
    assert time.process_time() - begun < 5
    if number.startswith("0"):
        assert page.status_code == 200
    else:
        assert list(wrong(page)) == [1]
