"""Complete the OpenAPI document: add what the views do not define, and put the operations in order."""

from typing import Any

from skymailing.api.problems import TITLES
from skymailing.api.scopes import Scope

VERSION = "1"
OPENAPI = "3.1.0"
INTRODUCTION = """\
Programs manage clients, messages and mailings, and read what happened to every letter.
"""
UNUSED = ("Error", "PaginationMetadata")  # schemas of flask-smorest
HEADERS = {
    "RateLimit-Policy": "How many requests (q) a key may send in how many seconds (w)",
    "RateLimit": "How many requests are left (r), and when the count starts again (t, in seconds)",
    "X-Request-Id": "The ID of the request, which is also in our log",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Any text that is unique for this request. Repeating it within 24 hours changes nothing; "
    "after an error, the corrected request can have the same key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag that you read; if it has changed since, nothing happens (412)",
    "schema": {"type": "string"},
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457)",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A text for people, in the language of Accept-Language"},
        "code": {"type": "string", "description": "The error for programs; its meaning never changes"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
}


def complete(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the views' document with errors, keys and headers added, and `prefix` removed from tags."""
    components = document.setdefault("components", {})
    for name in UNUSED:
        components["schemas"].pop(name, None)
    components["schemas"]["Problem"] = PROBLEM
    components["responses"] = {str(status): _describe_error(status) for status in TITLES}
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    components["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY, "IfMatch": IF_MATCH}
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key. Scopes: " + ", ".join(scope.value for scope in Scope),
        }
    }
    for schema in components["schemas"].values():
        for field in schema.get("properties", {}).values():
            _add_type(field)
    document["tags"] = [tag | {"name": tag["name"].removeprefix(prefix)} for tag in document["tags"]]
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "parameters":
                _complete_operation(method, operation, prefix)
    return document


def _add_type(field: dict[str, Any]) -> None:
    """Add the type of an enum, which apispec leaves out."""
    if "enum" in field and "type" not in field:
        field["type"] = ["string", "null"] if None in field["enum"] else "string"


def _complete_operation(method: str, operation: dict[str, Any], prefix: str) -> None:
    operation["tags"] = [tag.removeprefix(prefix) for tag in operation["tags"]]
    operation["responses"].pop("default", None)
    parameters = operation.setdefault("parameters", [])
    if method == "post":
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if method in ("patch", "put", "delete"):
        parameters.append({"$ref": "#/components/parameters/IfMatch"})
    if not parameters:
        del operation["parameters"]
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _describe_error(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    return {
        "description": TITLES[status],
        "content": {"application/problem+json": {"schema": schema}},
        "headers": headers,
    }
