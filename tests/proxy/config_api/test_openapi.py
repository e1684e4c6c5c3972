"""The OpenAPI document of configuration objects: all fields of a file, examples, no secret read."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from proxy.config_api.openapi import EXAMPLES
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)

SHAPES = {
    "Upstream": UPSTREAM_FIELDS,
    "Route": ROUTE_FIELDS,
    "Tenant": TENANT_FIELDS,
    "Price": PRICE_FIELDS,
    "Key": KEY_FIELDS,
}


@pytest.fixture(scope="module")
def document() -> Any:
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    return generator.get_schema(request=None, public=True)


@pytest.mark.parametrize("name", SHAPES)
def test_a_put_says_every_field_that_a_file_says(document: Any, name: str) -> None:
    shapes, fields = document["components"]["schemas"], SHAPES[name]
    put = shapes[f"{name}Put"]
    assert set(put["properties"]) == {*fields, "reason"}
    required = {field for field, each in fields.items() if each.is_required and not each.is_secret}
    assert set(put.get("required", ())) == required
    assert "required" not in shapes[f"Patched{name}Patch"]


@pytest.mark.parametrize("name", SHAPES)
def test_no_secret_is_read(document: Any, name: str) -> None:
    fields: dict[str, FileField] = SHAPES[name]
    secrets = {field for field, each in fields.items() if each.is_never_shown}
    shapes = document["components"]["schemas"]
    for secret in secrets:
        assert shapes[f"{name}Put"]["properties"][secret]["writeOnly"] is True
    if name == "Upstream":
        assert secrets
        assert not secrets & set(shapes["Upstream"]["properties"])


@pytest.mark.parametrize("kind", EXAMPLES)
def test_puts_and_patches_have_examples_that_they_accept(document: Any, kind: str) -> None:
    (path,) = [
        found
        for found in document["paths"]
        if found.startswith(f"/token-saving/{kind}s/{{") and found.endswith("}")
    ]
    for method in ("put", "patch"):
        body = document["paths"][path][method]["requestBody"]["content"]["application/json"]
        (example,) = body["examples"].values()
        shape = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        assert example["value"].keys() <= shape["properties"].keys()
    deletion = document["paths"][path]["delete"]["responses"]
    assert {"200", "204", "403", "404", "409", "412"} <= set(deletion)
