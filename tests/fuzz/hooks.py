"""What Schemathesis is told beside the document before it makes requests of it. It loads this module by name."""

import copy
import json
import os
import re
from typing import Any
from urllib.parse import unquote, urlencode

import schemathesis

_GRAPH = "/api/graph/{path}"
_ONENOTE = (
    ("v1.0/me/onenote/notebooks", ("get", "post")),
    ("v1.0/me/onenote/notebooks/{id}/sections", ("get", "post")),
    ("beta/me/onenote/sections/{id}/pages", ("get", "post")),
    ("v1.0/me/onenote/pages", ("get", "post")),
    ("v1.0/me/onenote/pages/{id}", ("get", "delete")),
    ("v1.0/me/onenote/pages/{id}/content", ("get", "patch", "put")),
    ("v1.0/me/onenote/resources/{id}/$value", ("get",)),
    ("v1.0/users/{id}/onenote/notebooks", ("get",)),
)
_BATCH = {
    "type": "object",
    "required": ["requests"],
    "properties": {
        "requests": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["id", "method", "url"],
                "properties": {
                    "id": {"type": "string"},
                    "method": {"enum": ["GET", "POST", "PATCH", "DELETE"]},
                    "url": {"enum": ["/me/onenote/notebooks", "/me/onenote/pages/none", "/me/messages", "", "/.."]},
                    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                    "body": {},
                },
            },
        }
    },
}
_ONE = {"requests": [{"id": "1", "method": "GET", "url": "/me/onenote/notebooks"}]}
_OPTIONS = ("$top", "$skip", "$orderby", "$filter", "$select", "$expand", "$count")
_REFUSED_BY_THE_HOST = re.compile(r"[\0\r\n]")
_QUERY_MOST = 7_000  # of a request line of 8 KiB
_ACCOUNT = "/api/ops/accounts/{home_account_id}"


@schemathesis.hook
def before_load_schema(context: Any, document: dict[str, Any]) -> None:
    """Add real OneNote paths: in OpenAPI a parameter holds no slash, so `{path}` alone reaches none of them.

    And name an account that is there, where the operator's routes ask for one.
    """
    paths = document["paths"]
    for number, (path, methods) in enumerate(_ONENOTE):
        item = {method: copy.deepcopy(paths[_GRAPH][method]) for method in methods}
        for operation in item.values():
            operation["operationId"] += str(number)
        named = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}] if "{id}" in path else []
        options = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _OPTIONS]
        paths[f"/api/graph/{path}"] = {"parameters": named + options, **item}
    batch = copy.deepcopy(paths[_GRAPH]["post"]) | {"operationId": "batch"}
    batch["requestBody"] = {"required": True, "content": {"application/json": {"schema": _BATCH, "example": _ONE}}}
    paths["/api/graph/v1.0/$batch"] = {"post": batch}
    example = json.dumps(paths[_ACCOUNT]["parameters"][0]["example"])
    account = json.dumps(os.environ["FUZZ_ACCOUNT"])
    document["paths"] = json.loads(json.dumps(paths).replace(example, account))


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """What the platform's host refuses itself, before any function and without a body, is not ours to document."""
    in_path = [unquote(str(value)) for value in (case.path_parameters or {}).values()]
    query = urlencode({name: str(value) for name, value in (case.query or {}).items()})
    return len(query) < _QUERY_MOST and not any(map(_REFUSED_BY_THE_HOST.search, in_path))
