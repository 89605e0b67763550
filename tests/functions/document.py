"""Owns the reading of the OpenAPI document for the tests: its references, its operations, what fits a schema."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import shared.functions

DOCUMENT: dict[str, Any] = json.loads(Path(shared.functions.__path__[0], "openapi.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
METHODS = ("get", "put", "post", "delete", "patch", "options")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def every(value: Any, key: str) -> Iterator[Any]:
    """What stands under `key`, anywhere in the document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from every(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from every(inner, key)


def resolve(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: Any = dict(schema)
    while "$ref" in found:
        rest = {key: value for key, value in found.items() if key != "$ref"}
        target: Any = DOCUMENT
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = {**target, **rest}
    return dict(found)


def misfit(value: Any, schema: Mapping[str, Any], at: str = "$") -> str | None:
    """The first way in which a value is not what the schema says (what of JSON Schema 2020-12 the document uses).

    Stricter in one thing: an object has no property that is not documented.
    """
    schema = resolve(schema)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found = [misfit(value, one, at) for one in schema[word]]
            return None if None in found else found[0]
    if "allOf" in schema:
        parts = [resolve(part) for part in schema["allOf"]]
        required = [name for part in parts for name in part["required"]]
        properties = {name: inner for part in parts for name, inner in part["properties"].items()}
        return misfit(value, {"type": "object", "required": required, "properties": properties}, at)
    if "const" in schema and value != schema["const"]:
        return f"{at} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is not one of {schema['enum']}"
    kinds = schema.get("type", list(TYPES))
    if not isinstance(value, tuple(TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))):
        return f"{at} is no {kinds}"
    if isinstance(value, list):
        return next(filter(None, (misfit(v, schema["items"], f"{at}[{n}]") for n, v in enumerate(value))), None)
    if isinstance(value, dict) and "properties" in schema:
        if missing := set(schema.get("required", ())) - set(value):
            return f"{at} lacks {missing}"
        if unknown := set(value) - set(schema["properties"]):
            return f"{at} has {unknown}, which the document doesn't know"
        found = [misfit(v, schema["properties"][name], f"{at}.{name}") for name, v in value.items()]
        return next(filter(None, found), None)
    return None
